"""Java's HttpClient as it is on the wire: it offers h2c with every first request, POST included.

A server that takes the offer for the end of the request drops the body, or takes the body for the
next request.
"""

from __future__ import annotations

import socket

import pytest

from tests.clients.bare import answer_of, connected
from tests.clients.ways import Way, Ways, alike

OFFER = b"""POST /echo/java HTTP/1.1\r
Connection: Upgrade, HTTP2-Settings\r
Host: models.example\r
HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r
Upgrade: h2c\r
User-Agent: Java-http-client/21.0.4\r
Content-Type: application/json\r
"""
NEXT = b"""GET /echo/next HTTP/1.1\r
Host: models.example\r
User-Agent: Java-http-client/21.0.4\r
\r
"""
BODY = b"GET /echo/smuggled HTTP/1.1\r\nHost: models.example\r\n\r\n"
SIZED = b"Content-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)


@pytest.mark.parametrize("rest", [SIZED, CHUNKED], ids=["length", "chunked"])
def test_P18_the_body_behind_an_offer_of_h2c_arrives(ways: Ways, rest: bytes) -> None:
    def use(way: Way) -> list[tuple[object, ...]]:
        with connected(way) as connection:
            connection.sendall(OFFER + rest)
            first = answer_of(connection)
            connection.sendall(NEXT)
            return [first, answer_of(connection)]

    first, after = alike(ways, use)
    assert (first[0], first[-1], after[0]) == (200, BODY, 200)


def test_P18_the_body_behind_an_offer_of_h2c_is_no_request_of_its_own(ways: Ways) -> None:
    with connected(ways.gateway) as connection:
        for byte in range(0, len(OFFER + SIZED), 7):  # in small pieces
            connection.sendall((OFFER + SIZED)[byte : byte + 7])
        answer_of(connection)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b"", "a second answer came"
    [seen] = ways.gateway.model.requests
    assert (seen.target, seen.body) == ("/echo/java", BODY)
    assert not seen.header("Upgrade")
    assert not seen.header("HTTP2-Settings")

"""What one client does to its connection must not be felt by the next client.

The gateway keeps connections to models and uses them again. Each of these tests makes one unfit for
that and then sends requests on new connections, so many that every worker gets some.
"""

from __future__ import annotations

import json

import requests

from tests.clients.bare import answer_of, connected
from tests.clients.ways import Way, Ways, gone_after

SECONDS = 5.0
NEIGHBOURS = 16
STREAM = json.dumps({"model": "m"}).encode()


def assert_others_are_served(way: Way) -> None:
    for number in range(NEIGHBOURS):
        answer = requests.post(way.url + "/echo", data=f"{number}", timeout=SECONDS)
        assert (answer.status_code, answer.text) == (200, f"{number}")


def test_leaving_in_the_middle_of_a_stream(ways: Ways) -> None:
    header, stream = ways.gateway.open_stream()
    url = ways.gateway.url + "/api/chat"
    with requests.post(url, data=STREAM, headers=header, stream=True, timeout=SECONDS) as begun:
        assert next(begun.iter_lines(chunk_size=1))
    assert_others_are_served(ways.gateway)
    assert gone_after(stream)


def test_leaving_in_the_middle_of_an_answer_with_a_length(ways: Ways) -> None:
    for _ in range(3):
        with connected(ways.gateway, receive_buffer=4096) as connection:
            connection.sendall(b"GET /big/length HTTP/1.1\r\nHost: a\r\n\r\n")
            assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        assert_others_are_served(ways.gateway)


def test_leaving_in_the_middle_of_an_upload(ways: Ways) -> None:
    header, stream = ways.gateway.open_stream()
    head = b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\nX-Stream: %b\r\n\r\n"
    with connected(ways.gateway) as connection:
        connection.sendall(head % header["X-Stream"].encode() + b"half of it")
        stream.wait_arrived()
    assert gone_after(stream)
    assert_others_are_served(ways.gateway)


def test_reading_slowly_to_the_end(ways: Ways) -> None:
    for framing in (b"length", b"chunked"):
        for _ in range(6):
            with connected(ways.gateway, receive_buffer=4096) as connection:
                connection.sendall(b"GET /big/%b HTTP/1.1\r\nHost: a\r\n\r\n" % framing)
                status, *_ = answer_of(connection)
                assert status == 200
            assert_others_are_served(ways.gateway)

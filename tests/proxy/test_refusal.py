"""What is refused before a model sees a byte of it."""

from __future__ import annotations

import pytest

from tests.proxy.raw import Side, code


@pytest.mark.parametrize(
    ("request_line", "field", "status", "name"),
    [
        (b"GET /a#b HTTP/1.1", b"X: 1", 400, "bad_path"),
        (b"GET /../x HTTP/1.1", b"X: 1", 400, "bad_path"),
        (b"GET http://a/x HTTP/1.1", b"X: 1", 400, "bad_path"),
        (b"GET / HTTP/1.1", b"X-Byte: \xff", 400, "bad_header"),
        (b"TRACE / HTTP/1.1", b"X: 1", 405, "bad_method"),
        (b"GET / HTTP/1.1", b"Expect: miracles", 417, "bad_expectation"),
        (b"GET / HTTP/1.1", b"Upgrade: websocket", 501, "no_upgrade"),
        (b"GET / HTTP/2.0", b"X: 1", 505, "bad_version"),
        (b"GET /", b"X: 1", 505, "bad_version"),
        (b"GET / HTTP/1.1", b"Via: " + b"1.1 graygate, " * 8, 508, "loop_detected"),
    ],
)
async def test_what_cannot_be_carried_is_refused(
    side: Side, request_line: bytes, field: bytes, status: int, name: str
) -> None:
    head = request_line + b"\r\nHost: a\r\n" + field + b"\r\nConnection: close, upgrade\r\n\r\n"
    answered, _, body = await side.send(head)
    assert (answered, code(body)) == (status, name)
    assert side.model.heads == []


@pytest.mark.parametrize(
    ("version", "field", "status"),
    [
        (b"1.1", b"Transfer-Encoding: gzip, chunked", 501),
        (b"1.1", b"Transfer-Encoding: ,chunked", 501),
        (b"1.0", b"Transfer-Encoding: chunked", 400),
        (b"1.1", b"Content-Length: 9223372036854775808", 400),
    ],
)
async def test_p05_p06_p07_framing_that_others_read_in_another_way_is_refused(
    side: Side, version: bytes, field: bytes, status: int
) -> None:
    reader, writer = await side.connect()
    writer.write(b"POST / HTTP/" + version + b"\r\nHost: a\r\n" + field + b"\r\n\r\n")
    assert (await reader.readline()).split()[1] == b"%d" % status
    writer.close()
    assert side.model.heads == []


@pytest.mark.parametrize("host", ["", "a, b", "u@a", "a/b", "a:99999", "a:x", "[::1", "a b"])
async def test_p20_a_host_that_is_none_is_refused(side: Side, host: str) -> None:
    request = f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    status, _, body = await side.send(request.encode())
    assert (status, code(body)) == (400, "bad_host")
    assert side.model.heads == []


@pytest.mark.parametrize("host", ["[::1]:80", "a.example:", "A_b-c.example.:65535"])
async def test_p20_hosts_of_every_lawful_form_are_served(side: Side, host: str) -> None:
    request = f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    assert (await side.send(request.encode()))[0] == 200
    assert side.model.field("x-forwarded-host") == [host]

from __future__ import annotations

import pytest

from gateway.errors import Retry, Source, UpstreamProtocolError
from gateway.http1.framing import Framing
from gateway.http1.limits import Limits
from gateway.http1.lines import LineMemo
from gateway.http1.response import ResponseHead, parse_response

LIMITS = Limits()
LINE = b"HTTP/1.1 200 OK"
OLD = b"HTTP/1.0 200 OK"
SWITCH = b"HTTP/1.1 101 Switching Protocols"


def parse(*lines: bytes, limits: Limits = LIMITS) -> ResponseHead:
    return parse_response(b"\r\n".join(lines), LineMemo(), limits)


def refuses(*lines: bytes, limits: Limits = LIMITS) -> None:
    with pytest.raises(UpstreamProtocolError) as caught:
        parse(*lines, limits=limits)
    assert caught.value.source is Source.UPSTREAM
    assert caught.value.retry is Retry.NEVER


# -- what passes -----------------------------------------------------------------


def test_P11_P12_lines_pass_as_they_came_and_in_their_order() -> None:
    lines = [b"Set-Cookie: a", b"B:2", b"set-cookie: b", b"X: \xe9", b"Set-Cookie: c", b"E:"]
    head = parse(LINE, *lines)
    assert head.kept == lines
    assert (head.status, head.status_line, head.minor) == (200, LINE, 1)


def test_P10_superfluous_blanks_do_not_pass() -> None:
    assert parse(LINE, b"X:  a \t", b"Server: b ").kept == [b"X: a", b"Server: b"]


def test_P01_framing_and_what_belongs_to_one_hop_do_not_pass() -> None:
    head = parse(
        LINE,
        b"Connection: x",
        b"Keep-Alive: timeout=5",
        b"Proxy-Connection: x",
        b"Proxy-Authenticate: x",
        b"Proxy-Authentication-Info: x",
        b"TE: x",
        b"Trailer: X",
        b"Transfer-Encoding: chunked",
        b"Upgrade: h2c",
        b"Content_Length: 5",
        b"Y: 1",
    )
    assert head.kept == [b"Y: 1"]
    assert head.upgrade == b""
    assert parse(LINE, b"Content-Length: 3", b"Y: 1").kept == [b"Y: 1"]


def test_P02_what_connection_names_does_not_pass() -> None:
    lines = (b"X-Foo: 1", b"Connection: close, X-Foo", b"x-foo: 2", b"Connection: z", b"Y: 3")
    head = parse(LINE, *lines)
    assert head.kept == [b"Y: 3"]
    assert not head.keep_alive


def test_what_the_gateway_says_itself_does_not_pass() -> None:
    lines = (b"X-Request-Id: 1", b"x-graygate-version: v9", b"X_Graygate_Reason: x", b"Via: 1.1 x")
    assert parse(LINE, *lines).kept == [b"Via: 1.1 x"]


def test_fields_of_requests_mean_nothing_in_an_answer() -> None:
    lines = [b"Host: a b", b"Host: c", b"Expect: x", b"Cookie: d"]
    assert parse(LINE, *lines).kept == lines


def test_date_and_server_are_seen() -> None:
    head = parse(LINE, b"date: now", b"SERVER: uvicorn")
    assert (head.has_date, head.has_server) == (True, True)
    assert head.kept == [b"date: now", b"SERVER: uvicorn"]
    assert not parse(LINE).has_date and not parse(LINE).has_server


def test_the_same_head_says_the_same_again() -> None:
    memo = LineMemo()
    raw = b"\r\n".join((OLD, b"Date: now", b"X:  a", b"Content-Length: 5", b"Set-Cookie: s"))
    for _ in range(3):
        head = parse_response(raw, memo, LIMITS)
        assert (head.length, head.has_date, head.minor) == (5, True, 0)
        assert head.kept == [b"Date: now", b"X: a", b"Set-Cookie: s"]


# -- framing ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "length", "chunked"),
    [
        ((), -1, False),
        ((b"Content-Length: 0",), 0, False),
        ((b"content-length:003",), 3, False),
        ((b"Transfer-Encoding: Chunked ",), -1, True),
    ],
)
def test_P08_what_a_head_says_of_its_body(
    lines: tuple[bytes, ...], length: int, chunked: bool
) -> None:
    head = parse(LINE, *lines)
    assert (head.length, head.chunked) == (length, chunked)


@pytest.mark.parametrize(
    "lines",
    [
        (b"Content-Length: 3", b"Content-Length: 3"),
        (b"Content-Length: 3", b"Content-Length: 4"),
        (b"Content-Length: 3, 3",),
        (b"Content-Length: 3x",),
        (b"Content-Length:",),
        (b"Content-Length: 9223372036854775808",),
        (b"Content-Length: 3", b"Transfer-Encoding: chunked"),
        (b"Transfer-Encoding: chunked", b"Content-Length: 3"),
        (b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
        (b"Transfer-Encoding: gzip, chunked",),
        (b"Transfer-Encoding: chunked, gzip",),
        (b"Transfer-Encoding: gzip",),
        (b"Transfer-Encoding: identity",),
        (b"Transfer-Encoding:",),
    ],
)
def test_P04_P06_P07_an_end_that_cannot_be_trusted_is_refused(lines: tuple[bytes, ...]) -> None:
    refuses(LINE, *lines)
    refuses(b"HTTP/1.1 204 No Content", *lines)


def test_P05_a_coding_in_http_1_0_is_refused() -> None:
    refuses(OLD, b"Transfer-Encoding: chunked")


@pytest.mark.parametrize(
    ("lines", "keep_alive"),
    [
        ((LINE,), True),
        ((LINE, b"Connection: CLOSE"), False),
        ((LINE, b"Connection: keep-alive", b"Connection: close"), False),
        ((OLD,), False),
        ((OLD, b"Connection: Keep-Alive"), True),
    ],
)
def test_a_connection_stays_open_or_not(lines: tuple[bytes, ...], keep_alive: bool) -> None:
    assert parse(*lines).keep_alive is keep_alive


def test_P16_who_switches_protocols_says_to_which() -> None:
    head = parse(SWITCH, b"Connection: upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Accept: x")
    assert (head.upgrade, head.kept) == (b"websocket", [b"Sec-WebSocket-Accept: x"])
    refuses(SWITCH, b"Connection: upgrade")
    refuses(SWITCH, b"Connection: upgrade", b"Upgrade:")
    refuses(SWITCH.replace(b"1.1", b"1.0"), b"Connection: upgrade", b"Upgrade: websocket")


# -- what is refused -------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [b"X : a", b" folded", b"\tfolded", b"X", b": a", b"X: a\nY: b", b"X: a\rb", b"X: \x00", b""],
)
def test_P09_a_line_that_is_none_refuses_the_answer(line: bytes) -> None:
    refuses(LINE, b"X: 1", line)
    refuses(LINE, line, b"X: 1")


def test_an_answer_starts_with_its_status() -> None:
    refuses(b"")
    refuses(b"", LINE)
    refuses(b"HTTP/2.0 200 OK")


def test_limits_hold_for_answers_too() -> None:
    limits = Limits(head_bytes=60, head_lines=2)
    line = b"X: " + b"a" * (60 - len(LINE) - 5)
    assert parse(LINE, line, limits=limits).kept == [line]
    refuses(LINE, line + b"a", limits=limits)
    refuses(LINE, b"X: 1", b"X: 2", b"X: 3", limits=limits)


def test_status_lines_are_not_remembered_without_end() -> None:
    memo = LineMemo(entries=8)
    for number in range(1000):
        parse_response(b"HTTP/1.1 200 %d" % number, memo, LIMITS)
        assert len(memo.status_lines) <= 4
    parse_response(b"HTTP/1.1 200 " + b"a" * 300, memo, LIMITS)
    assert all(len(line) < 300 for line in memo.status_lines)


def test_a_head_says_what_it_is() -> None:
    assert repr(parse(b"HTTP/1.0 404 Not Found")) == "<ResponseHead 404 HTTP/1.0>"


# -- what is remembered of whole heads --------------------------------------------


def test_a_head_whose_lines_are_all_remembered_is_read_once() -> None:
    memo = LineMemo()
    raw = b"\r\n".join((LINE, b"Server: x", b"Content-Length: 5"))
    seen = [parse_response(raw, memo, LIMITS) for _ in range(4)]
    assert seen[3] is seen[2] is not seen[0]
    assert {(one.block, one.length_line, one.framing) for one in seen} == {
        (LINE + b"\r\nServer: x", b"Content-Length: 5", Framing.LENGTH)
    }


def test_A14_a_head_with_a_secret_is_not_remembered() -> None:
    memo = LineMemo()
    raw = b"\r\n".join((LINE, b"Server: x", b"Set-Cookie: canary"))
    for _ in range(4):
        parse_response(raw, memo, LIMITS)
    assert not memo.response_heads


def test_a_stranger_cannot_make_the_remembered_heads_grow() -> None:
    memo = LineMemo()
    for number in range(3000):
        for _ in range(3):
            parse_response(LINE + b"\r\nY: %d" % number, memo, LIMITS)
    assert 0 < len(memo.response_heads) <= 2048
    long = LINE + b"".join(b"\r\nX-%d: %b" % (n, b"a" * 200) for n in range(6))
    for _ in range(4):
        parse_response(long, memo, LIMITS)
    assert long not in memo.response_heads

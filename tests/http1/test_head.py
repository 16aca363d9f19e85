from __future__ import annotations

import pytest

from gateway.errors import DownstreamError, UpstreamProtocolError
from gateway.http1 import head as module
from gateway.http1.head import HeadBuffer, ResponseHeadBuffer
from gateway.http1.limits import Limits
from tests.http1.wire import cut

LIMITS = Limits()
HEAD = b"GET /p HTTP/1.1\r\nHost: a\r\nX: 1"
ANSWER = b"HTTP/1.1 200 OK\r\nX: 1"
SIZES = [0, 1, 2, 3, 7]


def feed(
    buffer: HeadBuffer | ResponseHeadBuffer, data: bytes, size: int
) -> tuple[bytes, bytes] | None:
    """Feeds pieces until there is a head; what was not fed by then is added to the rest."""
    pieces = cut(data, size)
    for piece in pieces:
        if found := buffer.feed(piece):
            return found[0], found[1] + b"".join(pieces)
    return None


def refusal(data: bytes, size: int, limits: Limits = LIMITS) -> tuple[int, str]:
    with pytest.raises(DownstreamError) as caught:
        feed(HeadBuffer(limits), data, size)
    return caught.value.status, caught.value.code


# -- requests --------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("rest", [b"", b"body", b"\r\n", HEAD + b"\r\n\r\n"])
def test_a_head_is_parted_from_what_follows(size: int, rest: bytes) -> None:
    buffer = HeadBuffer(LIMITS)
    assert feed(buffer, HEAD + b"\r\n\r\n" + rest, size) == (HEAD, rest)
    assert buffer.is_empty


@pytest.mark.parametrize("size", SIZES)
def test_a_buffer_can_be_used_again(size: int) -> None:
    buffer = HeadBuffer(LIMITS)
    for _ in range(3):
        assert feed(buffer, b"\r\n" + HEAD + b"\r\n\r\n", size) == (HEAD, b"")


@pytest.mark.parametrize("size", SIZES)
def test_a_head_may_have_no_fields(size: int) -> None:
    data = b"GET / HTTP/1.0\r\n\r\nrest"
    assert feed(HeadBuffer(LIMITS), data, size) == (b"GET / HTTP/1.0", b"rest")


@pytest.mark.parametrize("size", SIZES)
def test_one_empty_line_in_front_is_tolerated(size: int) -> None:
    assert feed(HeadBuffer(LIMITS), b"\r\n" + HEAD + b"\r\n\r\nx", size) == (HEAD, b"x")
    for more in (b"\r\n\r\n", b"\r\n\r\n\r\n", b"\n", b"\r\n\n", b"\r\r\n"):
        assert refusal(more + HEAD + b"\r\n\r\n", size) == (400, "bad_request")


def test_nothing_but_an_empty_line_is_nothing() -> None:
    buffer = HeadBuffer(LIMITS)
    assert buffer.is_empty
    assert buffer.feed(b"") is None
    assert buffer.is_empty
    assert buffer.feed(b"\r\n") is None
    assert buffer.is_empty
    assert buffer.feed(b"G") is None
    assert not buffer.is_empty


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\nX: 1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\n",
        b"GET / HTTP/1.1\r\nHost: a\n\n",
        b"GET / HTTP/1.1\n\n",
        b"\n",
    ],
)
def test_P09_a_bare_line_feed_is_refused_when_it_comes(data: bytes, size: int) -> None:
    found = refusal(data, size)
    assert found[0] == 400
    before = data[: max(data.find(b"\n", at) for at in range(len(data)) if _is_bare(data, at)) + 1]
    assert refusal(before, size) == found


def _is_bare(data: bytes, at: int) -> bool:
    return data[at : at + 1] == b"\n" and data[at - 1 : at] != b"\r"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"GET / HTTP/2.0", (505, "bad_version")),
        (b"PRI * HTTP/2.0", (505, "bad_version")),
        (b"CONNECT a:1 HTTP/1.1", (405, "bad_method")),
        (b"GET /#f HTTP/1.1", (400, "bad_path")),
        (b"GET /p", (400, "bad_request")),
    ],
)
def test_P23_the_first_line_is_judged_when_it_is_there(
    line: bytes, expected: tuple[int, str], size: int
) -> None:
    assert refusal(line + b"\r\n", size) == expected


@pytest.mark.parametrize(
    "data", [b"\x16\x03\x01\x02", b"\x00", b" GET", b"get", b"{", b"\xff", b"\rG", b"\r\r"]
)
def test_what_starts_like_no_request_need_not_wait_for_its_end(data: bytes) -> None:
    for size in (0, 1):
        assert refusal(data, size) == (400, "bad_request")


@pytest.mark.parametrize("size", [0, 1, 7])
def test_P25_the_first_line_may_be_as_long_as_its_limit(size: int) -> None:
    limits = Limits(line_bytes=40)
    line = b"GET /" + b"a" * (40 - 14) + b" HTTP/1.1"
    assert len(line) == 40
    assert feed(HeadBuffer(limits), line + b"\r\n\r\n", size) == (line, b"")
    assert refusal(b"GET /a" + line[5:] + b"\r\n\r\n", size, limits) == (414, "line_too_long")


def test_P25_an_endless_first_line_is_refused_before_its_end() -> None:
    limits = Limits(line_bytes=40)
    buffer = HeadBuffer(limits)
    assert buffer.feed(b"G" * 41) is None  # the last may be a CR that is not there yet
    with pytest.raises(DownstreamError) as caught:
        buffer.feed(b"G")
    assert caught.value.status == 414


@pytest.mark.parametrize("size", [0, 1, 7])
def test_P25_the_head_may_be_as_large_as_its_limit(size: int) -> None:
    limits = Limits(head_bytes=60)
    head = HEAD + b"a" * (60 - len(HEAD))
    assert feed(HeadBuffer(limits), head + b"\r\n\r\nrest", size) == (head, b"rest")
    assert refusal(head + b"a\r\n\r\n", size, limits) == (431, "head_too_large")
    assert refusal(head + b"a" * 4, size, limits) == (431, "head_too_large")


@pytest.mark.parametrize("size", [0, 1])
def test_P25_there_may_be_as_many_lines_as_the_limit_says(size: int) -> None:
    limits = Limits(head_lines=3)
    head = b"GET / HTTP/1.1" + b"\r\nX: 1" * 3
    assert feed(HeadBuffer(limits), head + b"\r\n\r\n", size) == (head, b"")
    assert refusal(head + b"\r\nX: 1\r\n", size, limits) == (431, "head_too_large")


def test_a_large_body_behind_a_head_is_not_the_head() -> None:
    body = b"\n" * 200_000
    assert feed(HeadBuffer(LIMITS), HEAD + b"\r\n\r\n" + body, 0) == (HEAD, body)


# -- answers ---------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_the_head_of_an_answer_is_parted_from_what_follows(size: int) -> None:
    buffer = ResponseHeadBuffer(LIMITS)
    assert buffer.is_empty
    for rest in (b"", b"\r\nbody"):
        assert feed(buffer, ANSWER + b"\r\n\r\n" + rest, size) == (ANSWER, rest)
        assert buffer.is_empty


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\n\n",
        b"HTTP/1.1 200 OK\r\nX: 1\n\r\n",
        b"\r\n" + ANSWER,
        b"\nHTTP",
        b"<html>",
        b"RTSP/1.0 200 OK",
        b"HTTP/1.1 999 X\r\n",
        b"HTTP/1.1 20 X\r\n",
        b"HTTP/2.0 200 X\r\n",
        b"HTTP/1.1 200 " + b"a" * LIMITS.line_bytes,
        ANSWER + b"a" * (LIMITS.head_bytes + 4),
        ANSWER + b"\r\nX: 1" * 100 + b"\r\n",
    ],
)
def test_P09_what_is_no_answer_is_refused_when_it_comes(data: bytes, size: int) -> None:
    with pytest.raises(UpstreamProtocolError):
        feed(ResponseHeadBuffer(LIMITS), data, size)


# -- cost ------------------------------------------------------------------------


class Counting(bytearray):
    """Counts the bytes that are searched."""

    searched = 0

    def find(self, *arguments: object) -> int:
        start = arguments[1]
        assert isinstance(start, int)
        Counting.searched += len(self) - start
        return super().find(*arguments)  # type: ignore[arg-type]


def test_L05_every_byte_is_looked_at_once_whatever_the_pieces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "bytearray", Counting, raising=False)
    for size in (1, 7, 1000):
        monkeypatch.setattr(Counting, "searched", 0)
        head = HEAD + b"a" * 60_000
        assert feed(HeadBuffer(LIMITS), head + b"\r\n\r\n", size) == (head, b"")
        assert Counting.searched <= 2 * len(head)


def test_no_more_is_held_than_a_head_may_be_large() -> None:
    buffer = HeadBuffer(LIMITS)
    buffer.feed(HEAD)
    with pytest.raises(DownstreamError):
        for _ in range(20 * 2**20 // 4096):
            buffer.feed(b"a" * 4096)
    assert repr(buffer) == f"<HeadBuffer 2 lines, {len(HEAD) + 16 * 4096} bytes>"


def test_buffers_say_how_far_they_are() -> None:
    answers = ResponseHeadBuffer(LIMITS)
    answers.feed(b"HTTP/1.1 200 OK\r\nX")
    assert repr(answers) == "<ResponseHeadBuffer 1 lines, 18 bytes>"

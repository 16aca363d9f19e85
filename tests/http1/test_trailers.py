from __future__ import annotations

import pytest

from gateway.http1.lines import BadLine
from gateway.http1.trailers import passable


@pytest.mark.parametrize(
    ("line", "passed"),
    [
        (b"Server-Timing: a", b"Server-Timing: a"),
        (b"ETag:\t1 ", b"ETag: 1"),
        (b"grpc-status:0", b"grpc-status: 0"),
    ],
)
def test_what_is_known_at_the_end_only_may_come_late(line: bytes, passed: bytes) -> None:
    assert passable(line) == passed


@pytest.mark.parametrize(
    "name",
    [
        b"Host",
        b"Content-Length",
        b"content_length",
        b"Transfer-Encoding",
        b"Trailer",
        b"Connection",
        b"Authorization",
        b"Cookie",
        b"Set-Cookie",
        b"Content-Type",
        b"Content-Encoding",
        b"Via",
        b"Forwarded",
        b"X-User-Id",
        b"X_User_Id",
        b"X-Forwarded-For",
        b"X-Graygate-Version",
        b"Expect",
        b"Range",
        b"If-Match",
        b"Cache-Control",
    ],
)
def test_P14_what_frames_or_identifies_never_comes_late(name: bytes) -> None:
    assert passable(name + b": a") == b""
    assert passable(name.lower() + b":a") == b""


@pytest.mark.parametrize("line", [b"", b"X", b"X : a", b" X: a", b": a", b"X: a\x00", b"X: a\rb"])
def test_P14_what_is_no_line_is_refused(line: bytes) -> None:
    with pytest.raises(BadLine):
        passable(line)

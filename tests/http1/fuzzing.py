"""Requests that are right, and what becomes of them when they are tampered with."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

SECONDS = float(os.environ.get("GRAYGATE_FUZZ_SECONDS", "0"))

# A moment in every run of the tests, always the same; for hours always another.
FUZZ = settings(
    max_examples=2000 if SECONDS else 150,
    derandomize=not SECONDS,
    database=None,
    deadline=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large),
)


def fuzz(check: Callable[[], None]) -> Callable[[], None]:
    """Marks a test, and runs it again and again until its time is over."""

    @pytest.mark.fuzz
    @pytest.mark.timeout(SECONDS + 120)
    def run() -> None:
        until = time.monotonic() + SECONDS
        check()
        while time.monotonic() < until:
            check()

    run.__name__ = check.__name__
    run.__doc__ = check.__doc__
    return run


# -- right messages --------------------------------------------------------------

METHODS = [b"GET", b"POST", b"PUT", b"HEAD", b"DELETE", b"OPTIONS", b"PATCH", b"PROPFIND"]
TARGETS = [
    b"/",
    b"/v1/chat",
    b"/a//b/%2e%2e?x=1&y",
    b"//c/d",
    b"http://a.example/p?q",
    b"*",
    b"/{}",
]
FIELDS = [
    b"Accept: */*",
    b"X-Empty:",
    b"X:no-blank",
    b"X-Blanks:  many \t",
    b"X-Latin: \xe9\xff",
    b"X_Under_Score: 1",
    b"Cookie: a=b; c=d",
    b"X-User-Id: alice",
    b"X-Forwarded-For: 1.2.3.4",
    b"Via: 1.1 somebody",
    b"Connection: keep-alive",
    b"Connection: close",
    b"Connection: x, X-User-Id",
    b"Connection: upgrade",
    b"Upgrade: h2c",
    b"Upgrade: websocket",
    b"TE: trailers",
    b"Trailer: X",
    b"Expect: 100-continue",
    b"X-Graygate-Version: v2",
    b"Content-Type: application/json",
]
BODIES = st.one_of(
    st.sampled_from([b"", b"abc", b"0\r\n\r\n", b"GET /h HTTP/1.1\r\nHost: h\r\n\r\n"]),
    st.binary(max_size=40),
)
EXTENSIONS = [b"", b"", b"", b";a", b";a=b", b';a="b;c"', b" ; a = b", b";a;b"]
TRAILERS = [b"X: a", b"Host: evil", b"Content-Length: 3", b"ETag: 1", b"Transfer-Encoding: chunked"]


@st.composite
def chunked(draw: st.DrawFn) -> bytes:
    """A body in chunks, with all that the grammar allows."""
    data = b""
    for part in draw(st.lists(st.binary(min_size=1, max_size=20), max_size=4)):
        size = b"%x" % len(part) if draw(st.booleans()) else b"%X" % len(part)
        size = b"0" * draw(st.integers(0, 3)) + size if draw(st.booleans()) else size
        data += size + draw(st.sampled_from(EXTENSIONS)) + b"\r\n" + part + b"\r\n"
    data += b"0" * draw(st.integers(1, 3)) + draw(st.sampled_from(EXTENSIONS)) + b"\r\n"
    for trailer in draw(st.lists(st.sampled_from(TRAILERS), max_size=2)):
        data += trailer + b"\r\n"
    return data + b"\r\n"


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A request that may be served, or nearly so."""
    method, target = draw(st.sampled_from(METHODS)), draw(st.sampled_from(TARGETS))
    minor = draw(st.sampled_from([1, 1, 1, 0]))
    lines = [b"Host: a.example", *draw(st.lists(st.sampled_from(FIELDS), max_size=5))]
    body = b""
    kind = draw(st.sampled_from(["none", "length", "chunked"]))
    if kind == "length":
        body = draw(BODIES)
        lines.append(b"Content-Length: %d" % len(body))
    elif kind == "chunked":
        body = draw(chunked())
        lines.append(b"Transfer-Encoding: chunked")
    lines = list(draw(st.permutations(lines)))
    first = b"%b %b HTTP/1.%d" % (method, target, minor)
    return b"\r\n".join([first, *lines, b"", body])


# -- tampering -------------------------------------------------------------------

_ODD = b"\x00\t\n\x0b\x0c\r \"#%'(+,-./0123456789:;=?@AHa[\\]_`x{\x7f\x80\x85\xa0\xe9"
TOKENS = [
    *(bytes((byte,)) for byte in _ODD),
    b"*",
    b"\r\n",
    b"\r\n\r\n",
    b"\n\n",
    b"\r\r\n",
    b"\r\n ",
    b" :",
    b"0x",
    b"%00",
    b"0\r\n\r\n",
    b"00000000000000000",
    b"ffffffffffffffff",
    b';a="',
    b", chunked",
    b"identity, ",
    b"HTTP/0.9",
    b"HTTP/2.0",
    b"\r\nHost: b",
    b"\r\nContent-Length: 3",
    b"\r\nContent_Length: 3",
    b"\r\nTransfer-Encoding: chunked",
    b"\r\nTransfer-Encoding: identity",
    b"\r\nConnection: Content-Length",
    b"\r\nConnection: Host, Upgrade",
    b"\r\nUpgrade: x",
    b"\r\nExpect: x",
    b"http://b/",
    b"http://u@a.example/",
    b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
]
_SEAMS = b'\r\n :;,="'


@st.composite
def tampered(draw: st.DrawFn, messages: st.SearchStrategy[bytes]) -> bytes:
    """A message with a few things put in, left out or repeated, mostly where its parts meet."""
    data = draw(messages)
    for _ in range(draw(st.integers(0, 3))):
        seams = [at for at, byte in enumerate(data) if byte in _SEAMS]
        is_seam = draw(st.booleans())
        if seams and is_seam:
            at = draw(st.sampled_from(seams)) + draw(st.integers(0, 1))
        else:
            at = draw(st.integers(0, len(data)))
        size = draw(st.sampled_from([0, 0, 1, 1, 2, 5]))
        how = draw(st.sampled_from(["put", "put", "drop", "repeat"]))
        if how == "put":
            data = data[:at] + draw(st.sampled_from(TOKENS)) + data[at + size :]
        elif how == "drop":
            data = data[:at] + data[at + max(size, 1) :]
        else:
            data = data[:at] + data[at : at + 20] + data[at:]
    return data

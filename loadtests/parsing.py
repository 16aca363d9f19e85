"""What reading HTTP/1.1 costs: `python -m loadtests.parsing [ROUNDS]`.

Prints the least, the median and the most of several rounds, in microseconds per call; what the
measuring loop itself costs is taken off. The request of twenty headers is that of a client of
models behind a proxy; all requests of a case come on one connection. Ratios travel between
machines, absolute numbers do not.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from itertools import count, cycle

from gateway.http1.chunks import LAST_CHUNK, ChunkDecoder, ChunkScanner, chunk
from gateway.http1.head import HeadBuffer
from gateway.http1.limits import Limits
from gateway.http1.lines import LineMemo
from gateway.http1.request import Start, parse_request
from gateway.http1.response import parse_response
from loadtests.figures import HEADINGS, row

ROUNDS = 9
CALLS = 5000
LIMITS = Limits()
WANTED = frozenset({b"x-user-id", b"authorization"})

TWO = b"GET /v1/models HTTP/1.1\r\nHost: models.example.com\r\nAccept: */*"
PLAIN = [
    b"Host: models.example.com",
    b"Connection: keep-alive",
    b"Content-Length: 1234",
    b"Accept: application/json",
    b"Accept-Encoding: gzip, deflate, br",
    b"Accept-Language: en-US,en;q=0.9",
    b"Content-Type: application/json",
    b"User-Agent: OpenAI/Python 2.11.0",
    b"X-Stainless-Arch: x64",
    b"X-Stainless-Async: async:asyncio",
    b"X-Stainless-Lang: python",
    b"X-Stainless-OS: Linux",
    b"X-Stainless-Package-Version: 2.11.0",
    b"X-Stainless-Read-Timeout: 600",
    b"X-Stainless-Retry-Count: 0",
    b"X-Stainless-Runtime: CPython",
    b"X-Stainless-Runtime-Version: 3.11.7",
    b"Cache-Control: no-cache",
    b"Pragma: no-cache",
    b"Origin: https://app.example.com",
]
# Lines that are looked at, set apart or never remembered.
MIXED = [
    *PLAIN[:15],
    b"Authorization: Bearer 0123456789abcdef0123456789abcdef0123456789abcdef",
    b"X-User-Id: user-00001234",
    b"X-Request-Id: 5b3c6f0e9d1a4c0f8e7d6c5b4a392817",
    b"X-Forwarded-For: 203.0.113.7",
    b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
]
ANSWER = (
    b"HTTP/1.1 200 OK\r\ndate: Tue, 01 Sep 2026 10:00:00 GMT\r\nserver: uvicorn\r\n"
    b"content-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked"
)
EVENT = b'data: {"id":"c-1","choices":[{"delta":{"content":" word"}}],"model":"m"}\n\n'


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    print("microseconds per call")
    print(HEADINGS)
    for name, run in cases():
        run()
        empty = min(per_call(lambda: None) for _ in range(3))
        print(row(name, [per_call(run) - empty for _ in range(rounds)]))


def per_call(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    for _ in range(CALLS):
        run()
    return (time.perf_counter() - started) / CALLS * 1e6


def head(lines: list[bytes]) -> bytes:
    return b"\r\n".join([b"POST /v1/chat/completions HTTP/1.1", *lines])


def cases() -> Iterator[tuple[str, Callable[[], object]]]:
    yield "request, 2 headers, always the same", parsing(cycle([TWO]))
    yield "request, 20 headers, always the same", parsing(cycle([head(PLAIN)]))
    yield "request, 20 headers, the last 5 special", parsing(cycle([head(MIXED)]))
    yield "request, 20 headers, the first is new", parsing(numbered(PLAIN))
    yield "  split into lines alone", splitting(head(PLAIN))
    yield "request, 20 headers, no line comes again", parsing(new_heads(b"X-Header-%d: value %d"))
    yield "request, 20 headers, nor does a name", parsing(new_heads(b"X-%d-%d: value"))
    yield "request, 20 headers, with odd blanks", parsing(new_heads(b"X-Header-%d:  value %d "))
    yield "request, 20 ordinary, a stranger between", parsing(beside(head(PLAIN)))
    yield "answer, 4 headers", answering(ANSWER)
    yield "head in one piece through the buffer", buffering(head(PLAIN), 4096)
    yield "head byte by byte, per byte", buffering(head(PLAIN), 1)
    yield "chunk of one event", scanning(chunk(EVENT))
    yield "chunks of ten events", scanning(chunk(EVENT) * 10)
    yield "chunk of one event and the end", ending(chunk(EVENT) + LAST_CHUNK)
    yield "chunk of 64 KiB", scanning(chunk(b"a" * 65_536))
    yield "piece of a large chunk", within_a_chunk(b"a" * 4096)
    yield "chunk of one event, with an extension", ending(b"5;a=b\r\nevent\r\n" + LAST_CHUNK)
    yield "1,000 chunks of one byte", scanning(chunk(b"a") * 1000)
    yield "chunk of one event, its content", decoding(chunk(EVENT))


def parsing(heads: Iterator[bytes]) -> Callable[[], object]:
    memo = LineMemo(WANTED)
    start: Start | None = None

    def run() -> None:
        nonlocal start
        start = parse_request(next(heads), memo, LIMITS, start).start

    return run


def numbered(lines: list[bytes]) -> Iterator[bytes]:
    return cycle([head([b"X-Number: %d" % n, *lines[1:], lines[0]]) for n in range(10_000)])


def splitting(data: bytes) -> Callable[[], object]:
    return lambda: data.split(b"\r\n")


def answering(data: bytes) -> Callable[[], object]:
    memo = LineMemo()
    return lambda: parse_response(data, memo, LIMITS)


def new_heads(form: bytes) -> Iterator[bytes]:
    """Of 20 headers. They come again only when the memo must have forgotten them."""
    numbers = count()
    heads = [
        b"\r\n".join([TWO, *(form % (line, next(numbers)) for line in range(18))])
        for _ in range(1000)
    ]
    return cycle(heads)


def beside(data: bytes) -> Iterator[bytes]:
    """A client whose head comes again, and in each tenth call a stranger who fills the memo."""
    strangers = new_heads(b"X-Header-%d: value %d")
    return (data if number % 10 else next(strangers) for number in count())


def buffering(data: bytes, size: int) -> Callable[[], object]:
    whole = data + b"\r\n\r\n"
    buffer = HeadBuffer(LIMITS)
    pieces = [whole[start : start + size] for start in range(0, len(whole), size)]
    if len(pieces) == 1:
        return lambda: buffer.feed(whole)
    endless = (piece for _ in count() for piece in pieces)
    return lambda: buffer.feed(next(endless))


def scanning(data: bytes) -> Callable[[], object]:
    scanner = ChunkScanner(LIMITS)
    return lambda: scanner.feed(data)


def ending(data: bytes) -> Callable[[], object]:
    return lambda: ChunkScanner(LIMITS).feed(data)


def within_a_chunk(data: bytes) -> Callable[[], object]:
    scanner = ChunkScanner(LIMITS)
    scanner.feed(b"fffffffffff\r\n")
    return lambda: scanner.feed(data)


def decoding(data: bytes) -> Callable[[], object]:
    decoder = ChunkDecoder(LIMITS)
    return lambda: decoder.feed(data)


if __name__ == "__main__":
    main()

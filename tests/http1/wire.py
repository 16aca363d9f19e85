"""A connection's bytes read as the gateway reads them, and what it would send on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from gateway.errors import DownstreamError
from gateway.http1.chunks import ChunkError, ChunkScanner
from gateway.http1.head import HeadBuffer
from gateway.http1.limits import Limits
from gateway.http1.lines import LineMemo
from gateway.http1.request import RequestHead, Start, parse_request

LIMITS = Limits()
LINE = b"GET / HTTP/1.1"
HOST = b"Host: a.example"


def parse(
    *lines: bytes, wanted: frozenset[bytes] = frozenset(), limits: Limits = LIMITS
) -> RequestHead:
    """One head, given as its lines, with a memo that knows nothing."""
    return parse_request(b"\r\n".join(lines), LineMemo(wanted), limits)


def with_line(*lines: bytes, wanted: frozenset[bytes] = frozenset()) -> RequestHead:
    """A good head with these lines in it."""
    return parse(LINE, HOST, *lines, wanted=wanted)


def refusal(*lines: bytes, limits: Limits = LIMITS) -> tuple[int, str]:
    """(status, code) of the refusal of a head that is given as its lines."""
    try:
        head = parse(*lines, limits=limits)
    except DownstreamError as error:
        return error.status, error.code
    raise AssertionError(f"{head!r} was not refused")


def cut(data: bytes, size: int) -> Iterator[bytes]:
    """The bytes in pieces of one size; 0 = in one piece."""
    if not size:
        yield data
        return
    for start in range(0, len(data), size):
        yield data[start : start + size]


@dataclass
class Seen:
    """What the gateway makes of a connection's bytes."""

    heads: list[RequestHead] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)  # in the framing in which they are sent on
    status: int = 0  # of the refusal at which reading ended; 0 = none
    text: str = ""  # why that was
    open: bool = False  # whether it waits for the rest of a message

    @property
    def count(self) -> int:
        """How many requests were read to their end."""
        return len(self.bodies)

    @property
    def forwarded(self) -> list[bytes]:
        """Each complete request, as a model gets it."""
        return [sent(*pair) for pair in zip(self.heads, self.bodies, strict=False)]


def sent(head: RequestHead, body: bytes) -> bytes:
    """A request in the gateway's words around the lines that pass."""
    lines = [
        head.method.encode() + b" " + head.target + b" HTTP/1.1",
        b"Host: " + (head.host or b"a.example"),
        *head.kept,
        *(line for _, _, line in head.special or ()),
    ]
    if head.length >= 0:
        lines.append(b"Content-Length: %d" % head.length)
    elif head.chunked:
        lines.append(b"Transfer-Encoding: chunked")
    return b"\r\n".join([*lines, b"", body])


class Reader:
    """Reads request after request, as long as they can be trusted."""

    def __init__(self, limits: Limits = LIMITS, wanted: frozenset[bytes] = frozenset()) -> None:
        self.seen = Seen()
        self._limits = limits
        self._memo = LineMemo(wanted)
        self._heads = HeadBuffer(limits)
        self._head: RequestHead | None = None
        self._start: Start | None = None
        self._scanner: ChunkScanner | None = None
        self._body = b""
        self._is_over = False

    def feed(self, data: bytes) -> None:
        while data and not self._is_over:
            try:
                data = self._step(data)
            except DownstreamError as error:
                self._end(error.status, str(error))
            except ChunkError as error:
                self._end(400, str(error))
        self.seen.open = not self._is_over and not (self._head is None and self._heads.is_empty)

    def _step(self, data: bytes) -> bytes:
        if self._head is None:
            found = self._heads.feed(data)
            if found is None:
                return b""
            self._head = parse_request(found[0], self._memo, self._limits, self._start)
            self._start = self._head.start
            self.seen.heads.append(self._head)
            self._scanner = ChunkScanner(self._limits) if self._head.chunked else None
            self._body, data = b"", found[1]
        if self._scanner is not None:
            self._body += self._scanner.feed(data)
            is_done, rest = self._scanner.is_done, self._scanner.rest
        else:
            missing = max(self._head.length, 0) - len(self._body)
            self._body += data[:missing]
            is_done, rest = len(data) >= missing, data[missing:]
        if not is_done:
            return b""
        self.seen.bodies.append(self._body)
        self._is_over = not self._head.keep_alive
        self._head = None
        return rest

    def _end(self, status: int, text: str) -> None:
        self.seen.status = status
        self.seen.text = text
        self._is_over = True


def read(data: bytes, size: int = 0, limits: Limits = LIMITS) -> Seen:
    """All that comes on one connection, in pieces of one size."""
    reader = Reader(limits)
    for piece in cut(data, size):
        reader.feed(piece)
    return reader.seen

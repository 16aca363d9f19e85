"""The body of a request on its way in: counted, checked, and put into the framing it leaves in."""

from __future__ import annotations

from gateway.errors import DownstreamError
from gateway.http1.chunks import ChunkDecoder, ChunkError, ChunkScanner
from gateway.http1.limits import Limits
from gateway.http1.request import RequestHead


class Upload:
    """Takes a body's bytes as they come, in pieces of any size.

    `feed` returns what may be sent on; when the body has ended, `is_complete` is set, and `rest`
    has the bytes that came behind it. It raises DownstreamError when the body is wrong or too long.
    """

    __slots__ = ("_limit", "_reader", "_remaining", "is_complete", "received", "rest")

    def __init__(self, head: RequestHead, limits: Limits, limit: int, *, decode: bool) -> None:
        """`limit` counts bytes of content, 0 = none; `decode` takes the chunks off."""
        self._limit = limit
        self._remaining = head.length
        self._reader: ChunkScanner | ChunkDecoder | None = None
        if head.chunked:
            self._reader = ChunkDecoder(limits) if decode else ChunkScanner(limits)
        elif limit and head.length > limit:
            raise too_large(limit)
        self.is_complete = False
        self.received = 0
        self.rest = b""

    def __repr__(self) -> str:
        state = "complete" if self.is_complete else "arriving"
        return f"<Upload {state}, {self.received} bytes>"

    def feed(self, data: bytes) -> bytes:
        self.received += len(data)
        reader = self._reader
        if reader is None:
            self._remaining -= len(data)
            if self._remaining > 0:
                return data
            self.is_complete = True
            if self._remaining < 0:
                self.rest = data[self._remaining :]
                data = data[: self._remaining]
                self.received += self._remaining
            return data
        try:
            data = reader.feed(data)
        except ChunkError as error:
            raise DownstreamError(400, "bad_framing", f"The body is garbled: {error}.") from error
        if self._limit and reader.payload_bytes > self._limit:
            raise too_large(self._limit)
        if reader.is_done:
            self.is_complete = True
            self.rest = reader.rest
            self.received -= len(self.rest)
        return data


def too_large(limit: int) -> DownstreamError:
    text = f"The body is longer than the {limit} bytes that this route takes."
    return DownstreamError(413, "body_too_large", text)

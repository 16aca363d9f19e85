"""What two versions answered to the same request, kept for whoever compares them.

The content of an answer is counted, hashed and forgotten as it passes; only its beginning is kept.
How it was framed on its way says nothing about a model, so chunks are taken off.
"""

from __future__ import annotations

import time

import msgspec
from xxhash import xxh3_64

from gateway.errors import UpstreamError
from gateway.http1.framing import Framing
from gateway.http1.response import ResponseHead
from gateway.upstream.connection import Sink

_CONTENT_TYPE = b"content-type:"
_CONTENT_ENCODING = b"content-encoding:"

_monotonic = time.monotonic


class Half(msgspec.Struct, frozen=True, kw_only=True):
    """What one version answered; times count from when the whole request was on its way to it."""

    version: str
    status: int  # 0 = no answer began
    failure: str  # "" = the answer is whole; else connect, timeout, protocol or stream_cut
    content_type: str
    content_encoding: str  # the content is hashed and kept as it came
    first_byte_seconds: float | None  # None = no answer began
    seconds: float  # until the end, whatever it was
    size_bytes: int  # of the content, without chunks
    digest: int  # xxh3_64 of the whole content
    beginning: bytes  # of the content
    is_truncated: bool  # there was more of it than `beginning`


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """One request and both its answers."""

    route: str
    request_id: str
    unit: int | None  # its place on the circle by the mirror's salt; None = nobody is known
    primary: Half  # what the client got
    copy: Half


class Capture:
    """Takes note of one answer; the caller has the clock."""

    __slots__ = (
        "_beginning",
        "_chunks",
        "_ended_at",
        "_first_byte_at",
        "_hash",
        "_head",
        "_most_bytes",
        "_sent_at",
        "_size_bytes",
        "failure",
        "has_ended",
        "version",
    )

    def __init__(self, version: str, most_bytes: int) -> None:
        self.version = version
        self.has_ended = False
        self.failure = ""  # as in Half
        self._most_bytes = most_bytes  # of the content that are kept
        self._sent_at = self._first_byte_at = self._ended_at = 0.0
        self._head: ResponseHead | None = None
        self._chunks: Chunks | None = None
        self._hash = xxh3_64()
        self._size_bytes = 0
        self._beginning = bytearray()

    def __repr__(self) -> str:
        state = self.failure or ("whole" if self.has_ended else "open")
        return f"<Capture of {self.version}: {state}, {self._size_bytes} bytes>"

    def sent(self, now: float) -> None:
        """The version has the whole request; said again when it was sent again."""
        self._sent_at = now

    def answered(self, head: ResponseHead, now: float, is_chunked: bool = False) -> None:
        """`is_chunked` says that what `feed` gets has chunks on it, in canonical form."""
        self._head = head
        self._first_byte_at = now
        self._chunks = Chunks() if is_chunked else None
        self.failure = ""  # of an attempt before this one

    def feed(self, data: bytes) -> None:
        if self.has_ended:
            return
        if self._chunks is not None:
            try:
                data = self._chunks.take_off(data)
            except ValueError:  # noting things down must never harm what is noted
                self.failure = "protocol"
                self.drop()
                return
        self._hash.update(data)
        self._size_bytes += len(data)
        room = self._most_bytes - len(self._beginning)
        if room > 0:
            self._beginning += data[:room]

    def failed(self, error: UpstreamError) -> None:
        """This attempt will not become whole."""
        self.failure = "stream_cut" if self._head is not None else error.kind

    def complete(self, now: float) -> None:
        """All of the answer has come."""
        self.has_ended = True
        self._ended_at = now

    def give_up(self, now: float) -> None:
        """Nothing more will come of an answer that is not complete; nobody said why: its time."""
        if not self.has_ended:
            self.complete(now)
            self.failure = self.failure or "timeout"

    def drop(self) -> None:
        """Nobody will ask for it."""
        self.has_ended = True
        self._beginning = bytearray()

    def half(self) -> Half:
        """What there is to tell, once it has ended."""
        head, since = self._head, self._sent_at
        kept = head.kept if head is not None else []
        return Half(
            version=self.version,
            status=head.status if head is not None else 0,
            failure=self.failure,
            content_type=_value(kept, _CONTENT_TYPE),
            content_encoding=_value(kept, _CONTENT_ENCODING),
            # An answer may begin before the request has ended.
            first_byte_seconds=max(self._first_byte_at - since, 0.0) if head is not None else None,
            seconds=max(self._ended_at - since, 0.0),
            size_bytes=self._size_bytes,
            digest=self._hash.intdigest(),
            beginning=bytes(self._beginning),
            is_truncated=self._size_bytes > len(self._beginning),
        )


class Chunks:
    """Takes the chunks off a body that has been checked and is in canonical form.

    Who passes a body on has checked it already, and doing so again would double what it costs.
    """

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = 0  # of a chunk's data and the line end behind it

    def __repr__(self) -> str:
        return f"<Chunks, {self._left} bytes of one to come>"

    def take_off(self, data: bytes) -> bytes:
        """The content in these bytes; size lines must be whole. ValueError: these are no chunks."""
        if not self._left:
            start = data.find(b"\r\n") + 2
            # Mostly it is one chunk and nothing else, as a model has written it.
            if start > 2 and start + int(data[: start - 2], 16) + 2 == len(data):
                return data[start:-2]
        pieces: list[bytes] = []
        position = 0
        while position < len(data):
            if self._left:
                end = position + self._left
                pieces.append(data[position : max(end - 2, position)])
                self._left = max(end - len(data), 0)
                position = end
            else:
                line_end = data.index(b"\r\n", position)
                size = int(data[position:line_end], 16)
                if not size:
                    break  # what follows is no content
                self._left = size + 2
                position = line_end + 2
        return b"".join(pieces)


class Observer:
    """Stands before the delivery of a request that has a copy: notes down, and passes on."""

    __slots__ = ("_capture", "_delivery", "_is_plain")

    def __init__(self, delivery: Sink, capture: Capture, *, is_plain: bool) -> None:
        """`is_plain` says that chunks are taken off before they get here."""
        self._delivery = delivery
        self._capture = capture
        self._is_plain = is_plain

    def __repr__(self) -> str:
        return f"<Observer of {self._delivery!r}>"

    # Noting comes first, since with the last piece the request is over. It delays nothing: what is
    # written leaves when the loop has called everybody.

    def answered(self, head: ResponseHead, framing: Framing, data: bytes, is_last: bool) -> None:
        is_chunked = framing is Framing.CHUNKED and not self._is_plain
        now = _monotonic()
        self._capture.answered(head, now, is_chunked)
        if data:
            self._capture.feed(data)
        if is_last:
            self._capture.complete(now)
        self._delivery.answered(head, framing, data, is_last)

    def body(self, data: bytes, is_last: bool) -> None:
        self._capture.feed(data)
        if is_last:
            self._capture.complete(_monotonic())
        self._delivery.body(data, is_last)

    def upstream_failed(self, error: UpstreamError) -> None:
        self._capture.failed(error)
        self._delivery.upstream_failed(error)

    def broke(self) -> None:
        self._delivery.broke()

    def informational(self, head: ResponseHead) -> None:
        self._delivery.informational(head)

    def tunnelled(self, data: bytes) -> None:
        self._delivery.tunnelled(data)

    def upstream_ended(self) -> None:
        self._delivery.upstream_ended()

    def pause_upload(self) -> None:
        self._delivery.pause_upload()

    def resume_upload(self) -> None:
        self._delivery.resume_upload()


def _value(lines: list[bytes], name: bytes) -> str:
    """The value of a field; `name` is in lower case and has its colon."""
    for line in lines:
        if line[: len(name)].lower() == name:
            return line[len(name) :].strip(b" \t").decode("latin-1")
    return ""

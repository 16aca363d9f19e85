"""One connection to a model: carries one request at a time and reads its answer.

It knows HTTP/1.1 and nothing else: who is asked, how often, and what becomes of the answer is for
others to say. What it finds it tells its sink, by method calls:

    informational(head)         a 1xx answer that is not the answer
    answered(head, framing, data, last)
                                the head of the answer, how its body is framed, and what came of it
    body(data, last)            more of the body, in the framing that `start` asked for
    tunnelled(data)             bytes of an upgraded connection
    upstream_ended()            the model has ended its side of an upgraded connection
    upstream_failed(error)      nothing more will come
    broke()                     nor will it, and the fault is ours
    pause_upload(), resume_upload()

After `last` and after a failure the sink is forgotten; a connection that then says
`is_reusable` may carry the next request.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final, Protocol, cast

from gateway.errors import UpstreamError, UpstreamGone, UpstreamProtocolError
from gateway.http1.chunks import ChunkDecoder, ChunkError, ChunkScanner
from gateway.http1.framing import Framing, body_of
from gateway.http1.head import ResponseHeadBuffer
from gateway.http1.limits import Limits
from gateway.http1.lines import LineMemo
from gateway.http1.response import ResponseHead, parse_response
from gateway.upstream.outbox import Outbox

_log: Final = logging.getLogger(__name__)

WRITE_HIGH_BYTES: Final = 64 * 1024
WRITE_LOW_BYTES: Final = 32 * 1024
INLET_BYTES: Final = 64 * 1024
_MOST_INFORMATIONAL: Final = 16  # a model that says 103 for ever is as bad as one that says nothing

# States. Plain integers: the first comparison of each arriving piece is the hot path.
_BY_LENGTH: Final = Framing.LENGTH
_NO_BODY: Final = Framing.NONE
_TO_THE_END: Final = Framing.UNTIL_CLOSE
_IDLE: Final = 0
_HEAD: Final = 1
_LENGTH: Final = 2
_CHUNKED: Final = 3
_UNTIL_CLOSE: Final = 4
_TUNNEL: Final = 5


class Sink(Protocol):
    """Who hears what the model says; see the module's docstring."""

    def informational(self, head: ResponseHead) -> None: ...
    def answered(
        self, head: ResponseHead, framing: Framing, data: bytes, is_last: bool
    ) -> None: ...
    def body(self, data: bytes, is_last: bool) -> None: ...
    def tunnelled(self, data: bytes) -> None: ...
    def upstream_ended(self) -> None: ...
    def upstream_failed(self, error: UpstreamError) -> None: ...
    def broke(self) -> None: ...
    def pause_upload(self) -> None: ...
    def resume_upload(self) -> None: ...


def new_inlet() -> memoryview:
    """Where all connections of a worker read into, one after the other.

    What is read at once is what a client who takes nothing makes us hold, on top of the mark where
    reading stops; the loop's own buffer would be four times as large (L-03).
    """
    return memoryview(bytearray(INLET_BYTES))


class UpstreamConnection(asyncio.BufferedProtocol):
    """See the module's docstring; made by an endpoint, one socket for its whole life."""

    __slots__ = (
        "_head",
        "_informational",
        "_inlet",
        "_is_plain",
        "_is_upgrade",
        "_keep_trailers",
        "_keeps",
        "_limits",
        "_memo",
        "_method",
        "_outbox",
        "_reader",
        "_remaining",
        "_sink",
        "_state",
        "_transport",
        "idle_since",
        "is_open",
        "is_reading_paused",
        "is_reusable",
        "is_writing_paused",
        "served",
    )

    _reader: ChunkScanner | ChunkDecoder  # of a body in chunks

    def __init__(
        self, memo: LineMemo, limits: Limits, inlet: memoryview, outbox: Outbox | None = None
    ) -> None:
        self._inlet = inlet
        self._outbox = outbox or Outbox()
        self._memo = memo
        self._limits = limits
        self._transport = cast(asyncio.Transport, None)
        self._sink: Sink | None = None
        self._state = _IDLE
        self._head: ResponseHeadBuffer | None = None  # of a head that comes in pieces
        self._remaining = 0
        self._informational = 0
        self._method = ""
        self._is_plain = self._is_upgrade = self._keep_trailers = False
        self.is_reading_paused = False
        self._keeps = False  # the model keeps the connection when its answer is complete
        self.is_open = False
        self.is_reusable = False  # the last answer is complete, and another request may follow
        self.is_writing_paused = False  # the model does not take what it is sent
        self.idle_since = 0.0
        self.served = 0

    def __repr__(self) -> str:
        names = ("idle", "awaits a head", "reads", "reads chunks", "reads to the end", "tunnels")
        state = names[self._state] if self.is_open else "closed"
        return f"<UpstreamConnection {state}, {self.served} served>"

    # What the sink's side does

    def start(
        self,
        sink: Sink,
        request: bytes,
        method: str,
        is_plain: bool = False,
        is_upgrade: bool = False,
        keep_trailers: bool = False,
    ) -> None:
        """Send a head, and what of the body there is; the answer goes to `sink`.

        `is_plain` asks for chunked bodies to be delivered without their chunks.
        """
        self._sink = sink
        self._state = _HEAD
        self._method = method
        self._is_plain = is_plain
        self._is_upgrade = is_upgrade
        self._keep_trailers = keep_trailers
        self._informational = 0
        self.is_reusable = False
        self.served += 1
        self._outbox.put(self._transport, request)

    def send(self, data: bytes) -> None:
        self._outbox.put(self._transport, data)

    def send_eof(self) -> None:
        """End our side of an upgraded connection."""
        self._outbox.flush()
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def pause_reading(self) -> None:
        if self.is_open:
            self.is_reading_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if self.is_reading_paused and self.is_open:
            self.is_reading_paused = False
            self._transport.resume_reading()

    def close(self) -> None:
        """End it after what was sent; whoever listened hears no more."""
        self._sink = None
        self._state = _IDLE
        self.is_open = self.is_reusable = False
        self._outbox.flush()
        self._transport.close()

    def abort(self) -> None:
        """End it now: the model sees that nobody waits for its answer."""
        self._sink = None
        self._state = _IDLE
        self.is_open = self.is_reusable = False
        self._transport.abort()

    # What the socket says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(WRITE_HIGH_BYTES, WRITE_LOW_BYTES)
        self.is_open = True

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._inlet

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(self._inlet[:nbytes].tobytes())

    def data_received(self, data: bytes) -> None:
        """What the model has sent, in pieces of any size."""
        state, sink = self._state, self._sink
        try:
            if state == _CHUNKED:
                self._read_chunks(data)
            elif state == _HEAD:
                self._read_head(data)
            elif state == _LENGTH:
                self._read_counted(data)
            elif state == _UNTIL_CLOSE:
                cast(Sink, self._sink).body(data, False)
            elif state == _TUNNEL:
                cast(Sink, self._sink).tunnelled(data)
            else:
                self.close()  # nobody has asked for anything
        except Exception:
            _log.exception("An answer failed inside the gateway.")
            self.abort()
            if sink is not None:
                sink.broke()

    def eof_received(self) -> bool:
        if self._state != _TUNNEL or self._sink is None:
            # Nobody may be given it in the turn of the loop before it is lost.
            self.is_open = self.is_reusable = False
            return False  # the transport closes, and connection_lost says what it meant
        self._sink.upstream_ended()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = self.is_reusable = False
        sink, self._sink = self._sink, None
        state, self._state = self._state, _IDLE
        if sink is None:
            return
        if state == _UNTIL_CLOSE and exc is None:
            sink.body(b"", True)
        elif state == _HEAD and self._head is None:
            sink.upstream_failed(UpstreamGone("The model broke off before it answered.", repr(exc)))
        else:
            sink.upstream_failed(_cut(repr(exc)))

    def pause_writing(self) -> None:
        self.is_writing_paused = True
        if self._sink is not None:
            self._sink.pause_upload()

    def resume_writing(self) -> None:
        self.is_writing_paused = False
        if self._sink is not None:
            self._sink.resume_upload()

    # Reading

    def _read_head(self, data: bytes) -> None:
        while True:
            if self._head is None:
                raw, blank_line, rest = data.partition(b"\r\n\r\n")
                if not (blank_line and raw):
                    self._head = ResponseHeadBuffer(self._limits)
            if self._head is not None:
                try:
                    found = self._head.feed(data)
                except UpstreamError as error:
                    return self._fail(error)
                if found is None:
                    return None
                raw, rest = found
                self._head = None
            try:
                head = parse_response(raw, self._memo, self._limits)
            except UpstreamError as error:
                return self._fail(error)
            if head.status >= 200 or head.status == 101:
                return self._answer(head, rest)
            self._informational += 1
            if self._informational > _MOST_INFORMATIONAL:
                return self._fail(_garbled("too many interim answers"))
            sink = cast(Sink, self._sink)
            sink.informational(head)
            if self._sink is not sink or not rest:
                return None
            data = rest

    def _answer(self, head: ResponseHead, data: bytes) -> None:
        sink = self._sink
        assert sink is not None
        if head.status == 101:
            if not self._is_upgrade or head.upgrade.lower() != b"websocket":
                return self._fail(_garbled("101 to what the request did not ask for"))
            self._state = _TUNNEL
            sink.answered(head, Framing.NONE, b"", False)
            if data and self._sink is sink:
                sink.tunnelled(data)
            return None
        framing = body_of(head, self._method)
        if framing is _BY_LENGTH:
            self._remaining = head.length - len(data)
            if self._remaining > 0:
                self._state = _LENGTH
                self._keeps = head.keep_alive
                return sink.answered(head, framing, data, False)
            # More than was announced is not of this answer, and no answer to anything.
            is_clean = self._remaining == 0
            if not is_clean:
                data = data[: head.length]
            self._done(head.keep_alive and is_clean)
            return sink.answered(head, framing, data, True)
        if framing is _NO_BODY:
            self._done(head.keep_alive and not data)
            return sink.answered(head, framing, b"", True)
        if framing is _TO_THE_END:
            self._state = _UNTIL_CLOSE
            return sink.answered(head, framing, data, False)
        self._state = _CHUNKED
        self._reader = (
            ChunkDecoder(self._limits)
            if self._is_plain
            else ChunkScanner(self._limits, self._keep_trailers)
        )
        self._keeps = head.keep_alive
        if data:
            try:
                data = self._reader.feed(data)
            except ChunkError as error:
                # The head has not been passed on: this is still an answer that never came.
                return self._fail(_garbled(str(error)))
            if self._reader.is_done:
                self._done(head.keep_alive and not self._reader.rest)
                return sink.answered(head, framing, data, True)
        return sink.answered(head, framing, data, False)

    def _read_counted(self, data: bytes) -> None:
        sink = self._sink
        assert sink is not None
        left = self._remaining - len(data)
        self._remaining = left
        if left > 0:
            sink.body(data, False)
            return
        if left < 0:
            data = data[:left]
        self._done(self._keeps and left == 0)
        sink.body(data, True)

    def _read_chunks(self, data: bytes) -> None:
        reader, sink = self._reader, self._sink
        assert sink is not None
        try:
            data = reader.feed(data)
        except ChunkError as error:
            self._fail(_garbled(str(error)))
            return
        if not reader.is_done:
            if data:
                sink.body(data, False)
            return
        self._done(self._keeps and not reader.rest)
        sink.body(data, True)

    def _done(self, is_reusable: bool) -> None:
        self._sink = None
        self._state = _IDLE
        self.is_reusable = is_reusable and self.is_open

    def _fail(self, error: UpstreamError) -> None:
        sink = self._sink
        self.abort()
        if sink is not None:
            sink.upstream_failed(error)


def _garbled(detail: str) -> UpstreamProtocolError:
    return UpstreamProtocolError("The model sent an answer that cannot be passed on.", detail)


def _cut(detail: str) -> UpstreamProtocolError:
    return UpstreamProtocolError("The model broke off in the middle of its answer.", detail)

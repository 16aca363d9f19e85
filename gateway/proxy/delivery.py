"""The answer's way back: from the upstream connection's events to the client's socket.

A delivery belongs to one attempt of one exchange. Until the head of an answer has gone downstream,
a failure is the exchange's to judge; after that nothing can be taken back, and a failure is shown
by cutting the connection, so that no client takes half an answer for a whole one.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from gateway.errors import UpstreamError, UpstreamProtocolError
from gateway.http1.chunks import LAST_CHUNK, chunk
from gateway.http1.framing import Framing
from gateway.http1.response import ResponseHead
from gateway.proxy.answers import last_event
from gateway.proxy.heads import answer_lines, interim_head, upgrade_head
from gateway.proxy.phase import Phase
from gateway.proxy.strata import settle
from gateway.proxy.view import Outcome, RouteView
from gateway.upstream.group import Group

if TYPE_CHECKING:
    from gateway.proxy.exchange import Exchange

_JOINED_BYTES: Final = 64 * 1024
_EVENT_STREAM: Final = b"content-type: text/event-stream"
_DIALECTS_OF_STREAMS: Final = ("openai", "anthropic")
# An event and the chunk that it came in end here; what follows is read as an event of its own.
_EVENT_ENDS: Final = (b"\n\n\r\n", b"\r\n\r\n\r\n", b"\r\r\r\n")

_monotonic: Final = time.monotonic
_NONE: Final = Framing.NONE
_LENGTH: Final = Framing.LENGTH
_UNTIL_CLOSE: Final = Framing.UNTIL_CLOSE
_STREAMING: Final = Phase.STREAMING


class Delivery:
    """The sink of one upstream connection."""

    __slots__ = (
        *("_encodes", "_exchange", "_head", "_is_half_ended", "_is_paused"),
        *("_last_at", "_last_piece", "_numbers", "_outcome", "_view", "_write", "first_piece_at"),
        *("has_begun", "is_stream", "longest_gap"),
    )

    def __init__(self, exchange: Exchange, view: RouteView, group: Group, outcome: Outcome) -> None:
        self.has_begun = False
        self.longest_gap = 0.0  # between two pieces of a stream
        self.first_piece_at = 0.0  # of a stream whose head came alone
        self._exchange = exchange
        self._view = view
        self._outcome = outcome
        self._numbers = group.numbers
        self._write = exchange.downstream.write
        self._head: ResponseHead | None = None
        self._encodes = False  # the body has no framing of its own: chunks are made here
        self.is_stream = False
        self._is_paused = False
        self._is_half_ended = False  # one side of the tunnel
        self._last_at = 0.0
        self._last_piece = b""

    def __repr__(self) -> str:
        return f"<Delivery of {self._exchange!r}{', begun' if self.has_begun else ''}>"

    # What the model says

    def informational(self, head: ResponseHead) -> None:
        exchange = self._exchange
        # A client of HTTP/1.0 would take it for the answer; 100 is for those who asked.
        if exchange.head.minor == 1 and (head.status != 100 or exchange.asks_continue):
            self._write(interim_head(head))
            if head.status == 100 and exchange.awaits_continue:
                exchange.body_comes()

    def answered(self, head: ResponseHead, framing: Framing, data: bytes, is_last: bool) -> None:
        exchange = self._exchange
        now = _monotonic()
        self.has_begun = True
        exchange.answered_at = now
        exchange.bytes_out = len(data)
        status = exchange.status = head.status
        self._numbers.first_byte_after(now - exchange.started)
        endpoint = exchange.endpoint
        assert endpoint is not None
        if status >= 500:
            endpoint.failed(now)
            self._numbers.error("status_5xx")
        else:
            endpoint.succeeded()
        ours = (*self._outcome.answer_lines, exchange.id_line)
        if status == 101:
            return self._open_tunnel(head, ours)
        plane = exchange.plane
        minor = exchange.head.minor
        if framing is not _LENGTH and framing is not _NONE:
            self.is_stream = True
            self._encodes = minor == 1 and framing is _UNTIL_CLOSE
            if minor == 0:
                exchange.keep = False  # there is no other sign of the end
            if self._encodes and data:
                data = chunk(data)
        if plane.is_closing or not exchange.is_uploaded:
            exchange.keep = False
        keep = exchange.keep
        lines = answer_lines(head, framing, ours, plane.date_line, minor, keep)
        exchange.phase = _STREAMING
        if len(data) <= _JOINED_BYTES:
            lines += (b"", data)
            self._write(b"\r\n".join(lines))
        else:
            lines += (b"", b"")
            self._write(b"\r\n".join(lines))
            self._write(data)
        if is_last:
            exchange.finish(keep, now)
            return None
        self._head = head
        self._last_at = now
        self._last_piece = data
        self._set_deadline(now)
        return None

    def body(self, data: bytes, is_last: bool) -> None:
        exchange = self._exchange
        now = _monotonic()
        if self.is_stream:
            if data:
                gap = now - self._last_at
                self._numbers.gap(gap)
                if gap > self.longest_gap:
                    self._paused(gap, now)
                self._last_at = now
                self._last_piece = data
            if self._encodes:
                data = chunk(data) if data else b""
                if is_last:
                    data += LAST_CHUNK
                else:
                    self._last_piece = data
        if data:
            exchange.bytes_out += len(data)
            self._write(data)
        if is_last:
            exchange.finish(exchange.keep, now)
        elif not self._is_paused:
            at = now + self._view.idle_seconds
            exchange.deadline = at if at < exchange.ends_at else exchange.ends_at

    def _paused(self, gap: float, now: float) -> None:
        """Longer than ever before; from a head that came alone to its content is no pause."""
        if self._last_piece:
            self.longest_gap = gap
        else:
            self.first_piece_at = now

    def upstream_failed(self, error: UpstreamError) -> None:
        if self.has_begun:
            self.cut(error)
        else:
            self._exchange.attempt_failed(error)

    def broke(self) -> None:
        self._exchange.broke()

    def pause_upload(self) -> None:
        self._exchange.pause_upload()

    def resume_upload(self) -> None:
        self._exchange.resume_upload()

    # Upgraded connections

    def _open_tunnel(self, head: ResponseHead, ours: tuple[bytes, ...]) -> None:
        exchange = self._exchange
        exchange.phase = Phase.TUNNEL
        if exchange.cell is not None:
            settle(exchange, exchange.cell, exchange.answered_at)
        exchange.keep = False
        self._write(upgrade_head(head, ours))
        self._set_deadline(_monotonic())
        # What the client has sent since its handshake is the tunnel's.
        exchange.downstream.open_tunnel()

    def tunnelled(self, data: bytes) -> None:
        self._exchange.bytes_out += len(data)
        self._write(data)
        self.was_used()

    def was_used(self) -> None:
        """A tunnel is idle only when neither side says anything."""
        if not self._is_paused:
            self._set_deadline(_monotonic())

    def upstream_ended(self) -> None:
        self._exchange.downstream.end_tunnel()
        self.half_ended()

    def half_ended(self) -> bool:
        """One side of a tunnel has ended; True while the other has not."""
        if self._is_half_ended:
            self._exchange.finish(keep=False)
            return False
        self._is_half_ended = True
        return True

    # What the client's socket says

    def pause(self) -> None:
        """The client does not read as fast as the model writes."""
        exchange = self._exchange
        self._is_paused = True
        if exchange.connection is not None:
            exchange.connection.pause_reading()
        # The write window of the downstream connection watches over it now.
        exchange.deadline = exchange.ends_at

    def resume(self) -> None:
        exchange = self._exchange
        self._is_paused = False
        self._set_deadline(_monotonic())
        if exchange.connection is not None:
            exchange.connection.resume_reading()

    # Ends

    def expired(self, now: float) -> None:
        """The model has been silent for too long in the middle of its answer."""
        exchange = self._exchange
        if exchange.phase is Phase.TUNNEL:
            exchange.finish(keep=False)
        elif self._is_paused or now >= exchange.ends_at:
            # It took too long for the route, or for the client's slowness: no endpoint is to blame.
            self._numbers.error("timeout")
            if exchange.cell is not None and not self._is_paused:
                settle(exchange, exchange.cell, now, has_failed=True)
            self.cut(None)
        else:
            self._numbers.error("timeout")
            self.cut(UpstreamProtocolError("The model fell silent in the middle of its answer."))

    def cut(self, error: UpstreamError | None) -> None:
        """End an answer that is not whole so that nobody takes it for whole."""
        exchange = self._exchange
        downstream = exchange.downstream
        if exchange.phase is Phase.TUNNEL:
            exchange.finish(keep=False)
            return
        if error is not None:
            exchange.error = "stream_cut"
            endpoint = exchange.endpoint
            assert endpoint is not None
            endpoint.failed(_monotonic())
            self._numbers.error("stream_cut")
            exchange.plane.log_failure(exchange, endpoint, error)
            words = self._last_words(error)
            if words:
                self._write(chunk(words))
        # Without chunks or length a closed connection means that all has been said (RFC 9112, 8).
        downstream.will_reset = self.is_stream and exchange.head.minor == 0
        exchange.finish(keep=False)

    def _last_words(self, error: UpstreamError) -> bytes:
        """An event that tells clients of event streams; only between two events of the model."""
        head = self._head
        if head is None or not self.is_stream or self._exchange.head.minor == 0:
            return b""
        if self._view.dialect not in _DIALECTS_OF_STREAMS:
            return b""  # whoever reads this stream would take it for an event of the model
        if not self._last_piece.endswith(_EVENT_ENDS):
            return b""
        if not any(line.lower().startswith(_EVENT_STREAM) for line in head.kept):
            return b""
        request_id = self._exchange.request_id
        return last_event(self._view.dialect, "stream_cut", str(error), request_id)

    def _set_deadline(self, now: float) -> None:
        if self._is_paused:
            return  # the client's connection has the word
        exchange = self._exchange
        at = now + self._view.idle_seconds
        exchange.deadline = at if at < exchange.ends_at else exchange.ends_at

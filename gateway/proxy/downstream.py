"""One connection of a client: requests in, one after the other, answers out in the same order.

It reads heads, hands each to an exchange of its own, and keeps what comes before its turn: a client
may send the next request before it has the last answer, and is made to wait when it sends many.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import socket
import struct
import termios
import time
from functools import partial
from typing import TYPE_CHECKING, Final, cast

from gateway.errors import DownstreamError
from gateway.http1.head import HeadBuffer
from gateway.http1.request import Start, parse_request
from gateway.proxy.answers import answer_head, error_body
from gateway.proxy.exchange import Exchange
from gateway.proxy.identity import Peer, plain_address

if TYPE_CHECKING:
    from gateway.proxy.plane import DataPlane

_log: Final = logging.getLogger(__name__)

WRITE_HIGH_BYTES: Final = 64 * 1024
WRITE_LOW_BYTES: Final = 32 * 1024
_INBOX_BYTES: Final = 64 * 1024
# A client that still sends must get to read why nobody listens (RFC 9112, 9.6).
_LINGER_SECONDS = 2.0
_NOBODY: Final = Peer("", is_trusted=False, is_tls=False)

_monotonic: Final = time.monotonic


class Downstream(asyncio.Protocol):
    """See the module's docstring."""

    __slots__ = (
        "_deadline_is_for",
        "_heads",
        "_is_ending",
        "_is_in_turn",
        "_is_lingering",
        "_is_lost",
        "_is_writing_paused",
        "_lingers_until",
        "_served",
        "_start",
        "_transport",
        "_unread_bytes",
        "deadline",
        "ends_by_close",
        "exchange",
        "inbox",
        "is_reading_paused",
        "peer",
        "plane",
        "will_reset",
        "write",
    )

    def __init__(self, plane: DataPlane) -> None:
        self.plane = plane
        self.peer = _NOBODY
        self.exchange: Exchange | None = None
        self.inbox = b""  # what came before its turn
        self.deadline = 0.0
        self.is_reading_paused = False
        self.ends_by_close = False  # the last answer has no other sign of its end
        self.will_reset = False  # end the connection so that nobody takes it for a regular end
        self._heads: HeadBuffer | None = None  # a head that comes in pieces
        self._served = 0
        self._start: Start | None = None  # of the head before
        self._is_in_turn = False
        self._is_lingering = False
        self._is_ending = False
        self._is_lost = False
        self._lingers_until = 0.0  # for what the client has not taken yet
        self._is_writing_paused = False  # the client does not take what it is sent
        self._unread_bytes = 0  # written but not taken by the client, when that was last looked at

    def __repr__(self) -> str:
        state = "lingering" if self._is_lingering else "ending" if self._is_ending else "open"
        return f"<Downstream {self.peer.address} {state}, {self._served} served>"

    @property
    def is_idle(self) -> bool:
        return self.exchange is None and self._heads is None

    # What the socket says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = link = cast(asyncio.Transport, transport)
        plane = self.plane
        self.write = partial(plane.outbox.put, link)
        name = link.get_extra_info("peername")
        address = plain_address(name[0]) if isinstance(name, tuple) else ""
        self.peer = plane.peer_of(address, link.get_extra_info("ssl_object") is not None)
        link.set_write_buffer_limits(WRITE_HIGH_BYTES, WRITE_LOW_BYTES)
        self.deadline = _monotonic() + plane.settings.limits.head_seconds
        plane.clients.add(self)
        if len(plane.clients) > plane.most_connections:
            plane.overload.count("connections")
            text = "The gateway has all the connections that it can hold; try again."
            self._refuse(DownstreamError(503, "overloaded", text))

    def data_received(self, data: bytes) -> None:
        exchange = self.exchange
        if exchange is None and not self._is_writing_paused:
            if not self._is_ending:
                self._take_turns(data)
        elif exchange is not None and exchange.takes_data:
            try:
                exchange.request_data(data)
            except Exception:
                self._broke()
        else:
            self.inbox += data
            if len(self.inbox) > _INBOX_BYTES:
                self.pause_reading()

    def eof_received(self) -> bool:
        if self.exchange is not None:
            return self.exchange.downstream_ended()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_lost = True
        self._is_ending = True
        self.plane.clients.discard(self)
        if self.exchange is not None:
            self.exchange.downstream_lost()

    def pause_writing(self) -> None:
        self._is_writing_paused = True
        self._unread_bytes = self._transport.get_write_buffer_size()
        self.deadline = _monotonic() + self.plane.settings.limits.write_idle_seconds
        if self.exchange is not None and self.exchange.delivery is not None:
            self.exchange.delivery.pause()

    def resume_writing(self) -> None:
        self._is_writing_paused = False
        self._unread_bytes = 0
        if self.exchange is not None:
            if self.exchange.delivery is not None:
                self.exchange.delivery.resume()
        elif not self._is_ending:
            self._go_on(_monotonic())

    # Reading heads

    def _take_turns(self, data: bytes) -> None:
        """Read request after request, as long as each is answered at once."""
        self._is_in_turn = True
        try:
            while data:
                self._read_head(data)
                if self.exchange is not None or self._is_writing_paused or self._is_ending:
                    return
                data, self.inbox = self.inbox, b""
                if data:
                    self.plane.outbox.flush()  # does the client take its answers?
        except Exception:
            self._broke()
        finally:
            self._is_in_turn = False

    def _broke(self) -> None:
        """A fault of ours: the client is told, the log says what, and the worker goes on."""
        _log.exception("A request failed inside the gateway.")
        if self.exchange is not None:
            self.exchange.broke()
        elif not self._is_lost:
            self.abort()

    def _read_head(self, data: bytes) -> None:
        """Begin the request whose head is complete; what is behind it is in `inbox` then."""
        plane = self.plane
        try:
            heads = self._heads
            if heads is None:
                raw, blank_line, rest = data.partition(b"\r\n\r\n")
                if not (blank_line and raw) or data[0] == 13:
                    self._heads = heads = HeadBuffer(plane.http_limits)
                    self.deadline = _monotonic() + plane.settings.limits.head_seconds
            if heads is not None:
                found = heads.feed(data)
                if found is None:
                    return
                raw, rest = found
                self._heads = None
            head = parse_request(raw, plane.request_memo, plane.http_limits, self._start)
        except DownstreamError as error:
            self._refuse(error)
            return
        view = plane.view
        if view is None:
            text = "The gateway has not learned its routes yet; try again."
            self._refuse(DownstreamError(503, "no_table", text))
            return
        self._served += 1
        self._start = head.start
        self.exchange = exchange = Exchange(self, head, view)
        if self._served >= plane.keepalive_requests or plane.is_closing:
            exchange.keep = False
        exchange.begin(rest)

    def _refuse(self, error: DownstreamError) -> None:
        """Answer what is no request, or comes at a time when none is taken."""
        plane = self.plane
        request_id = plane.new_request_id()
        body, kind = error_body("problem", error.status, error.code, str(error), request_id)
        fields = [
            b"Content-Type: " + kind,
            b"Content-Length: %d" % len(body),
            b"X-Request-Id: " + request_id.encode(),
            plane.date_line,
            b"Server: graygate",
            b"Connection: close",
        ]
        self.write(answer_head(error.status, fields) + body)
        plane.unrouted.finished(error.status, 0.0)
        if plane.access_log is not None:
            address = self.peer.address
            plane.access_log.add_refusal(error, request_id, address, _monotonic())
        self._linger()

    # What an exchange asks for

    def pause_reading(self) -> None:
        if not self.is_reading_paused and not self._is_lost:
            self.is_reading_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if self.is_reading_paused and not self._is_lost:
            self.is_reading_paused = False
            self._transport.resume_reading()

    def finished(self, keep: bool, now: float) -> None:
        """The exchange has ended; begin the next one, or end the connection."""
        exchange, self.exchange = self.exchange, None
        if self._is_lost:
            return
        if not keep:
            is_whole = exchange is None or not (exchange.is_unread or self.inbox)
            if self.will_reset:
                self._reset()
            elif is_whole and not self.is_reading_paused:
                self._end()
            else:
                self._linger()
            return
        if not self._is_writing_paused:  # else the client must take what it got first
            self._go_on(now)

    def _go_on(self, now: float) -> None:
        """Begin the next request, or wait for it."""
        if self.is_reading_paused:
            self.resume_reading()
        if self.inbox:
            self.deadline = now + self.plane.settings.limits.head_seconds
            if not self._is_in_turn:
                data, self.inbox = self.inbox, b""
                self._take_turns(data)
        else:
            self.deadline = now + self.plane.keepalive_seconds

    def open_tunnel(self) -> None:
        """What has come since the head belongs to the tunnel."""
        data, self.inbox = self.inbox, b""
        exchange = self.exchange
        if data and exchange is not None:
            exchange.request_data(data)
        connection = exchange.connection if exchange is not None else None
        if connection is None or not connection.is_writing_paused:
            self.resume_reading()

    def end_tunnel(self) -> None:
        """The model has ended its side of the tunnel."""
        self.plane.outbox.flush()
        if self._transport.can_write_eof():
            self._transport.write_eof()
        elif self.exchange is not None:
            self.exchange.finish(keep=False)

    # Ends

    def close_idle(self) -> None:
        """End it if nothing is under way: the gateway is closing."""
        if self.is_idle and not (self.inbox or self._is_ending or self._has_unread()):
            self._end()

    def _has_unread(self) -> bool:
        """Whether a request has come that the loop has not seen yet."""
        link = self._transport.get_extra_info("socket")
        if link is None or link.fileno() < 0:
            return False
        waiting = fcntl.ioctl(link.fileno(), termios.FIONREAD, b"\0\0\0\0")
        return waiting != b"\0\0\0\0"

    def expired(self, now: float) -> None:
        """The deadline has passed; called by the sweep."""
        limits = self.plane.settings.limits
        unread = self._transport.get_write_buffer_size()
        if self._is_lingering and (now < self._lingers_until if unread else self._lingers_until):
            # The two seconds count from when the client has taken everything.
            self._lingers_until = self._lingers_until if unread else 0.0
            self.deadline = now + _LINGER_SECONDS
        elif unread and not self._is_lingering:
            # Bytes wait for the client: is it reading at all?
            least = limits.min_bytes_per_second * limits.write_idle_seconds
            if self._unread_bytes and unread > self._unread_bytes - least:
                self.abort()
            else:
                self._unread_bytes = unread
                self.deadline = now + limits.write_idle_seconds
        elif self._is_ending:
            self.abort()
        elif self.exchange is None:
            if self._heads is None:
                self._end()
            else:
                text = "The head of the request did not come in time."
                self._refuse(DownstreamError(408, "head_timeout", text))
        else:
            self.deadline = now + limits.write_idle_seconds

    def abort(self) -> None:
        """End it now, whatever is under way."""
        self._is_ending = True
        self.plane.outbox.flush()
        if self.ends_by_close or (self.exchange is not None and self.exchange.ends_by_close):
            self._make_reset()
        self._transport.abort()

    def _end(self) -> None:
        """End it when what was written is sent."""
        self._is_ending = True
        self.plane.outbox.flush()
        self._unread_bytes = self._transport.get_write_buffer_size()
        self.deadline = _monotonic() + self.plane.settings.limits.write_idle_seconds
        self._transport.close()

    def _linger(self) -> None:
        """End our side; what still comes is read and thrown away for a while."""
        if not self._transport.can_write_eof():
            self._end()
            return
        self._is_ending = self._is_lingering = True
        self.plane.outbox.flush()
        self.inbox = b""
        self._heads = None
        now = _monotonic()
        unread = self._transport.get_write_buffer_size()
        self._lingers_until = now + self.plane.settings.limits.write_idle_seconds if unread else 0.0
        self.deadline = now + _LINGER_SECONDS
        self._transport.write_eof()
        self.resume_reading()

    def _reset(self) -> None:
        """End it now so that nobody takes it for a regular end."""
        self._make_reset()
        self.abort()

    def _make_reset(self) -> None:
        link = self._transport.get_extra_info("socket")
        if link is not None:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

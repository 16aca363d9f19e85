"""A request on its way in: what it says of itself, its body, and the gateway's own answers to it.

The half of an exchange that faces the client. It ends with `_decide`, when all is known that the
decision needs; from there on the other half, in `exchange.py`, has the word.
"""

from __future__ import annotations

import random
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

from gateway.errors import DownstreamError, Overflow, UpstreamError
from gateway.http1.request import RequestHead
from gateway.metrics.recorder import Cell
from gateway.proxy.answers import answer_head, error_body
from gateway.proxy.body_facts import read_body_facts
from gateway.proxy.delivery import Delivery
from gateway.proxy.heads import CHUNKED, CONTINUE, NO_BODY
from gateway.proxy.identity import origin_of
from gateway.proxy.phase import Phase
from gateway.proxy.upload import Upload, too_large
from gateway.proxy.view import Outcome, RouteView, View
from gateway.routing.facts import RequestFacts
from gateway.upstream.connection import UpstreamConnection

if TYPE_CHECKING:
    from gateway.proxy.downstream import Downstream
    from gateway.proxy.mirror_copy import Copy
    from gateway.proxy.tracing import Trace

_HELD_BYTES: Final = 64 * 1024  # of a body that waits for its connection
FOREVER: Final = float("inf")
_UNKNOWN: Final = RequestFacts("", b"", b"", b"", {}, "", False)

_monotonic: Final = time.monotonic
_draw_bits: Final = random.getrandbits

_READING: Final = Phase.READING
_WAITING: Final = Phase.WAITING
_TUNNEL: Final = Phase.TUNNEL
_DONE: Final = Phase.DONE


class Arrival(ABC):
    """See the module's docstring; an `Exchange` is one."""

    # What each request reads stands in slots, which are the fastest to read and to set; what only
    # few need has its usual value here, and a place in the object when it differs.
    __slots__ = (
        *("_body", "_kept", "_length", "_ours", "_upload", "_view", "asks_continue", "bytes_out"),
        *("cell", "connection", "copy", "counted", "deadline", "delivery", "downstream"),
        *(
            "ends_at",
            "error",
            "facts",
            "head",
            "id_line",
            "keep",
            "outcome",
            "phase",
            "plane",
            "route",
        ),
        *("started", "status", "trace", "trace_id"),
    )

    is_broken = False  # where the request ends cannot be told
    awaits_continue = False  # the client waits for the model's word before it sends its body
    tunnelled = 0  # bytes of the client
    _held: list[bytes]  # pieces of a body that waits for its connection
    _held_bytes = 0
    _window_at = 0.0  # since when `_window_bytes` of the body have come
    _window_bytes = 0
    _is_replayable = True

    def __init__(self, downstream: Downstream, head: RequestHead, view: View) -> None:
        self.downstream = downstream
        self.plane = downstream.plane
        self.head = head
        self.started = _monotonic()
        self.keep = head.keep_alive
        self.phase = _READING
        self.deadline = FOREVER
        self.ends_at = FOREVER  # of all that it does
        self.id_line = b""
        self.facts = _UNKNOWN
        self.route: RouteView | None = None
        self.outcome: Outcome | None = None
        self.cell: Cell | None = None  # where its end is to be told
        self.connection: UpstreamConnection | None = None
        self.delivery: Delivery | None = None
        self.copy: Copy | None = None  # of its request, at another version
        self.status = 0
        self.error = ""  # the code or kind of what went wrong
        self.bytes_out = 0  # of the answer's body
        self.trace_id = ""
        self.trace: Trace | None = None  # of a request that is sampled
        self.asks_continue = False
        self.counted: Upload | None = None  # a body that did not come with its head
        self._view = view
        self._kept = head.kept
        self._upload: Upload | None = None  # a body that is still coming
        self._body = b""  # what of it there is before anything is sent
        self._length = NO_BODY  # of the body as it is sent
        self._ours: tuple[bytes, ...] = ()

    @property
    def request_id(self) -> str:
        return self.id_line.partition(b" ")[2].decode()

    @property
    def is_uploaded(self) -> bool:
        """Whether the whole request has come."""
        return self._upload is None

    @property
    def is_unread(self) -> bool:
        """Whether the client may still be sending what nobody will read."""
        return self.is_broken or self._upload is not None

    @property
    def takes_data(self) -> bool:
        """Whether what the client sends now is of this exchange."""
        return self._upload is not None or self.phase is _TUNNEL

    @abstractmethod
    def _decide(self, now: float) -> None:
        """All is known that the decision needs."""

    @abstractmethod
    def expired(self, now: float) -> None:
        """The deadline has passed; called by the sweep."""

    @abstractmethod
    def fail(self, error: UpstreamError) -> None:
        """The request cannot be served."""

    @abstractmethod
    def finish(self, keep: bool, now: float = 0.0) -> None:
        """The end, whatever it is; `keep` says whether the downstream connection goes on."""

    def set_deadline(self, at: float) -> None:
        self.deadline = at if at < self.ends_at else self.ends_at

    # The request arrives

    def begin(self, rest: bytes) -> None:
        """Called once, with the bytes that came behind the head."""
        try:
            self._arrive(rest)
        except DownstreamError as error:
            self.refuse(error)

    def _arrive(self, rest: bytes) -> None:
        head, plane = self.head, self.plane
        peer = self.downstream.peer
        known = self._view.known.get((head.method, head.host, head.path))
        host, forwarded_host, path, route = known or self._view.look_up(head)
        ours: tuple[bytes, ...]
        self.id_line = id_line = b"X-Request-Id: %032x" % _draw_bits(128)
        if head.special is None:
            client_ip = peer.address
            ours = (peer.forwarded_lines[head.minor], forwarded_host, id_line)
        else:
            origin = origin_of(head.special, peer, head.minor, plane.trust, _draw_bits)
            if origin.request_id:
                self.id_line = b"X-Request-Id: " + origin.request_id
            client_ip = origin.client_ip
            if origin.forwarded_host is not None:
                forwarded_host = b"X-Forwarded-Host: " + origin.forwarded_host
            ours = (*origin.lines, forwarded_host, self.id_line)
            self.trace_id = origin.trace_id.decode()
            if origin.is_sampled and plane.tracer is not None:
                self.trace = plane.tracer.continued(origin)
            if origin.is_last_hop and head.method == "OPTIONS":
                return self._answer_options(rest)
        if plane.tracer is not None and not self.trace_id:
            ours += plane.tracer.begun(self)
        self._ours = ours
        if path is None:
            if head.path == b"*":
                return self._answer_options(rest)
            text = "The path of the request cannot be understood."
            raise DownstreamError(400, "bad_path", text)
        self.facts = facts = RequestFacts(
            head.method, host, path, head.query, head.single, client_ip, peer.is_trusted
        )
        if plane.overload.cause is not None:
            self._take_body(rest, 0, decode=False)
            plane.overload.count(plane.overload.cause)
            return self.fail(Overflow("The gateway has more to do than it can; try again."))
        if route is None:
            table = self._view.table
            if table.has_models and head.has_body and table.wants_model(facts):
                return self._read_first(rest, plane.settings.limits.decision_body_bytes)
            route = self._find_route(rest)
            self._view.remember(head, (host, forwarded_host, path, route))
        self.route = route
        if not head.has_body:
            self._length = head.length  # 0 is said, nothing is not
            if rest:
                self.downstream.inbox = rest
        elif route.wants_body:
            most = plane.settings.limits.decision_body_bytes
            return self._read_first(rest, min(most, route.body_limit or most))
        else:
            self._take_body(rest, route.body_limit, decode=False)
        return self._decide(self.started)

    def _find_route(self, rest: bytes) -> RouteView:
        route = self._view.table.match(self.facts)
        if route is None:
            self._take_body(rest, 0, decode=False)
            text = "No route of this gateway takes this request."
            raise DownstreamError(404, "no_route", text)
        return self._view.routes[route.name]

    def _take_body(self, rest: bytes, limit: int, *, decode: bool) -> None:
        """Part what belongs to this request's body from what follows it."""
        head = self.head
        length = head.length
        if not head.chunked:
            if length <= 0:
                self._length = length  # 0 is said, nothing is not
                self.downstream.inbox = rest
                return
            if len(rest) >= length and (not limit or length <= limit):
                self._length = length
                self._body = rest if len(rest) == length else rest[:length]
                self.downstream.inbox = rest[length:]
                return
        self._upload = upload = Upload(head, self.plane.http_limits, limit, decode=decode)
        self.counted = upload
        self._length = CHUNKED if head.chunked else length
        self._window_at, self._window_bytes = self.started, 0
        body = upload.feed(rest) if rest else b""
        if upload.is_complete:
            self._upload = None
            self._body = body
            self.downstream.inbox = upload.rest
        else:
            self._held = [body]
            self._held_bytes = len(body)
            self.asks_continue = head.expect

    # Bodies that the decision needs

    def _read_first(self, rest: bytes, limit: int) -> None:
        self._take_body(rest, limit, decode=True)
        if self._upload is None:
            return self._read_out()
        if self.asks_continue:
            self.asks_continue = False  # the model will be sent a body that is there
            self.downstream.write(CONTINUE)
        self.deadline = self.started + self.plane.settings.limits.body_idle_seconds
        self.plane.exchanges.add(self)
        return None

    def _read_out(self) -> None:
        """The body is there, without its chunks."""
        self._length = len(self._body)
        read_body_facts(self._body, self.facts)
        if self.route is not None:
            return self._decide(_monotonic())
        route = self._view.table.match(self.facts)
        if route is None:
            text = "No route of this gateway takes this request."
            raise DownstreamError(404, "no_route", text)
        self.route = view = self._view.routes[route.name]
        if view.body_limit and self._length > view.body_limit:
            raise too_large(view.body_limit)
        return self._decide(_monotonic())

    # Its body

    def request_data(self, data: bytes) -> None:
        """More of the body, or of the tunnel."""
        upload = self._upload
        connection = self.connection
        if upload is None:
            assert connection is not None
            connection.send(data)
            self.tunnelled += len(data)
            if self.delivery is not None:
                self.delivery.was_used()
            return
        try:
            data = upload.feed(data)
        except DownstreamError as error:
            self.refuse(error)
            return
        self._window_bytes += len(data)
        if self.awaits_continue:
            self.body_comes()
        if self.copy is not None:
            self.copy.collect(data, upload.is_complete)
        if upload.is_complete:
            self._upload = None
            self.downstream.inbox = upload.rest
        if connection is not None:
            self._is_replayable = False
            if data:
                connection.send(data)
            if upload.is_complete and self.phase is _WAITING:
                assert self.route is not None
                self.set_deadline(_monotonic() + self.route.first_byte_seconds)
            return
        self._held.append(data)
        self._held_bytes += len(data)
        if upload.is_complete:
            self._body = b"".join(self._held)
            self._held = []
            if self.phase is _READING:
                self._try_read_out()
        elif self._held_bytes > _HELD_BYTES and self.phase is not _READING:
            self.downstream.pause_reading()

    def _try_read_out(self) -> None:
        try:
            self._read_out()
        except DownstreamError as error:
            self.refuse(error)

    def _judge_upload(self, now: float) -> None:
        """A client that sends slower than the least rate holds a place that others need."""
        limits = self.plane.settings.limits
        if self._window_bytes > limits.min_bytes_per_second * (now - self._window_at):
            self._window_at, self._window_bytes = now, 0
            self.set_deadline(now + limits.body_idle_seconds)
            return
        self.refuse(DownstreamError(408, "body_timeout", "The body did not come in time."))

    def body_comes(self) -> None:
        """The client is told to send its body, or does so without being told."""
        self.awaits_continue = False
        now = _monotonic()
        self._window_at, self._window_bytes = now, 0
        if self.phase is _WAITING:
            self.set_deadline(now + self.plane.settings.limits.body_idle_seconds)

    # Answers of our own

    def refuse(self, error: DownstreamError) -> None:
        """The request cannot be carried."""
        if error.code != "no_route":
            # What follows on the connection cannot be told from the rest of this request.
            self.keep = False
            self.is_broken = True
        self._respond(error.status, error.code, str(error))

    def broke(self) -> None:
        """A fault of ours, which the log tells more about."""
        if self.phase is not _DONE:
            self.keep = False
            self.is_broken = True
            if self.copy is not None:
                self.copy.withdraw("internal")
            text = "The gateway has failed; its log says more."
            self._respond(500, "internal_error", text)

    def _respond(self, status: int, code: str, text: str) -> None:
        self.error = code
        if self.delivery is not None and self.delivery.has_begun:
            return self.delivery.cut(None)  # too late for words
        dialect = self.route.dialect if self.route is not None else "problem"
        body, kind = error_body(dialect, status, code, text, self.request_id)
        keep = self.keep and self._upload is None and not self.plane.is_closing
        fields = [b"Content-Type: " + kind, b"Content-Length: %d" % len(body)]
        self._say(status, fields, b"" if self.head.method == "HEAD" else body, keep)
        return None

    def _answer_options(self, rest: bytes) -> None:
        """OPTIONS about the gateway itself."""
        self._take_body(rest, 0, decode=False)
        fields = [b"Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"]
        self._say(204, fields, b"", self.keep and self._upload is None)

    def _say(self, status: int, fields: list[bytes], body: bytes, keep: bool) -> None:
        """An answer of our own."""
        fields += (self.id_line, self.plane.date_line, b"Server: graygate")
        if self.outcome is not None:
            fields += self.outcome.answer_lines
        if not keep:
            fields.append(b"Connection: close")
        elif self.head.minor == 0:
            fields.append(b"Connection: keep-alive")
        self.status = status
        self.bytes_out = len(body)
        self.downstream.write(answer_head(status, fields) + body)
        self.finish(keep)

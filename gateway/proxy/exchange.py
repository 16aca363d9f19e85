"""One request's life: from its head to the place where its answer comes from.

    receive head -> match route -> find unit -> decide version -> pick endpoint -> connect or reuse
    -> send -> (Delivery: receive head, stream) -> finish

An exchange hears from its downstream connection (`begin`, `request_data`, `downstream_lost`, ...),
from its delivery, which is the answer's way back, and from the sweep (`expired`). Whatever happens,
it ends in `finish`, once: the only place where it is counted and connections are given back.
"""

from __future__ import annotations

import logging
import random
import time
from typing import TYPE_CHECKING

from gateway.errors import (
    DownstreamError,
    NoEndpoint,
    Overflow,
    Retry,
    UpstreamError,
    UpstreamTimeout,
)
from gateway.http1.request import RequestHead
from gateway.proxy.answers import answer_head, error_body
from gateway.proxy.body_facts import read_body_facts, with_model
from gateway.proxy.delivery import Delivery
from gateway.proxy.heads import CHUNKED, CONTINUE, NO_BODY, request_head
from gateway.proxy.identity import identity_checked, origin_of
from gateway.proxy.phase import Phase
from gateway.proxy.placement import instead_of, place
from gateway.proxy.upload import Upload, too_large
from gateway.proxy.view import Outcome, RouteView, View
from gateway.routing.decide import Decision, Reason, decide
from gateway.routing.facts import RequestFacts, canonical_path
from gateway.upstream.connection import Sink, UpstreamConnection
from gateway.upstream.endpoint import Endpoint
from gateway.upstream.group import Group

if TYPE_CHECKING:
    from gateway.proxy.downstream import Downstream
    from gateway.proxy.mirror_copy import Copy
    from gateway.proxy.tracing import Trace

_log = logging.getLogger(__name__)

_HELD_BYTES = 64 * 1024  # of a body that waits for its connection
_JOINED_BYTES = 16 * 1024  # up to here one write of head and body is cheaper than two
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_FOREVER = float("inf")
CLIENT_GONE = 499
_UNKNOWN = RequestFacts("", b"", b"", b"", {}, "", False)

_monotonic = time.monotonic
_now = time.time
_draw = random.random
_draw_bits = random.getrandbits


_READING, _QUEUED, _CONNECTING, _WAITING, _STREAMING, _TUNNEL, _DONE = Phase


class Exchange:
    """See the module's docstring."""

    # What most requests leave as it is stands here, once, and not in each exchange.
    phase = _READING
    deadline = _FOREVER
    ends_at = _FOREVER  # of all that it does
    id_line = b""
    route: RouteView | None = None
    decision: Decision | None = None
    outcome: Outcome | None = None
    group: Group | None = None
    endpoint: Endpoint | None = None
    connection: UpstreamConnection | None = None
    delivery: Delivery | None = None
    copy: Copy | None = None  # of its request, at another version
    status = 0
    error = ""  # the code or kind of what went wrong
    facts = _UNKNOWN
    answered_at = 0.0  # when the model's answer began
    bytes_out = 0  # of the answer's body
    trace_id = ""
    trace: Trace | None = None  # of a request that is sampled
    asks_continue = False
    is_upgrade = False
    is_broken = False  # where the request ends cannot be told
    _upload: Upload | None = None  # a body that is still coming
    counted: Upload | None = None  # a body that did not come with its head
    tunnelled = 0  # bytes of the client
    _body = b""  # what of it there is before anything is sent
    _length = NO_BODY  # of the body as it is sent
    _held: list[bytes]
    _held_bytes = 0
    _window_at = 0.0  # since when `_window_bytes` of the body have come
    _window_bytes = 0
    _failed: tuple[Endpoint, ...] = ()
    tries = 0  # after the first
    _has_place = False  # among the version's requests
    _is_retrying = False
    _is_replayable = True
    _wants_fresh = False  # no kept connection: one was stale

    def __init__(self, downstream: Downstream, head: RequestHead, view: View) -> None:
        self.downstream = downstream
        self.plane = downstream.plane
        self.head = head
        self.started = _monotonic()
        self.keep = head.keep_alive
        self._view = view
        self._kept = head.kept

    def __repr__(self) -> str:
        name = self.route.name if self.route else "no route"
        return f"<Exchange {self.phase.name.lower()} {self.head.method} {name} {self.version}>"

    @property
    def version(self) -> str:
        return "" if self.outcome is None else self.outcome.version

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
        host, forwarded_host = plane.hosts.get(head.host) or plane.host_of(head.host)
        ours: tuple[bytes, ...]
        self.id_line = b"X-Request-Id: %032x" % _draw_bits(128)
        if head.special is None:
            client_ip = peer.address
            ours = (peer.forwarded_lines[head.minor], forwarded_host, self.id_line)
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
        known = self._view.known.get((head.method, host, head.path))
        path = canonical_path(head.path) if known is None else known[0]
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
        if known is not None:
            route = known[1]
        else:
            table = self._view.table
            if table.has_models and head.has_body and table.wants_model(facts):
                return self._read_first(rest, plane.settings.limits.decision_body_bytes)
            route = self._find_route(rest)
            self._view.remember(head.method, host, head.path, path, route)
        self.route = view = route
        if view.wants_body and self.head.has_body:
            most = plane.settings.limits.decision_body_bytes
            return self._read_first(rest, min(most, view.body_limit or most))
        self._take_body(rest, view.body_limit, decode=False)
        return self._decide()

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
            return self._decide()
        route = self._view.table.match(self.facts)
        if route is None:
            text = "No route of this gateway takes this request."
            raise DownstreamError(404, "no_route", text)
        self.route = view = self._view.routes[route.name]
        if view.body_limit and self._length > view.body_limit:
            raise too_large(view.body_limit)
        return self._decide()

    # The decision and its place

    def _decide(self) -> None:
        view, head, plane = self.route, self.head, self.plane
        assert view is not None
        if view.identity_names:
            self._kept = identity_checked(head, view.identity_names, self.facts.trusted)
        self.decision = decision = decide(view.route, self.facts, now=_now(), draw=_draw)
        outcome = place(view, decision, self.started, _draw)
        if view.total_seconds:
            self.ends_at = self.started + view.total_seconds
        if head.upgrade:
            self.is_upgrade = (
                head.upgrade.lower() == b"websocket" and head.method == "GET" and not head.has_body
            )
        plane.exchanges.add(self)
        self._enter(view, outcome)

    def _enter(self, view: RouteView, outcome: Outcome) -> None:
        """Take a place among the version's requests, or wait for one."""
        self.outcome = outcome
        counts, key = self.plane.decisions, outcome.key
        counts[key] = counts.get(key, 0) + 1
        self.group = group = view.groups[outcome.version]
        group.numbers.in_flight += 1
        if group.try_enter() or (self.plane.mirrors.makes_room(group) and group.try_enter()):
            self.proceed()
        elif group.enqueue(self):
            self.phase = _QUEUED
            self._set_deadline(_monotonic() + view.queue_seconds)
        else:
            self.attempt_failed(Overflow("The model has more to do than it can; try again."))

    def proceed(self) -> None:
        """There is a place: pick an endpoint and send."""
        group, decision = self.group, self.decision
        assert group is not None and decision is not None and self.route is not None
        self._has_place = True
        self.phase = _CONNECTING
        endpoint = group.pick(decision.unit, self._failed)
        if endpoint is None:
            self.attempt_failed(NoEndpoint("The model cannot be reached."))
            return
        self.endpoint = endpoint
        endpoint.started()
        connection = None if self._wants_fresh else endpoint.take_idle(_monotonic())
        if connection is not None:
            self._send(connection)
        else:
            self._set_deadline(_FOREVER)
            if endpoint.active > endpoint.max_connections:
                self.plane.mirrors.makes_room(group, endpoint)
            self.plane.spawn(self._connect(endpoint, self.route.connect_seconds))

    async def _connect(self, endpoint: Endpoint, seconds: float) -> None:
        try:
            connection = await endpoint.connect(seconds)
        except UpstreamError as error:
            if self.phase is _CONNECTING and self.endpoint is endpoint:
                self.attempt_failed(error)
            return
        if self.phase is _CONNECTING and self.endpoint is endpoint:
            self._send(connection)
        else:  # nobody waits for it any more, but the next request may
            endpoint.give_back(connection, _monotonic())

    def _send(self, connection: UpstreamConnection) -> None:
        view, group, endpoint, outcome = self.route, self.group, self.endpoint, self.outcome
        assert view and group and endpoint and outcome  # or there would be no connection
        head = self.head
        self.connection = connection
        self.phase = _WAITING
        body = self._body
        if view.rewrites is not None and body:
            body, self._length = self._rewritten(view, body)
        upload = self._upload
        data = request_head(
            head,
            endpoint.target,
            self._kept,
            (*self._ours, outcome.request_line),
            self._length,
            self.is_upgrade,
            self.asks_continue,
        )
        if upload is not None:
            if self._held_bytes:
                self._is_replayable = False
            body = b"".join(self._held)
            self._held = []
            self._held_bytes = 0
        sink: Sink
        self.delivery = sink = Delivery(self, view, group, outcome)
        if view.mirror is not None:
            source = self._body if upload is None else body
            sink = self.plane.mirrors.watch(
                self, sink, self._kept, self._ours, source, self._length
            )
        if len(body) <= _JOINED_BYTES:
            data += body
            body = b""
        is_plain = head.minor == 0
        connection.start(sink, data, head.method, is_plain, self.is_upgrade, head.te_trailers)
        if body and self.connection is connection:
            connection.send(body)
        if upload is None:
            self._set_deadline(_monotonic() + view.first_byte_seconds)
        else:
            self.resume_upload()

    def _rewritten(self, view: RouteView, body: bytes) -> tuple[bytes, int]:
        assert view.rewrites is not None
        model = view.rewrites.get(self.version)
        if model is not None:
            body = with_model(body, model)
        return body, len(body)

    def _set_deadline(self, at: float) -> None:
        self.deadline = at if at < self.ends_at else self.ends_at

    # What the downstream side says

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
                self._set_deadline(_monotonic() + self.route.first_byte_seconds)
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

    def downstream_ended(self) -> bool:
        """The client has ended its side; True when ours is to stay open."""
        if self.phase is _TUNNEL and self.connection is not None and self.delivery is not None:
            self.connection.send_eof()
            return self.delivery.half_ended()
        self.downstream_lost()
        return False

    def downstream_lost(self) -> None:
        """The client is gone: the model must not go on working for nobody."""
        if self.phase is _DONE:
            return
        if self.phase is not _TUNNEL:
            self.error = "client_gone"
            if self.group is not None:
                self.group.numbers.error("client_gone")
            if self.copy is not None:
                self.copy.withdraw("client_gone")
            if self.status == 0:
                self.status = CLIENT_GONE
        self.finish(keep=False)

    def pause_upload(self) -> None:
        self.downstream.pause_reading()
        if self.phase is _WAITING and self.route is not None:
            # It is the model now that must go on.
            self._set_deadline(_monotonic() + self.route.idle_seconds)

    def resume_upload(self) -> None:
        if self._upload is not None:
            now = _monotonic()
            self._window_at, self._window_bytes = now, 0
            if self.phase is _WAITING:
                self._set_deadline(now + self.plane.settings.limits.body_idle_seconds)
        self.downstream.resume_reading()

    # What goes wrong

    def attempt_failed(self, error: UpstreamError) -> None:
        """Nothing of an answer has come: try elsewhere where that can do no harm."""
        view, group, endpoint = self.route, self.group, self.endpoint
        assert view is not None and group is not None
        now = _monotonic()
        connection, self.connection = self.connection, None
        self.delivery = None
        is_stale = (
            error.retry is Retry.IF_REUSED and connection is not None and connection.served > 1
        )
        if connection is not None:
            connection.abort()
        if endpoint is not None:
            self.endpoint = None
            endpoint.finished()
            if not is_stale and not isinstance(error, Overflow):
                endpoint.failed(now)
        group.numbers.error(error.kind)
        self.plane.log_failure(self, endpoint, error)
        may_resend = error.retry in (Retry.IF_UNSENT, Retry.LATER) or (
            is_stale and self._is_replayable and self.head.method in _SAFE_METHODS
        )
        if not may_resend:
            return self.fail(error)
        if endpoint is not None and self.tries < view.retries:
            if not is_stale:
                self._failed = (*self._failed, endpoint)
            if group.can_pick(self._failed) and self._may_retry(group):
                self.tries += 1
                self._wants_fresh = is_stale
                group.numbers.retries += 1
                return self.proceed()
        return self._fail_over(view, group, error, now)

    def _may_retry(self, group: Group) -> bool:
        """Takes a place among the version's retries; it is given back with that of the request."""
        if not self._is_retrying:
            self._is_retrying = group.budget.try_take(group.active)
        return self._is_retrying

    def _fail_over(self, view: RouteView, group: Group, error: UpstreamError, now: float) -> None:
        assert self.decision is not None
        other = None
        if self.outcome is not None and self.outcome.reason is not Reason.FAILOVER:
            other = instead_of(view, self.version, self.decision, now, _draw)
        if other is None:
            return self.fail(error)
        self._leave(group)
        self._failed = ()
        self._wants_fresh = False
        return self._enter(view, view.outcomes[other, Reason.FAILOVER])

    def expired(self, now: float) -> None:
        """The deadline has passed; called by the sweep."""
        if self.phase >= _STREAMING:
            if self.delivery is not None:
                self.delivery.expired(now)
            return
        if now >= self.ends_at:
            self.attempt_ended(UpstreamTimeout("The model did not answer in time."))
        elif self.phase is _QUEUED:
            self.attempt_failed(Overflow("The model has more to do than it can; try again."))
        elif self._upload is None or self.downstream.is_reading_paused:
            self.attempt_ended(UpstreamTimeout("The model did not answer in time."))
        else:
            self._judge_upload(now)

    def attempt_ended(self, error: UpstreamError) -> None:
        """As `attempt_failed`, where the request may have been acted upon."""
        if self.group is None or self.phase < _CONNECTING:
            self.fail(error)
        else:
            self.attempt_failed(error)

    def _judge_upload(self, now: float) -> None:
        """A client that sends slower than the least rate holds a place that others need."""
        limits = self.plane.settings.limits
        if self._window_bytes > limits.min_bytes_per_second * (now - self._window_at):
            self._window_at, self._window_bytes = now, 0
            self._set_deadline(now + limits.body_idle_seconds)
            return
        self.refuse(DownstreamError(408, "body_timeout", "The body did not come in time."))

    def refuse(self, error: DownstreamError) -> None:
        """The request cannot be carried."""
        if error.code != "no_route":
            # What follows on the connection cannot be told from the rest of this request.
            self.keep = False
            self.is_broken = True
        self._respond(error.status, error.code, str(error))

    def fail(self, error: UpstreamError) -> None:
        """The request cannot be served."""
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

    # The end

    def _leave(self, group: Group) -> None:
        group.numbers.in_flight -= 1
        if self._is_retrying:
            self._is_retrying = False
            group.budget.give_back()
        if self._has_place:
            self._has_place = False
            group.leave()
        else:
            group.forget(self)
        self.group = None

    def finish(self, keep: bool) -> None:
        """The end, whatever it is; `keep` says whether the downstream connection goes on."""
        if self.phase is _DONE:
            return
        plane, group, endpoint, connection = (
            self.plane, self.group, self.endpoint, self.connection,
        )  # fmt: skip
        plane.exchanges.discard(self)
        now = _monotonic()
        if endpoint is not None:
            endpoint.finished()
            if connection is not None:
                self.connection = None
                if connection.is_reusable and self._upload is None:
                    # The client may have been slow to the very end; whoever is next is not.
                    connection.resume_reading()
                    endpoint.give_back(connection, now)
                else:
                    connection.abort()
        if group is None:
            plane.unrouted.finished(self.status, now - self.started)
            self.phase = _DONE
        else:
            group.numbers.finished(self.status, now - self.started)
            self._leave(group)
            self.phase = _DONE
        if plane.access_log is not None:
            plane.access_log.add(self, now)
        if self.trace is not None and plane.tracer is not None:
            plane.tracer.add(self, self.trace, now)
        if self.copy is not None:
            self.copy.primary_ended(now)
            self.copy = None
        self.delivery = None  # each knows the other: nobody would collect them but the collector
        self.downstream.finished(keep)

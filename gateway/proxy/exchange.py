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
from typing import TYPE_CHECKING, Final

from gateway.errors import (
    NoEndpoint,
    Overflow,
    Retry,
    UpstreamError,
    UpstreamTimeout,
)
from gateway.proxy.arrival import FOREVER, Arrival
from gateway.proxy.body_facts import with_model
from gateway.proxy.delivery import Delivery
from gateway.proxy.heads import request_head
from gateway.proxy.identity import identity_checked
from gateway.proxy.phase import Phase
from gateway.proxy.placement import instead_of, place
from gateway.proxy.strata import settle, settle_missed
from gateway.proxy.view import Outcome, RouteView
from gateway.routing.decide import decide
from gateway.routing.decision import Decision, Reason
from gateway.upstream.connection import Sink, UpstreamConnection
from gateway.upstream.endpoint import Endpoint
from gateway.upstream.group import Group

if TYPE_CHECKING:
    from gateway.http1.request import RequestHead
    from gateway.proxy.downstream import Downstream
    from gateway.proxy.view import View

_log: Final = logging.getLogger(__name__)

_JOINED_BYTES: Final = 16 * 1024  # up to here one write of head and body is cheaper than two
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
CLIENT_GONE: Final = 499

_monotonic: Final = time.monotonic
_now: Final = time.time
_draw = random.random

_QUEUED: Final = Phase.QUEUED
_CONNECTING: Final = Phase.CONNECTING
_WAITING: Final = Phase.WAITING
_STREAMING: Final = Phase.STREAMING
_TUNNEL: Final = Phase.TUNNEL
_DONE: Final = Phase.DONE


class Exchange(Arrival):
    """See the module's docstring."""

    __slots__ = (
        *("__dict__", "_failed", "_has_place", "_is_retrying", "_wants_fresh", "answered_at"),
        *("decision", "endpoint", "group", "is_upgrade", "last_failed", "tries"),
    )

    def __init__(self, downstream: Downstream, head: RequestHead, view: View) -> None:
        Arrival.__init__(self, downstream, head, view)
        self.decision: Decision | None = None
        self.group: Group | None = None
        self.endpoint: Endpoint | None = None
        self.answered_at = 0.0  # when the model's answer began
        self.is_upgrade = False
        self.tries = 0  # after the first
        self.last_failed: Endpoint | None = None
        self._failed: tuple[Endpoint, ...] = ()
        self._has_place = False  # among the version's requests
        self._is_retrying = False
        self._wants_fresh = False  # no kept connection: one was stale

    def __repr__(self) -> str:
        name = self.route.name if self.route else "no route"
        return f"<Exchange {self.phase.name.lower()} {self.head.method} {name} {self.version}>"

    @property
    def version(self) -> str:
        return "" if self.outcome is None else self.outcome.version

    @property
    def ends_by_close(self) -> bool:
        """Whether the client would take the end of the connection for that of the answer."""
        return self.head.minor == 0 and self.delivery is not None and self.delivery.has_begun

    # The decision and its place

    def _decide(self, now: float) -> None:
        view, head, facts = self.route, self.head, self.facts
        assert view is not None
        names = view.identity_names
        if names and (head.twice or not facts.trusted):
            self._kept = identity_checked(head, names, facts.trusted)
        self.decision = decision = decide(view.route, facts, now=_now(), draw=_draw)
        outcome = place(view, decision, now, _draw)
        if outcome.tally is not None:
            self.cell = outcome.tally.arrived(self.started, decision.unit)
        elif outcome.reason is Reason.FAILOVER:
            settle_missed(self, view.outcomes[decision.version, decision.reason])
        if view.total_seconds:
            self.ends_at = self.started + view.total_seconds
        if head.upgrade:
            self.is_upgrade = (
                head.upgrade.lower() == b"websocket" and head.method == "GET" and not head.has_body
            )
        self.plane.exchanges.add(self)
        self._enter(view, outcome, now)

    def _enter(self, view: RouteView, outcome: Outcome, now: float) -> None:
        """Take a place among the version's requests, or wait for one."""
        self.outcome = outcome
        counts, key = self.plane.decisions, outcome.key
        counts[key] = counts.get(key, 0) + 1
        self.group = group = view.groups[outcome.version]
        group.numbers.in_flight += 1
        if group.try_enter() or (self.plane.mirrors.makes_room(group) and group.try_enter()):
            self.proceed(now)
        elif group.enqueue(self):
            self.phase = _QUEUED
            self.set_deadline(now + view.queue_seconds)
        else:
            self.attempt_failed(Overflow("The model has more to do than it can; try again."))

    def proceed(self, now: float = 0.0) -> None:
        """There is a place: pick an endpoint and send; `now` is for who has just looked."""
        now = now or _monotonic()
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
        connection = None if self._wants_fresh else endpoint.take_idle(now)
        if connection is not None:
            self._send(connection, now)
        else:
            self.set_deadline(FOREVER)
            if endpoint.active > endpoint.max_connections:
                self.plane.mirrors.makes_room(group, endpoint)
            self.plane.spawn(self._connect(endpoint, self.route.connect_seconds))

    async def _connect(self, endpoint: Endpoint, seconds: float) -> None:
        try:
            await self._connect_and_send(endpoint, seconds)
        except Exception:
            _log.exception("A request failed inside the gateway.")
            self.broke()

    async def _connect_and_send(self, endpoint: Endpoint, seconds: float) -> None:
        try:
            connection = await endpoint.connect(seconds)
        except UpstreamError as error:
            if self.phase is _CONNECTING and self.endpoint is endpoint:
                self.attempt_failed(error)
            return
        if self.phase is _CONNECTING and self.endpoint is endpoint:
            self._send(connection, _monotonic())
        else:  # nobody waits for it any more, but the next request may
            endpoint.give_back(connection, _monotonic())

    def _send(self, connection: UpstreamConnection, now: float) -> None:
        view, group, endpoint, outcome = self.route, self.group, self.endpoint, self.outcome
        assert view and group and endpoint and outcome  # or there would be no connection
        head = self.head
        self.connection = connection
        self.phase = _WAITING
        body = self._body
        if view.rewrites is not None and body:
            body, self._length = self._rewritten(view, body)
        upload = self._upload
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
        joined, body = (body, b"") if len(body) <= _JOINED_BYTES else (b"", body)
        data = request_head(
            head.line,
            head,
            endpoint.target,
            self._kept,
            (*self._ours, outcome.request_line),
            self._length,
            self.is_upgrade,
            self.asks_continue,
            joined,
        )
        connection.start(
            sink, data, head.method, head.minor == 0, self.is_upgrade, head.te_trailers
        )
        if body and self.connection is connection:
            connection.send(body)
        if upload is None:
            self.set_deadline(now + view.first_byte_seconds)
        elif connection.is_writing_paused:  # by the very first write
            self.pause_upload()
        elif self.asks_continue:  # it is the model's turn
            self.awaits_continue = True
            self.set_deadline(now + view.first_byte_seconds)
            self.downstream.resume_reading()
        else:
            self.resume_upload()

    def _rewritten(self, view: RouteView, body: bytes) -> tuple[bytes, int]:
        assert view.rewrites is not None
        model = view.rewrites.get(self.version)
        if model is not None:
            body = with_model(body, model)
        return body, len(body)

    # What the downstream side says

    def downstream_ended(self) -> bool:
        """The client has ended its side; True when ours is to stay open."""
        if self.phase is _TUNNEL and self.connection is not None and self.delivery is not None:
            self.connection.send_eof()
            return self.delivery.half_ended()
        # It may still read, and would take the end of the connection for that of the answer.
        self.downstream.will_reset = self.ends_by_close
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
            self.set_deadline(_monotonic() + self.route.idle_seconds)

    def resume_upload(self) -> None:
        if self._upload is not None:
            now = _monotonic()
            self._window_at, self._window_bytes = now, 0
            if self.phase is _WAITING:
                self.set_deadline(now + self.plane.settings.limits.body_idle_seconds)
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
            self.endpoint, self.last_failed = None, endpoint
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
                return self.proceed(now)
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
        if self.cell is not None:
            settle(self, self.cell, now, has_failed=True)
        self._leave(group)
        self._failed = ()
        self._wants_fresh = False
        return self._enter(view, view.outcomes[other, Reason.FAILOVER], now)

    def expired(self, now: float) -> None:
        """The deadline has passed; called by the sweep."""
        if self.phase >= _STREAMING:
            if self.delivery is not None:
                self.delivery.expired(now)
            return
        is_clients_turn = self._upload is not None and not self.downstream.is_reading_paused
        if self.awaits_continue:
            is_clients_turn = False
        if now >= self.ends_at:
            error = UpstreamTimeout("The request took longer than the route allows.")
            if is_clients_turn:
                self.fail(error)  # no endpoint is to blame
            else:
                self.attempt_ended(error)
        elif self.phase is _QUEUED:
            self.attempt_failed(Overflow("The model has more to do than it can; try again."))
        elif not is_clients_turn:
            self.attempt_ended(UpstreamTimeout("The model did not answer in time."))
        else:
            self._judge_upload(now)

    def attempt_ended(self, error: UpstreamError) -> None:
        """As `attempt_failed`, where the request may have been acted upon."""
        if self.group is None or self.phase < _CONNECTING:
            self.fail(error)
        else:
            self.attempt_failed(error)

    def fail(self, error: UpstreamError) -> None:
        """The request cannot be served."""
        self._respond(error.status, error.code, str(error))

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

    def finish(self, keep: bool, now: float = 0.0) -> None:
        """The end, whatever it is; `keep` says whether the downstream connection goes on.

        `now` is for who has just looked.
        """
        if self.phase is _DONE:
            return
        now = now or _monotonic()
        plane, group, endpoint, connection = (
            self.plane, self.group, self.endpoint, self.connection,
        )  # fmt: skip
        plane.exchanges.discard(self)
        downstream = self.downstream
        if self.head.minor == 0 or downstream.ends_by_close:
            downstream.ends_by_close = self.ends_by_close
        if endpoint is not None:
            endpoint.finished()
            if connection is not None:
                self.connection = None
                is_clean = connection.is_reusable and not connection.is_writing_paused
                if is_clean and self._upload is None:
                    if connection.is_reading_paused:
                        # The client was slow to the very end; whoever is next is not.
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
            if self.cell is not None:
                settle(self, self.cell, now)
            view = self.route
            if view is not None and view.rated_places:
                plane.answered.note(self, view)
        if plane.access_log is not None:
            plane.access_log.add(self, now)
        if self.trace is not None and plane.tracer is not None:
            plane.tracer.add(self, self.trace, now)
        if self.copy is not None:
            self.copy.primary_ended(now)
            self.copy = None
        self.delivery = None  # each knows the other: nobody would collect them but the collector
        downstream.finished(keep, now)

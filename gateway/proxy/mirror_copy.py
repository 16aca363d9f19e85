"""One copy of a request: collected, sent to the mirror's version, its answer noted and forgotten.

    COLLECTING -> READY -> CONNECTING -> SENT -> ENDED

It asks nothing of the request that it is a copy of: that one goes its way, and only tells the copy
what it sends (`collect`) and when it is over (`primary_ended`). Whatever fails here is counted as
the mirror's and as nobody else's: neither an endpoint's health nor a version's errors know of it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING

from gateway.errors import Overflow, UpstreamError, UpstreamGone
from gateway.http1.framing import Framing
from gateway.http1.response import ResponseHead
from gateway.proxy.body_facts import with_model
from gateway.proxy.heads import request_head
from gateway.proxy.pair import Capture, Pair
from gateway.upstream.connection import UpstreamConnection
from gateway.upstream.endpoint import Endpoint

if TYPE_CHECKING:
    from gateway.proxy.exchange import Exchange
    from gateway.proxy.mirror import Mirrors
    from gateway.proxy.mirroring import Mirroring
    from gateway.proxy.view import RouteView

_FOREVER = float("inf")
_TOTAL_SECONDS = 300.0  # where the route sets no limit

_monotonic = time.monotonic


class Stage(Enum):
    """How far a copy is."""

    COLLECTING = "collecting"  # the body of its request
    READY = "ready"  # to be sent when it is its turn
    CONNECTING = "connecting"
    SENT = "sent"
    ENDED = "ended"


class Copy:
    """See the module's docstring; it is the sink of its own connection."""

    stage = Stage.COLLECTING
    deadline = _FOREVER
    _is_primary_over = False
    _dialing: asyncio.Task[None] | None = None
    _capture: Capture  # from when it is sent
    _endpoint: Endpoint | None = None
    _connection: UpstreamConnection | None = None
    _held_bytes = 0  # of its body
    _has_place = False  # among the version's requests
    _is_comparable = False  # its answer, or that there is none, says something of the version

    def __init__(
        self,
        mirrors: Mirrors,
        exchange: Exchange,
        where: tuple[RouteView, Mirroring],
        place: int | None,
        primary: Capture | None,
        lines: tuple[list[bytes], Sequence[bytes]],
        length: int,
    ) -> None:
        """Little happens here, since a request is about to be sent; the rest has time.

        `place` is that of the unit; `primary` notes what the client gets, if anybody compares;
        `lines` are those of the request and ours beside them; `length` is as `request_head` has it.
        """
        assert exchange.decision is not None
        self.primary = primary
        self._mirrors = mirrors
        self._view, self._mirroring = where
        self.group = self._view.groups[self._mirroring.version]
        self._place = place
        self._lines = lines
        self._length = length
        # Not the exchange itself: its body and its client are not kept for a copy.
        self._head = exchange.head
        self._unit = exchange.decision.unit
        self._id_line = exchange.id_line
        self._pieces: list[bytes] = []

    def __repr__(self) -> str:
        return f"<Copy {self.stage.value} {self._head!r} to {self.group.name}>"

    # What its request tells

    def collect(self, data: bytes, is_last: bool) -> None:
        """A piece of the request's body, framed as the primary gets it."""
        if self.stage is not Stage.COLLECTING:
            return
        self._held_bytes += len(data)
        if not self._mirrors.may_hold(self._held_bytes, len(data)):
            self._held_bytes -= len(data)
            self.withdraw("bytes")
            return
        self._pieces.append(data)
        if is_last:
            if self.primary is not None:
                self.primary.sent(_monotonic())
            self.stage = Stage.READY
            self._mirrors.send_soon(self)

    def sent_again(self) -> None:
        """The primary has the request once more."""
        if self.primary is not None and self.stage is not Stage.COLLECTING:
            self.primary.sent(_monotonic())

    def primary_ended(self, now: float) -> None:
        """The request is over, whatever became of it."""
        self._is_primary_over = True
        if self.primary is not None:
            self.primary.give_up(now)
        if self.stage is Stage.COLLECTING:
            self.withdraw("incomplete")
        else:
            self._settle()

    # Its own life

    def send(self) -> None:
        """Its turn has come."""
        if self.stage is not Stage.READY:
            return None
        group = self.group
        if not group.try_enter():
            return self.withdraw("overflow")
        self._has_place = True
        endpoint = group.pick(self._unit)
        if endpoint is None:
            return self.withdraw("no_endpoint")
        self._endpoint = endpoint
        endpoint.started()
        now = _monotonic()
        self.deadline = now + (self._view.total_seconds or _TOTAL_SECONDS)
        self._is_comparable = True
        self._capture = Capture(group.name, self._mirrors.answer_bytes)
        self._capture.sent(now)
        connection = endpoint.take_idle(now)
        if connection is not None:
            return self._start(endpoint, connection)
        self.stage = Stage.CONNECTING
        self._dialing = self._mirrors.plane.spawn(self._connect(endpoint))
        return None

    async def _connect(self, endpoint: Endpoint) -> None:
        try:
            try:
                connection = await endpoint.connect(self._view.connect_seconds)
            finally:
                self._dialing = None
        except UpstreamError as error:
            self._fail(error)
            return
        if self.stage is Stage.CONNECTING:
            self._start(endpoint, connection)
        else:  # too late for this one
            endpoint.give_back(connection, _monotonic())
            self._settle()

    def _start(self, endpoint: Endpoint, connection: UpstreamConnection) -> None:
        mirroring = self._mirroring
        kept, ours = self._lines
        self._connection = connection
        body = b"".join(self._pieces)
        self._pieces = []
        if mirroring.model and body:
            body = with_model(body, mirroring.model)
        head = request_head(
            mirroring.line(self._head),
            self._head,
            endpoint.target,
            mirroring.lines(kept),
            (*ours, *mirroring.ours),
            len(body) if self._length >= 0 else self._length,
            is_upgrade=False,
            asks_continue=False,
        )
        self.stage = Stage.SENT
        self._capture.sent(_monotonic())
        self.group.numbers.mirrored += 1
        connection.start(self, head + body, self._head.method, is_plain=True)

    def expired(self, now: float) -> None:
        """The deadline has passed; called by the sweep."""
        self._count("timeout")
        self._capture.give_up(now)
        self._end()

    def withdraw(self, cause: str) -> None:
        """Leave it at that; what has become of the copy says nothing of its version."""
        if self.stage is not Stage.ENDED:
            self._count(cause)
            self._is_comparable = False
            if self.primary is not None:
                self.primary.drop()
            self._end()

    def gives_way(self, endpoint: Endpoint | None = None) -> bool:
        """Withdraws from its place, or its connection at an endpoint, if it has one there."""
        if self.stage is Stage.ENDED or not self._has_place:
            return False
        if endpoint is not None and (self._endpoint is not endpoint or self._connection is None):
            return False
        self.withdraw("gave_way")
        return True

    def close(self) -> None:
        """End it at once: the plane is closing."""
        if self._dialing is not None:
            self._dialing.cancel()
        self.withdraw("overload")

    # What the model says

    def informational(self, head: ResponseHead) -> None:
        pass

    def answered(self, head: ResponseHead, framing: Framing, data: bytes, is_last: bool) -> None:
        self._let_go_of_body()  # who answers has read it
        self._capture.answered(head, _monotonic())
        if head.status >= 500:
            self._count("status_5xx")
        self.body(data, is_last)

    def body(self, data: bytes, is_last: bool) -> None:
        self._capture.feed(data)
        if is_last:
            self._capture.complete(_monotonic())
            self._end(is_whole=True)

    def upstream_failed(self, error: UpstreamError) -> None:
        connection = self._connection
        assert connection is not None
        if isinstance(error, UpstreamGone) and connection.served > 1:
            self.withdraw("stale")  # closed for being idle, most likely
        else:
            self._fail(error)

    def broke(self) -> None:
        self.withdraw("internal")

    def tunnelled(self, data: bytes) -> None:
        raise AssertionError("A copy asks for no upgrade.")

    def upstream_ended(self) -> None:
        raise AssertionError("A copy asks for no upgrade.")

    def pause_upload(self) -> None:
        pass  # all there is to send is written, and it is bounded

    def resume_upload(self) -> None:
        pass

    # The end

    def _fail(self, error: UpstreamError) -> None:
        if self.stage is not Stage.ENDED:
            if isinstance(error, Overflow):  # what is lacking is ours
                self._is_comparable = False
            self._capture.failed(error)
            self._count(self._capture.failure)
            self._capture.give_up(_monotonic())
            self._end()
        else:
            self._settle()

    def _end(self, is_whole: bool = False) -> None:
        self.stage = Stage.ENDED
        self.deadline = _FOREVER
        self._pieces = []
        self._let_go_of_body()
        endpoint, connection = self._endpoint, self._connection
        self._endpoint = self._connection = None
        if endpoint is not None:
            endpoint.finished()
            if connection is not None:
                if is_whole and connection.is_reusable:
                    endpoint.give_back(connection, _monotonic())
                else:
                    connection.abort()
        if self._has_place:
            self._has_place = False
            self.group.leave()
        self._settle()

    def _settle(self) -> None:
        """Is it over with both?"""
        if self.stage is not Stage.ENDED or self._dialing is not None:
            return
        primary = self.primary
        if primary is None or not self._is_comparable:
            self._mirrors.settled(self, None)
        elif self._is_primary_over:
            pair = Pair(
                route=self.group.route,
                request_id=self._id_line.partition(b" ")[2].decode(),
                unit=self._place,
                primary=primary.half(),
                copy=self._capture.half(),
            )
            self._mirrors.settled(self, pair)

    def _let_go_of_body(self) -> None:
        self._mirrors.let_go(self._held_bytes)
        self._held_bytes = 0

    def _count(self, cause: str) -> None:
        self._mirrors.count(self.group, cause)

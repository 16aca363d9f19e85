"""Copies of requests to another version: whose, how many, and who is told what came of them.

Whoever is copied pays for nothing but a choice and a reference to bytes. A copy is made when its
request has been sent, in a turn of the loop of its own; it never waits for anything that a request
could use, and gives way where one needs its place. There are bounds on the copies under way, on
those begun in a second, on the bytes of one and of all: what is beyond them is not copied, and
counted.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from gateway.proxy.mirror_copy import Copy
from gateway.proxy.pair import Capture, Observer, Pair
from gateway.routing.bucket import CIRCLE
from gateway.routing.decision import Reason
from gateway.upstream.connection import Sink
from gateway.upstream.endpoint import Endpoint
from gateway.upstream.group import Group

if TYPE_CHECKING:
    from gateway.proxy.exchange import Exchange
    from gateway.proxy.plane import DataPlane

_log = logging.getLogger(__name__)

_HELD_BODIES = 16  # of the largest size, by all copies together
_MOST_LAG_SECONDS = 0.2  # copies end long before requests are turned away


class Mirrors:
    """All copies of one worker."""

    def __init__(
        self,
        plane: DataPlane,
        *,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:
        limits = plane.settings.limits
        self.plane = plane
        self.answer_bytes = limits.mirror_answer_bytes
        self.held_bytes = 0  # of bodies
        self.copies: set[Copy] = set()  # until both answers have ended
        self._most_copies = limits.mirror_requests
        self._most_body_bytes = limits.mirror_body_bytes
        self._rate = limits.mirror_per_second
        self._allowed: float = limits.mirror_per_second
        self._allowed_at = clock()
        self._ready: deque[Copy] = deque()
        self._clock = clock
        self._draw = draw

    def __repr__(self) -> str:
        return f"<Mirrors: {len(self.copies)} copies, {self.held_bytes} bytes>"

    # What requests ask for

    def watch(
        self,
        exchange: Exchange,
        sink: Sink,
        kept: list[bytes],
        ours: Sequence[bytes],
        body: bytes,
        length: int,
    ) -> Sink:
        """Who is to hear the answer to a request that is about to be sent: mostly `sink`.

        `body` is what there is of it; the exchange tells its copy the rest.
        """
        copy = exchange.copy
        if copy is None:
            copy = self._copy_of(exchange, kept, ours, length)
            if copy is None:
                return sink
            exchange.copy = copy
            copy.collect(body, exchange.is_uploaded)
        elif _has_failed_over(exchange):
            copy.withdraw("failover")
        else:
            copy.sent_again()
        if copy.primary is None:
            return sink
        return Observer(sink, copy.primary, is_plain=exchange.head.minor == 0)

    def makes_room(self, group: Group, endpoint: Endpoint | None = None) -> bool:
        """A request needs a place of this version, or a connection of this endpoint."""
        copies = tuple(self.copies)  # one that gives way leaves them
        return any(copy.group is group and copy.gives_way(endpoint) for copy in copies)

    def _copy_of(
        self, exchange: Exchange, kept: list[bytes], ours: Sequence[bytes], length: int
    ) -> Copy | None:
        view, decision = exchange.route, exchange.decision
        assert view is not None and view.mirror is not None and decision is not None
        mirroring = view.mirror
        if exchange.version == mirroring.version:
            return None
        if exchange.is_upgrade or _has_failed_over(exchange):
            return None
        unit = decision.unit
        place = None if unit is None else mirroring.place_of(unit)
        if not mirroring.covers(int(self._draw() * CIRCLE) if place is None else place):
            return None
        cause = self._against(length)
        if cause:
            self.count(view.groups[mirroring.version], cause)
            return None
        primary = None
        # Another candidate's answer says nothing of how the mirror's version differs from stable.
        itself = mirroring.itself if exchange.version == view.stable else None
        if itself is not None and self.plane.on_pair is not None:
            primary = Capture(exchange.version, self.answer_bytes)
            if self._draw() < mirroring.self_share:
                mirroring = itself
        copy = Copy(self, exchange, (view, mirroring), place, primary, (kept, ours), length)
        self.copies.add(copy)
        return copy

    def _against(self, length: int) -> str:
        """What speaks against one more copy; nothing mostly."""
        plane = self.plane
        overload = plane.overload
        if plane.is_closing or overload.cause is not None or overload.ends_keepalive:
            return "overload"
        if overload.lag_seconds > _MOST_LAG_SECONDS:
            return "overload"
        if len(self.copies) >= self._most_copies:
            return "busy"
        if length > self._most_body_bytes:
            return "bytes"
        return "" if self._may_begin() else "rate"

    def _may_begin(self) -> bool:
        now = self._clock()
        allowed = self._allowed + (now - self._allowed_at) * self._rate
        self._allowed = min(allowed, self._rate)
        self._allowed_at = now
        if self._allowed < 1:
            return False
        self._allowed -= 1
        return True

    # What copies ask for

    def may_hold(self, size: int, more: int) -> bool:
        """Whether a copy may have a body of this size, by so many bytes more than before."""
        if size > self._most_body_bytes:
            return False
        if self.held_bytes + more > self._most_body_bytes * _HELD_BODIES:
            return False
        self.held_bytes += more
        return True

    def let_go(self, size: int) -> None:
        self.held_bytes -= size

    def send_soon(self, copy: Copy) -> None:
        """When what is written now has left, one in each turn of the loop: requests go first."""
        self._ready.append(copy)
        if len(self._ready) == 1:
            asyncio.get_running_loop().call_soon(self._send_one)

    def _send_one(self) -> None:
        if not self._ready:  # closed
            return
        copy = self._ready.popleft()
        if self._ready:
            asyncio.get_running_loop().call_soon(self._send_one)
        try:
            copy.send()
        except Exception:
            _log.exception("A copy could not be sent: %r", copy)
            copy.withdraw("internal")

    def count(self, group: Group, cause: str) -> None:
        failures = group.numbers.mirror_failures
        failures[cause] = failures.get(cause, 0) + 1

    def settled(self, copy: Copy, pair: Pair | None) -> None:
        """Nothing more will come of this copy."""
        self.copies.discard(copy)
        if pair is not None:
            # Not from here: a request is being finished.
            asyncio.get_running_loop().call_soon(self._tell, pair)

    def _tell(self, pair: Pair) -> None:
        if self.plane.on_pair is None:
            return
        try:
            self.plane.on_pair(pair)
        except Exception:
            _log.exception("Two answers could not be compared: %s", pair.request_id)

    # What the plane asks for

    def sweep(self, now: float) -> None:
        """Ends what takes too long; to be called about every second."""
        for copy in tuple(self.copies):
            if copy.deadline <= now:
                copy.expired(now)

    def close(self) -> None:
        """Ends all copies; nobody hears of them any more."""
        for copy in tuple(self.copies):
            copy.close()
        self.copies.clear()
        self._ready.clear()


def _has_failed_over(exchange: Exchange) -> bool:
    assert exchange.outcome is not None
    return exchange.outcome.reason is Reason.FAILOVER

"""One version of one route, as this worker sees it: its endpoints, and how much it may be asked."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from gateway.metrics.numbers import Numbers
from gateway.routing.spec import RouteSpec
from gateway.upstream.balance import is_panic, pick, usable
from gateway.upstream.budget import RetryBudget
from gateway.upstream.endpoint import Endpoint


class Waiter(Protocol):
    """A request that waits for a place."""

    def proceed(self) -> None:
        """There is a place, and it is taken: whoever is called must `leave` some time."""


class Group:
    """See the module's docstring; the fleet keeps one for as long as the version exists.

    A request calls `try_enter`, or waits with `enqueue` until `proceed` is called; then it picks
    endpoints; at its end it calls `leave`, or `forget` when it gave up waiting.
    """

    __slots__ = (
        "_clock",
        "_draw",
        "_is_admitting",
        "_is_sticky",
        "active",
        "budget",
        "endpoints",
        "max_pending",
        "max_requests",
        "may_panic",
        "name",
        "numbers",
        "route",
        "waiting",
    )

    def __init__(
        self,
        route: str,
        name: str,
        numbers: Numbers,
        clock: Callable[[], float],
        draw: Callable[[], float],
    ) -> None:
        self.route = route
        self.name = name  # of the version
        self.numbers = numbers
        self.endpoints: Sequence[Endpoint] = ()
        self.budget = RetryBudget()
        self.active = 0
        self.waiting: deque[Waiter] = deque()
        self.max_requests = self.max_pending = 0
        self.may_panic = True  # whether endpoints that look bad are used when most of them do
        self._is_sticky = False
        self._is_admitting = False
        self._clock = clock
        self._draw = draw

    def __repr__(self) -> str:
        busy = f"{self.active} active, {len(self.waiting)} waiting"
        return f"<Group {self.route} {self.name}: {busy}, {len(self.endpoints)} endpoints>"

    def configure(self, spec: RouteSpec, endpoints: Sequence[Endpoint]) -> None:
        """Takes over what the route says now; requests under way are not touched."""
        self.max_requests = spec.max_requests
        self.max_pending = spec.max_pending
        self._is_sticky = spec.balance == "rendezvous"
        # There is nobody else to send requests to.
        self.may_panic = self.name == spec.stable or not spec.failover
        if tuple(endpoints) != tuple(self.endpoints):
            self.endpoints = tuple(endpoints)
            siblings = tuple(endpoint.health for endpoint in endpoints)
            for health in siblings:
                health.siblings = siblings
        self._admit()

    # Places

    def try_enter(self) -> bool:
        """Takes a place among the requests under way, if there is one."""
        if self.active >= self.max_requests:
            return False
        self.active += 1
        return True

    def enqueue(self, waiter: Waiter) -> bool:
        """Waits for a place, first come, first served; False when too many wait already."""
        if len(self.waiting) >= self.max_pending:
            return False
        self.waiting.append(waiter)
        return True

    def forget(self, waiter: Waiter) -> None:
        """It does not wait any more."""
        if waiter in self.waiting:
            self.waiting.remove(waiter)

    def leave(self) -> None:
        """Gives the place back; who waited longest gets it."""
        self.active -= 1
        if self.waiting:
            self._admit()

    def _admit(self) -> None:
        # One that proceeds may fail and leave at once: the loop, not recursion, serves the next.
        if self._is_admitting:
            return
        self._is_admitting = True
        try:
            while self.waiting and self.active < self.max_requests:
                self.active += 1
                self.waiting.popleft().proceed()
        finally:
            self._is_admitting = False

    # Endpoints

    def pick(self, unit: bytes | None, excluded: Collection[Endpoint] = ()) -> Endpoint | None:
        """Where to send a request; None when no endpoint may be used."""
        endpoints = self.endpoints
        if len(endpoints) == 1 and not excluded:
            only = endpoints[0]
            return only if self.may_panic or only.health.is_up(self._clock()) else None
        if not self._is_sticky:
            unit = None
        return pick(endpoints, self._clock(), self._draw, unit, excluded, self.may_panic)

    def can_pick(self, excluded: Collection[Endpoint] = ()) -> bool:
        """Whether `pick` would find one."""
        found = usable(self.endpoints, self._clock(), self.may_panic)
        return any(endpoint not in excluded for endpoint in found)

    def is_down(self, now: float) -> bool:
        """No endpoint is up; in panic they may be used all the same."""
        # `is_up`, written out: this is asked for each request.
        for endpoint in self.endpoints:
            health = endpoint.health
            if now >= health.ejected_until and not health.is_checked_down:
                return False
        return True

    def is_panic(self, now: float) -> bool:
        """Endpoints that look bad are being used because most of them do."""
        if not self.may_panic:
            return False
        up = sum(endpoint.health.is_up(now) for endpoint in self.endpoints)
        return is_panic(up, len(self.endpoints))

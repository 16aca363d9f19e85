"""The controller: while this gateway leads, it conducts every running release, once a second.

It also ticks at once when the store says that numbers or commands have come, so that a crash is
answered in a moment. Routes without a release cost one question a second for all of them together.
Everything it knows is in the store: a controller may be killed at any point, and whichever gateway
leads next goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from gateway.errors import ConflictError, GraygateError, StoreError, StoreUnavailable
from gateway.metrics.releases import Conducted
from gateway.release.conduct.notify.notifier import Notifier
from gateway.release.conduct.own_metrics import OwnMetrics
from gateway.release.conduct.session import Judging, Lost, Session, StrataSource
from gateway.release.conduct.standings import Standings
from gateway.release.conduct.testimony import read_testimony
from gateway.release.judge.evidence import MetricVerdict
from gateway.release.machine.status import Status
from gateway.release.machine.status import decode as decode_status
from gateway.release.plan.calendar import zones_of
from gateway.state.keys import Part
from gateway.state.raw import RouteState
from gateway.state.release import COMMANDS_AT_ONCE, ReleaseRecord, ReleaseUpdate
from gateway.state.store import Store
from gateway.state.write import Edit

log = logging.getLogger("graygate.release")

TICK_SECONDS = 1.0
ALIVE_SECONDS = 10.0  # without a word; a gateway says every 2 s that it lives
LEAST_SECONDS = 0.2  # between two ticks, however often the store says that something came

NewJudging = Callable[[Status, ReleaseRecord], Judging]
Readiness = Callable[[Status], str]


class Controller:
    """Ticks for ever; does nothing but wait while another gateway leads."""

    def __init__(
        self,
        store: Store,
        strata: StrataSource,
        new_judging: NewJudging,
        notifier: Notifier,
        metrics: OwnMetrics,
        own_id: str,
        *,
        why_not_ready: Readiness = lambda _: "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._strata = strata
        self._new_judging = new_judging
        self._notifier = notifier
        self._metrics = metrics
        self._own_id = own_id
        self._why_not_ready = why_not_ready
        self._clock = clock
        self._sessions: dict[str, Session] = {}
        self._term = 0
        self._known: dict[str, Session] = {}  # as they were last, should the store lose them
        self._lost: set[str] = set()  # of those, what is gone from the store with its route
        self._said: dict[str, str] = {}  # the last trouble with each route
        self._standings = Standings(store.releases)
        self._woken = asyncio.Event()
        notifier.on_done(self._sent)
        store.subscribe_releases(self._hear)

    def __repr__(self) -> str:
        return f"<Controller, term {self._term}, {len(self._sessions)} releases>"

    @property
    def problems(self) -> Mapping[str, str]:
        """What keeps the release of a route from going on."""
        return self._said

    def conducted(self) -> Conducted:
        """How releases stand, for `/metrics`."""
        is_leading = bool(self._term) and self._store.leader.term == self._term
        return self._standings.conducted(self._clock(), self._said, is_leading=is_leading)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._notifier.run())
            tasks.create_task(self._metrics.run())
            while True:
                began = time.monotonic()
                await self.tick()
                await self._rest(began)

    async def tick(self) -> None:
        """Bring every running release one step on, if this gateway leads."""
        term = self._store.leader.term
        if term != self._term:
            self._sessions.clear()
            self._said.clear()
            self._standings.begin()
            self._term = term
        if not term:
            if self._store.leader.is_another_leading:  # which knows better from now on
                self._known.clear()
                self._lost.clear()
            return
        in_force = self._store.snapshot.routes
        try:
            routes = await self._store.releases.attended(in_force)
        except StoreError as error:
            self._lose(error)
            return
        for gone in self._sessions.keys() - routes:
            del self._sessions[gone]
        for route in self._known.keys() - routes:
            await self._look_for(route)
        await asyncio.gather(*(self._conduct(route) for route in sorted(routes)))
        running = {session.status.release_id for session in self._sessions.values()}
        self._metrics.keep_only(running)
        for past in self._said.keys() - routes - self._known.keys():
            del self._said[past]
        with contextlib.suppress(StoreError):  # the next tick goes on with it
            conducted = self._sessions.keys() | self._known.keys()
            await self._standings.look(in_force, conducted, self._clock())

    # One release

    async def _conduct(self, route: str) -> None:
        try:
            session = self._sessions.get(route) or await self._open(route)
            if session is None:
                self._said.pop(route, None)
                return
            self._sessions[route] = session
            is_running = await session.tick(self._clock())
            self._standings.ticked(session.status, session.testimony)
            self._tell(session)
            self._known[route] = session
            if not is_running:
                del self._sessions[route]
            if session.status.is_over:
                self._known.pop(route)
            self._said.pop(route, None)
        except StoreUnavailable:
            self._sessions.pop(route, None)  # the watch reports a store that is away
        except (Lost, ConflictError) as error:
            self._sessions.pop(route, None)
            log.info("Release of %s is read again: %s", route, error)
            self._woken.set()
        except (GraygateError, msgspec.MsgspecError) as error:
            self._sessions.pop(route, None)
            self._complain(route, str(error))
        except Exception as error:
            self._sessions.pop(route, None)
            self._fail(route, error)

    async def _open(self, route: str) -> Session | None:
        """The release as the store holds it; None when there is none."""
        releases = self._store.releases
        record = await releases.read(route)
        if not record.status:
            log.warning(
                "%s has no release: there was none, or it was removed by hand. Its weight stays, "
                "and what was said to it is dropped.",
                route,
            )
            update = ReleaseUpdate(record.step, commands_taken=COMMANDS_AT_ONCE)
            await releases.save(route, update, str(self._term))
            return None
        status = decode_status(record.status)
        self._metrics.watch(status.release_id, status.plan, status.stable)
        self._standings.opened(status, read_testimony(record.evidence))
        return Session(
            record,
            self._new_judging(status, record),
            releases=releases,
            writer=self._store.writer,
            strata=self._strata,
            world=self,
            term=str(self._term),
            own_id=self._own_id,
        )

    async def _look_for(self, route: str) -> None:
        try:
            await self._miss(route)
        except (StoreUnavailable, ConflictError):
            pass  # the next tick tries again, if this gateway still leads
        except GraygateError as error:
            self._complain(route, str(error))
        except Exception as error:
            self._fail(route, error)

    async def _miss(self, route: str) -> None:
        """A release that ran is not there any more: over, given up by hand, or lost with the store.

        What the store lost is put back as it was here, once the route itself is back.
        """
        session, releases = self._known[route], self._store.releases
        look = await releases.look(route, session.status.candidate)
        if not look.stable:
            self._lost.add(route)
            self._complain(
                route,
                "the store lost it together with its route; it goes on when the routes are put "
                "back with: graygate repopulate",
            )
            return
        record = await releases.read(route)
        # The id alone is what `repopulate` leaves; whoever gave the release up left nothing.
        if not record.release and (route in self._lost or record.id):
            fields = session.fields(session.status, session.outbox)
            update = ReleaseUpdate(record.step, fields, begins=True)
            await releases.save(route, update, str(self._term))
            log.warning("The release of %s is back in the store and goes on.", route)
        self._known.pop(route)
        self._lost.discard(route)
        self._said.pop(route, None)

    def _tell(self, session: Session) -> None:
        """Have sent what is in the store by now; what was told already is not told again."""
        for one in session.unsent:
            self._notifier.tell(one.notice, one.channels or tuple(self._notifier.lines))

    def _complain(self, route: str, text: str) -> None:
        if self._said.get(route) != text:
            log.warning("The release of %s cannot go on: %s", route, text)
        self._said[route] = text

    def _fail(self, route: str, error: Exception) -> None:
        """A mistake of ours in one release must end neither the others nor this process."""
        if self._said.get(route) != repr(error):
            log.error(
                "The release of %s holds still: the controller failed.", route, exc_info=error
            )
        self._said[route] = repr(error)

    def _lose(self, error: StoreError) -> None:
        self._sessions.clear()
        if not isinstance(error, StoreUnavailable):
            self._complain("", str(error))

    # What a session asks

    def metrics(self, status: Status) -> tuple[MetricVerdict, ...]:
        return self._metrics.verdicts(status.release_id)

    def gateways(self) -> frozenset[str] | None:
        now, latest = self._clock(), self._store.instances.latest
        return frozenset(name for name, one in latest.items() if now - one.at < ALIVE_SECONDS)

    def offsets(self, status: Status, now: float) -> Mapping[str, float]:
        return {
            zone: offset
            for zone in zones_of(status.plan)
            if (offset := _offset(zone, now)) is not None
        }

    def in_force(self, route: str) -> Edit | None:
        held = self._store.snapshot.routes.get(route)
        return None if held is None else partial(_instead, held.state)

    def why_not_ready(self, status: Status) -> str:
        return self._why_not_ready(status)

    def others(self, status: Status) -> float:
        held = self._store.snapshot.routes.get(status.route)
        weights = {} if held is None else held.spec.weights
        compared = (status.candidate, status.stable)
        return sum(percent for name, percent in weights.items() if name not in compared)

    # Waking

    def _hear(self, route: str, part: Part) -> None:
        if part is Part.RELEASE:
            self._standings.changed(route)
        elif route in self._sessions or part is not Part.STRATA:
            self._woken.set()

    def _sent(self, notice_id: str) -> None:
        for session in self._sessions.values():
            session.sent(notice_id)

    async def _rest(self, began: float) -> None:
        await asyncio.sleep(max(LEAST_SECONDS - (time.monotonic() - began), 0.0))
        left = TICK_SECONDS - (time.monotonic() - began)
        try:
            async with asyncio.timeout(max(left, 0.0)):
                await self._woken.wait()
        except TimeoutError:
            pass
        self._woken.clear()


def _instead(held: RouteState, _: RouteState) -> RouteState:
    return held


def _offset(zone: str, now: float) -> float | None:
    """Seconds east of UTC; None for a zone that is not known here."""
    try:
        offset = datetime.fromtimestamp(now, ZoneInfo(zone)).utcoffset()
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
    return None if offset is None else offset.total_seconds()

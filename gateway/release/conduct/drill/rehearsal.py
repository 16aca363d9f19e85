"""One drill from its first request to its report.

The rules of a drill
- It works on a route of its own, R.drill, which only its own requests match: their Host is a name
  that nobody can own. Its stable is R's stable; its candidate is the stand-in.
- What is measured is the real way: real requests through the data port, a real release, the leader
  wherever it runs, the store, the workers.
- It ends by itself, and takes away all that it made. What a drill that was killed left behind is
  taken away by the leader as soon as nobody renews the drill's lease.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.errors import GraygateError, NotFoundError, RefusedError
from gateway.release.conduct.desk import Desk
from gateway.release.conduct.drill.callers import UNIT_HEADER, Callers
from gateway.release.conduct.drill.obeyed import WorkerState, are_held
from gateway.release.conduct.drill.standin import StandIn
from gateway.release.drill.report import Report, Times, Wanted, concluded
from gateway.release.machine.phase import Phase
from gateway.release.machine.status import Status
from gateway.state.drills import LEASE_SECONDS, SUFFIX, DrillStore
from gateway.state.raw import RouteState
from gateway.state.store import Store
from gateway.state.write import Author, Change

CANDIDATE = "drill"
IN_FORCE_SECONDS = 20.0
BEGIN_SECONDS = 60.0  # for the release to have its weight
WARM_SECONDS = 70.0  # the judge looks at latencies after a version's first minute
CALM_SECONDS = 3.0  # with the candidate at its weight, and nothing broken
WARM_ANSWERS = 10
CANDIDATE_REQUESTS = 5
LEARN_SECONDS = {"latency": 15.0}
MORE_SECONDS = 30.0  # to wait beyond the target before it counts as never
OBEY_SECONDS = 10.0
CLEAN_SECONDS = 25.0
LAST_STRATA_SECONDS = 2.5  # gateways publish what they counted up to so long afterwards
_POLL = 0.02
_ASK = 0.1  # the store; when it was is told, so that asking seldom costs no precision


@dataclass(frozen=True, slots=True)
class Scene:
    """What a drill needs of its gateway."""

    store: Store
    desk: Desk
    drills: DrillStore
    workers: Callable[[], Sequence[WorkerState]]
    own_id: str
    clock: Callable[[], float] = time.time


class DrillFailed(Exception):
    """Nothing can be measured; the message says why, as a sentence's half."""


def drill_route(route: str) -> str:
    return route + SUFFIX


def plan_of(wanted: Wanted) -> dict[str, Any]:
    """A release that gives the stand-in its weight and then waits for what happens to it."""
    guards: dict[str, Any] = {"latency": {"enabled": wanted.kind == "latency"}}
    return {
        "candidate": CANDIDATE,
        "mode": "automatic",
        "unit": "request",
        "goal": f"drill: {wanted.kind}",
        "owner": "graygate",
        "expires": 3600,
        "stages": [
            {
                "weight": wanted.weight,
                "hold": LEARN_SECONDS.get(wanted.kind, 2.0),
                "minimum_requests": 10**9,  # it never goes on
            },
            {"weight": 100},
        ],
        "guardrails": guards,
        "notifications": [],
    }


def state_of(
    source: RouteState, stable: str, host: str, stand_in: str, beside: str = ""
) -> RouteState:
    """The drill's route: R's stable as it is, or behind a stand-in as well, and the stand-in."""
    kept = {name: text for name, text in source.route.items() if name.startswith("timeout_")}
    route = {
        **kept, "stable": stable, "host": host, "path": "/", "failover": "0", "retries": "0",
        "unit": f"header:{UNIT_HEADER.lower()}",
    }  # fmt: skip
    versions = {stable: beside or source.versions[stable], CANDIDATE: stand_in}
    return RouteState(route=route, versions=versions, weights={}, rules=())


class Rehearsal:
    """Runs once; `report` says at any time how it stands."""

    def __init__(
        self, scene: Scene, report: Report, wanted: Wanted, stand_in: StandIn, callers: Callers,
        state: RouteState, author: Author, beside: StandIn | None = None,
    ) -> None:  # fmt: skip
        self.report = report
        self._scene = scene
        self._wanted = wanted
        self._stand_in = stand_in
        self._callers = callers
        self._state = state
        self._beside = beside  # that stable is behind, where its own milliseconds would tell
        self._author = author
        self._route = drill_route(report.route)
        self._why_not_held = ""

    def __repr__(self) -> str:
        return f"<Rehearsal {self.report.id} of {self.report.route}: {self.report.step}>"

    async def run(self) -> Report:
        """Whatever happens, there is a report, and nothing else is left."""
        try:
            async with asyncio.TaskGroup() as tasks:
                renewing = tasks.create_task(self._renew())
                try:
                    async with contextlib.AsyncExitStack() as stack:
                        for one in filter(None, (self._stand_in, self._beside)):
                            await stack.enter_async_context(one.serving())
                        await stack.enter_async_context(self._clean())
                        await self._rehearse()
                finally:
                    renewing.cancel()
        except BaseExceptionGroup as group:
            self._fail(group)
        self._count()
        return self.report

    async def _rehearse(self) -> None:
        await self._make_route()
        async with self._callers.calling():
            await self._warm()
            await self._release()
            failed_at = await self._break()
            times = await self._measure(failed_at)
        self._count()
        self.report = concluded(self.report, times, self._scene.clock(), self._why_not_held)

    # Its steps

    async def _make_route(self) -> None:
        self._step("its route is made")
        change = Change(lambda _: self._state)
        await self._scene.store.writer.change(self._route, change, self._author)
        await self._until_held(IN_FORCE_SECONDS, "the drill's route is not held")

    async def _warm(self) -> None:
        self._step("stable is asked")
        await self._until(
            lambda: self._callers.good + self._callers.bad >= WARM_ANSWERS,
            IN_FORCE_SECONDS,
            "no answers came through the gateway's data port",
        )
        if self._callers.bad > self._callers.good:
            told = ", ".join(str(s) for s in sorted(self._callers.answers) if not 0 < s < 500)
            raise DrillFailed(
                f"stable itself fails the drill's requests ({told}); choose method, path and body "
                "that it answers"
            )

    async def _release(self) -> None:
        self._step("its release begins")
        view = await self._scene.desk.start(self._route, plan_of(self._wanted), self._author)
        self.report = msgspec.structs.replace(self.report, release=view.status.release_id)
        status = await self._wait_status(
            lambda status: status.phase is not Phase.PREPARING, BEGIN_SECONDS
        )
        if status is None:
            raise DrillFailed("no gateway led the release; see: graygate doctor")
        self._step("nothing is broken yet")
        asked = self._stand_in.requests
        warm = WARM_SECONDS if self._wanted.kind == "latency" else CALM_SECONDS
        ends = time.monotonic() + warm
        await self._until(
            lambda: (
                time.monotonic() >= ends and self._stand_in.requests >= asked + CANDIDATE_REQUESTS
            ),
            warm + MORE_SECONDS,
            "no requests came to the stand-in",
        )
        status = (await self._scene.desk.look(self._route)).status
        if status.phase is not Phase.RAMP:
            raise DrillFailed(f"there was an alarm before anything was broken: {_last(status)}")

    async def _break(self) -> float:
        self._step("the stand-in is broken")
        self._stand_in.fault = self._wanted.kind
        await self._until(
            lambda: self._stand_in.failed_at is not None, MORE_SECONDS, "no request met the fault"
        )
        assert self._stand_in.failed_at is not None
        return self._stand_in.failed_at

    async def _measure(self, failed_at: float) -> Times:
        scene, patience = self._scene, self._wanted.target_seconds + MORE_SECONDS
        status = await self._wait_status(lambda status: _is_away(status), patience)
        if status is None:
            held = await scene.desk.look(self._route)
            return Times(detected=_since(failed_at, held.status, "hold", "alarm"))
        seen = scene.clock()
        times = Times(
            detected=_since(failed_at, status, "hold", "alarm"),
            decided=_since(failed_at, status, "alarm"),
            seen=seen - failed_at,
        )
        try:
            propagated = await self._until_held(OBEY_SECONDS, "weight 0 is not held")
        except DrillFailed as failure:
            self._why_not_held = str(failure)
            return times
        await asyncio.sleep(0.5)  # what was under way has come to the stand-in by then
        return msgspec.structs.replace(
            times, propagated=propagated - failed_at, quiet=self._quiet_at() - failed_at
        )

    # What it looks at

    def _quiet_at(self) -> float:
        """The last request to the stand-in, or the last that failed: it may have been ejected."""
        return max(self._stand_in.last_at or 0.0, self._callers.last_bad_at)

    def _candidate_weight(self) -> float | None:
        held = self._scene.store.snapshot.routes.get(self._route)
        return None if held is None else held.spec.weights.get(CANDIDATE, 0.0)

    async def _until_held(self, seconds: float, what: str) -> float:
        """Since when every worker of every gateway knows that the stand-in has weight 0."""
        scene, ends = self._scene, time.monotonic() + seconds
        await self._until(self._is_held_here, seconds, f"{what} by the workers of {scene.own_id}")
        held_at, wanted = scene.clock(), scene.store.snapshot.routes[self._route].revision
        while True:
            everybody = await scene.store.instances.everybody(time.time())
            everybody.pop(scene.own_id, None)
            held = {name: one.drills.get(self._route, (0, 0.0)) for name, one in everybody.items()}
            late = sorted(name for name, (revision, _) in held.items() if revision < wanted)
            if not late:
                # Clocks differ: nobody held it later than now.
                return min(max(held_at, *(at for _, at in held.values()), 0.0), scene.clock())
            if time.monotonic() > ends:
                raise DrillFailed(f"{what} by the workers of {', '.join(late)}")
            await asyncio.sleep(_ASK)

    def _is_held_here(self) -> bool:
        is_so = self._candidate_weight() == 0.0
        return is_so and are_held(self._scene.store.snapshot, self._scene.workers())

    async def _wait_status(
        self, is_wanted: Callable[[Status], bool], seconds: float
    ) -> Status | None:
        """The status of the drill's release as soon as it is so; None when it never was."""
        ends, desk = time.monotonic() + seconds, self._scene.desk
        view = await desk.look(self._route)
        while not is_wanted(view.status):
            left = ends - time.monotonic()
            if left <= 0:
                return None
            view = await desk.wait(self._route, view.record.step, min(left, 1.0))
        return view.status

    async def _until(self, is_so: Callable[[], bool], seconds: float, what: str) -> None:
        ends = time.monotonic() + seconds
        while not is_so():
            if time.monotonic() > ends:
                raise DrillFailed(what)
            await asyncio.sleep(_POLL)

    # What surrounds it

    @contextlib.asynccontextmanager
    async def _clean(self) -> AsyncIterator[None]:
        try:
            yield
        finally:
            # Also when we are cancelled: the leader would do it, but not as soon.
            with contextlib.suppress(GraygateError):
                async with asyncio.timeout(CLEAN_SECONDS):
                    await remove(self._scene, self._route, self._author)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(LEASE_SECONDS / 4)
            self._count()
            with contextlib.suppress(GraygateError):  # the store may be away for a while
                text = msgspec.json.encode(self.report)
                await self._scene.drills.renew(self.report.route, text)

    def _step(self, step: str) -> None:
        self.report = msgspec.structs.replace(self.report, step=step)

    def _count(self) -> None:
        self.report = msgspec.structs.replace(
            self.report, requests=self._callers.sent, failed=self._stand_in.failed
        )

    def _fail(self, group: BaseExceptionGroup[BaseException]) -> None:
        """Ours are said in the report; what nobody expected goes on."""
        known, others = group.split((DrillFailed, GraygateError, TimeoutError, OSError))
        if others is not None:
            raise others
        assert known is not None
        error: BaseException = known
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        self.report = msgspec.structs.replace(
            self.report, outcome="failed", why=str(error) or type(error).__name__,
            ended=self._scene.clock(),
        )  # fmt: skip


async def remove(scene: Scene, route: str, author: Author) -> None:
    """End the release of a drill's route, then take the route away."""
    with contextlib.suppress(NotFoundError, RefusedError):
        if not (await scene.desk.look(route)).status.is_over:
            await scene.desk.say(route, "abort", "", author)
    await _until_left(scene, route)
    with contextlib.suppress(NotFoundError):
        await scene.store.writer.delete(route, author)
    await asyncio.sleep(LAST_STRATA_SECONDS)
    await scene.drills.forget(route)


async def _until_left(scene: Scene, route: str) -> None:
    """Until the controller has let go of the release: it would take its keys for lost."""
    ends = time.monotonic() + OBEY_SECONDS / 2
    while time.monotonic() < ends:
        if route not in await scene.store.releases.attended():
            return
        await asyncio.sleep(0.1)


def _is_away(status: Status) -> bool:
    """Whether an alarm has taken the weight away."""
    return status.phase in (Phase.QUARANTINE, Phase.ROLLED_BACK) and not status.weight_wanted


def _since(failed_at: float, status: Status, *kinds: str) -> float | None:
    """From the first failure to the first such decision."""
    found = [one.at for one in status.decisions if one.kind in kinds and one.at >= failed_at]
    return min(found) - failed_at if found else None


def _last(status: Status) -> str:
    return status.decisions[-1].text if status.decisions else status.phase.value

"""Where drills are started and looked at, and who sees to it that none is forgotten.

Any gateway runs the drills it was asked for. The leader takes away what a drill left behind whose
gateway died in the middle of it, and starts the drills that are due.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import ssl
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from gateway.config.settings import Settings
from gateway.errors import GraygateError, NotFoundError, RefusedError, StoreError
from gateway.release.conduct.drill.callers import Callers
from gateway.release.conduct.drill.obeyed import Obeyed
from gateway.release.conduct.drill.rehearsal import (
    Rehearsal,
    Scene,
    drill_route,
    remove,
    state_of,
)
from gateway.release.conduct.drill.standin import StandIn
from gateway.release.drill.due import Schedule, schedule_of
from gateway.release.drill.report import Report, Wanted, told
from gateway.state.drills import HOST_SUFFIX, SUFFIX
from gateway.state.keys import Part, is_name
from gateway.state.snapshot import HeldRoute
from gateway.state.write import Author
from gateway.upstream.tls import client_context

log = logging.getLogger("graygate.drill")

LOOK_SECONDS = 5.0  # between two looks for what was left behind
SCHEDULE_SECONDS = 60.0  # between two looks at what is due: each reads something of every route
DAY_SECONDS = 86_400.0
AGAIN_SECONDS = 3600.0  # before the leader tries a drill again that it started itself
BOUND_SECONDS = 900.0  # no drill takes longer, whatever happens
ITSELF = Author("drill", "controller")


class Board:
    """One object for all routes; `run` must be running for anything to happen."""

    def __init__(self, settings: Settings, scene: Scene, data_url: str, folder: Path) -> None:
        self._settings = settings
        self._scene = scene
        self._data_url = data_url
        self._folder = folder
        self._running: dict[str, Rehearsal] = {}
        self._wanted: asyncio.Queue[Rehearsal] = asyncio.Queue()
        self._schedules: dict[str, Schedule] = {}
        self._suspects: set[str] = set()  # routes of drills that nobody held at the last look
        self._began = scene.clock()
        self._scheduled_at: float | None = None
        self._changed: set[str] = set()  # routes whose releases were written since the last look
        scene.store.subscribe_releases(self._hear)
        self._obeyed = Obeyed(scene.store, scene.workers)
        self._tried: dict[str, float] = {}  # when the leader started a drill by itself

    def __repr__(self) -> str:
        return f"<Board of drills, running on: {', '.join(self._running) or 'nothing'}>"

    async def run(self) -> None:
        for left in self._folder.glob("drill-*.sock"):
            left.unlink(missing_ok=True)  # of a control process that was killed
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch())
            tasks.create_task(self._obeyed.run())
            while True:
                tasks.create_task(self._rehearse(await self._wanted.get()))

    # For people

    async def start(self, route: str, ask: Mapping[str, Any], author: Author) -> dict[str, Any]:
        """Begin a drill; what it asks for is checked before anything is made."""
        wanted = _read(ask)
        held = self._held(route)
        spec = held.spec
        if not is_name(drill_route(route)):
            raise RefusedError(f"{drill_route(route)} would be too long a name for its own route.")
        if not await self._scene.drills.running(route):  # else `begin` says so
            self._refuse_taken(route)
        version = wanted.version or next(iter(spec.candidates), spec.stable)
        if version not in spec.versions:
            known = ", ".join(sorted(spec.versions))
            raise RefusedError(f"{version[:64]!a} is no version of {route}; there are: {known}.")
        path = wanted.path or spec.health_path or spec.paths[0]
        report = Report(
            id=f"d{int(self._scene.clock())}-{secrets.token_hex(2)}", route=route,
            kind=wanted.kind, outcome="running", target=wanted.target_seconds,
            gateway=self._scene.own_id, by=author.by, began=self._scene.clock(), step="it begins",
        )  # fmt: skip
        await self._scene.drills.begin(route, msgspec.json.encode(report))
        token = secrets.token_hex(16)
        stand_in = self._stand_in(spec.versions[version].urls[0], token)
        # The way through a stand-in takes a millisecond or two, which would tell by itself.
        is_timed = wanted.kind == "latency"
        beside = self._stand_in(spec.versions[spec.stable].urls[0], token) if is_timed else None
        host = f"{secrets.token_hex(8)}{HOST_SUFFIX}"
        rehearsal = Rehearsal(
            self._scene, report, wanted, stand_in,
            Callers(self._data_url, host, token, path, wanted),
            state_of(held.state, spec.stable, host, stand_in.url, beside.url if beside else ""),
            Author(author.by, author.via, author.origin, f"drill {report.id} of {route}"),
            beside,
        )  # fmt: skip
        self._running[route] = rehearsal
        self._wanted.put_nowait(rehearsal)
        return _shown(report)

    async def find(self, route: str) -> dict[str, Any]:
        """What runs, what was measured, and when the next one is due."""
        schedule = await self._schedule(route)
        running = await self._read_running(route)
        return {
            "running": None if running is None else _shown(running),
            "reports": [_shown(one) for one in await self._reports(route)],
            "every": schedule.every,
            "passed_at": schedule.passed_at,
            "due_at": schedule.due_at(),
            "overdue": schedule.is_overdue(self._scene.clock()),
        }

    @property
    def schedules(self) -> Mapping[str, Schedule]:
        """Of the routes that have or want drills, as of the last look."""
        return self._schedules

    # Drills of this gateway

    async def _rehearse(self, rehearsal: Rehearsal) -> None:
        route = rehearsal.report.route
        report = rehearsal.report
        try:
            async with asyncio.timeout(BOUND_SECONDS):
                report = await rehearsal.run()
        except TimeoutError:
            report = self._broken(rehearsal, f"it took longer than {BOUND_SECONDS:g} s")
        except Exception as error:
            # A mistake of ours ends neither this process nor the drills to come.
            log.exception("A drill of %s failed.", route)
            report = self._broken(rehearsal, repr(error))
        finally:
            self._running.pop(route, None)
        log.info("%s: %s.", route, told(report))
        await self._file(report)

    def _broken(self, rehearsal: Rehearsal, why: str) -> Report:
        return msgspec.structs.replace(
            rehearsal.report, outcome="failed", why=why, ended=self._scene.clock()
        )

    async def _file(self, report: Report) -> None:
        """Into the route's history, and into the list of reports."""
        route, writer = report.route, self._scene.store.writer
        try:
            by = Author(report.by, "controller", self._scene.own_id, told(report))
            await writer.note(route, by)
        except GraygateError as error:
            log.warning("A drill of %s is not in its history: %s", route, error)
        try:
            await self._scene.drills.end(route, msgspec.json.encode(report))
            self._schedules[route] = await self._schedule(route)
        except GraygateError as error:
            log.warning("The report of a drill of %s is not kept: %s", route, error)

    # What the leader sees to

    async def _watch(self) -> None:
        while True:
            try:
                await self.look()
            except StoreError as error:
                log.debug("Drills are not looked at: %s", error)
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Find what is due; the leader clears away what was left behind."""
        routes = self._scene.store.snapshot.routes
        drills = {name for name, held in routes.items() if is_of_drill(held)}
        now = self._scene.clock()
        if self._scheduled_at is None or now - self._scheduled_at >= SCHEDULE_SECONDS:
            await self._look_at_schedules([name for name in routes if name not in drills])
            self._scheduled_at = now
            self._changed.clear()
        changed, self._changed = self._changed, set()
        await self._look_at_schedules([name for name in changed if name in routes], keep=True)
        if not self._scene.store.leader.term:
            self._suspects.clear()
            return
        await self._clear(drills)
        await self._start_due(now)

    def _hear(self, route: str, part: Part) -> None:
        if part is Part.RELEASE and not route.endswith(SUFFIX):
            self._changed.add(route)

    async def _look_at_schedules(self, routes: list[str], *, keep: bool = False) -> None:
        found = dict(self._schedules) if keep else {}
        for name in routes:
            schedule = await self._schedule(name)
            found.pop(name, None)
            if schedule.every or schedule.last is not None:
                found[name] = schedule
        self._schedules = found

    async def _start_due(self, now: float) -> None:
        """One at a time; what goes wrong with it shows as overdue."""
        for name, schedule in self._schedules.items():
            tried = self._tried.get(name)
            if self._running or not schedule.is_due(now):
                continue
            if tried is None or now - tried >= min(AGAIN_SECONDS, schedule.every):
                self._tried[name] = now
                with contextlib.suppress(GraygateError):
                    await self.start(name, {"why": "it is due"}, ITSELF)

    async def _clear(self, drills: set[str]) -> None:
        """A route that nobody held twice in a row: its drill may just have ended."""
        alone = set()
        for name in drills:
            if not await self._scene.drills.running(name.removesuffix(SUFFIX)):
                alone.add(name)
        for name in sorted(alone & self._suspects):
            log.warning("The drill that %s belonged to was killed; the route is removed.", name)
            with contextlib.suppress(GraygateError):
                await remove(self._scene, name, ITSELF)
        self._suspects = alone

    # What is known

    async def _schedule(self, route: str) -> Schedule:
        every, since = self._settings.release.drill_days * DAY_SECONDS, self._began
        view = await self._release_of(route)
        if view is not None:
            every, since = (view[0], view[1]) if view[0] else (every, since)
        return schedule_of(route, every, since, await self._reports(route))

    async def _release_of(self, route: str) -> tuple[float, float] | None:
        """How often the plan of the newest release wants a drill, and since when."""
        with contextlib.suppress(NotFoundError, RefusedError):
            status = (await self._scene.desk.look(route)).status
            return status.plan.drill.every, status.started_at
        return None

    async def _reports(self, route: str) -> list[Report]:
        found = []
        for text in await self._scene.drills.reports(route):
            with contextlib.suppress(msgspec.MsgspecError):  # somebody wrote into the list
                found.append(msgspec.json.decode(text, type=Report))
        return found

    async def _read_running(self, route: str) -> Report | None:
        own = self._running.get(route)
        if own is not None:
            return own.report
        with contextlib.suppress(msgspec.MsgspecError):
            text = await self._scene.drills.running(route)
            return msgspec.json.decode(text, type=Report) if text else None
        return None

    def _held(self, route: str) -> HeldRoute:
        held = self._scene.store.snapshot.routes.get(route)
        if held is None:
            raise NotFoundError(f"There is no route {route} in force.")
        if is_of_drill(held):
            raise RefusedError(f"{route} is the route of a drill itself.")
        return held

    def _refuse_taken(self, route: str) -> None:
        name = drill_route(route)
        held = self._scene.store.snapshot.routes.get(name)
        if held is None:
            return
        if is_of_drill(held):
            raise RefusedError(
                f"{name} is left of another drill; it goes by itself within a minute. Try again."
            )
        raise RefusedError(f"There is a route {name} already; a drill of {route} needs that name.")

    def _stand_in(self, endpoint: str, token: str) -> StandIn:
        path = self._folder / f"drill-{secrets.token_hex(4)}.sock"
        return StandIn(path, endpoint, token, self._tls)

    @property
    def _tls(self) -> Callable[[], ssl.SSLContext]:
        return partial(client_context, self._settings.upstream)


def is_of_drill(held: HeldRoute) -> bool:
    """Whether a route was made for a drill: only its own requests can match it."""
    spec = held.spec
    hosts = spec.hosts
    return (
        spec.name.endswith(SUFFIX)
        and len(hosts) == 1
        and hosts[0].endswith(HOST_SUFFIX)
        and spec.name != SUFFIX
    )


def _read(ask: Mapping[str, Any]) -> Wanted:
    try:
        return msgspec.convert(ask, Wanted, strict=False)
    except msgspec.ValidationError as error:
        raise RefusedError(f"Such a drill cannot be had: {error}.") from None


def _shown(report: Report) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(report)
    shown["times"]["total"] = report.times.total
    shown["text"] = told(report)
    return shown

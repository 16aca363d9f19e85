"""Where people speak to releases: start one, say something to it, look at it, wait for it.

Any gateway has a desk. Nothing here decides: a start writes the first status, everything else
leaves a command in the store, which the leader obeys with its next tick, and reads back what came
of it.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, cast
from zoneinfo import available_timezones

import msgspec

from gateway.errors import ConflictError, NotFoundError, RefusedError
from gateway.release.conduct.edits import percent_of, written
from gateway.release.conduct.reports import Kept, Kind, report_of
from gateway.release.conduct.testimony import Testimony, read_testimony
from gateway.release.conduct.traffic import StrataSource, traffic_of
from gateway.release.machine.people import refusal
from gateway.release.machine.status import Command, Status, Verb, begin
from gateway.release.machine.status import decode as decode_status
from gateway.release.machine.status import encode as encode_status
from gateway.release.machine.turn import Observed, Turn
from gateway.release.plan.forecast import explain, forecast
from gateway.release.plan.plan import Plan, to_document
from gateway.release.plan.read import read_plan
from gateway.state.keys import Part
from gateway.state.raw import RouteState
from gateway.state.reader import read_routes
from gateway.state.release import ReleaseRecord, ReleaseUpdate, may_deal_anew
from gateway.state.snapshot import Snapshot
from gateway.state.store import Store
from gateway.state.write import Author, Change

HEARD_SECONDS = 3.0  # so long a command waits for the leader before we say that nobody came
LOOK_SECONDS = 0.5  # between two looks, should the store's pushes get lost
NO_PROBLEMS: Mapping[str, str] = MappingProxyType({})
_BLANKS = " \t\r\n"


@dataclass(frozen=True, slots=True)
class View:
    """A release as it stands in the store."""

    record: ReleaseRecord
    status: Status
    testimony: Testimony
    problem: str = ""  # what keeps it from going on, when this gateway leads and knows
    refused: str = ""  # why the route's last good form is in force, and not what the release wrote

    def told(self) -> dict[str, Any]:
        """For the API: everything but the decisions of long ago."""
        return {
            "release": self.record.release,
            "step": self.record.step,
            "running": not self.status.is_over,
            "status": msgspec.to_builtins(self.status),
            "evidence": msgspec.to_builtins(self.testimony.newest),
            "warnings": self.testimony.warnings,
            "problem": self.problem,
            "refused": self.refused,
        }


class Desk:
    """One object for all routes; it holds no state but who waits."""

    def __init__(
        self,
        store: Store,
        strata: StrataSource,
        channels: Collection[str],
        clock: Callable[[], float] = time.time,
        heard_seconds: float = HEARD_SECONDS,
        problems: Mapping[str, str] = NO_PROBLEMS,
    ) -> None:
        self._problems = problems
        self._store = store
        self._heard_seconds = heard_seconds
        self._strata = strata
        self._channels = frozenset(channels)
        self._clock = clock
        self._changed: dict[str, asyncio.Event] = {}  # routes that somebody waits for
        store.subscribe_releases(self._hear)

    def __repr__(self) -> str:
        return f"<Desk, somebody waits for {', '.join(self._changed) or 'nothing'}>"

    def read_plan(self, route: str, document: object) -> Plan:
        """The plan, checked by itself and against the route as it is in force."""
        plan = read_plan(document, given={"route": route}, zones=available_timezones())
        held = self._store.snapshot.routes.get(route)
        if held is None:
            raise NotFoundError(f"There is no route {route} in force.")
        spec = held.spec
        if plan.candidate not in spec.versions:
            known = ", ".join(sorted(spec.versions))
            raise RefusedError(
                f"{plan.candidate} is no version of {route}; there are: {known}. Add it first."
            )
        self._check_channels({note.channel for note in plan.notifications})
        return plan

    async def forecast(self, route: str, document: object) -> dict[str, Any]:
        """What a plan means at the traffic of now: numbers, and words for people."""
        plan = self.read_plan(route, document)
        stable = self._store.snapshot.routes[route].spec.stable
        told = forecast(plan, await traffic_of(self._strata, route, stable, self._clock()))
        return {
            "plan": to_document(plan),
            "forecast": msgspec.to_builtins(told),
            "words": explain(told),
        }

    async def start(
        self, route: str, document: object, author: Author, revision: int | None = None
    ) -> View:
        """Begin a release; whoever leads takes its first step within a second."""
        plan = self.read_plan(route, document)
        record = await self._store.releases.read(route)
        _refuse_second(route, record)
        # As the store holds it: what was written a moment ago may not be in force here yet.
        raw = (await read_routes(await self._store.link(), self._store.keys, [route]))[route]
        if not raw.is_text:
            raise RefusedError(f"Route {route} holds bytes that are no UTF-8; mend it first.")
        state = raw.state()
        stable, weight = _start_from(route, plan, state)
        now = self._clock()
        release = f"r{int(now)}-{secrets.token_hex(2)}"
        status = begin(
            plan, release_id=release, stable=stable, weight_before=weight, by=author.by, now=now
        )
        may_deal = may_deal_anew(state)
        fields: dict[str, str | bytes] = {
            "release": release, "status": encode_status(status), "read": "", "outbox": "[]",
        }  # fmt: skip
        if may_deal:
            fields["id"] = release
        update = ReleaseUpdate(record.step, fields, gone=("judge", "evidence"), begins=True)

        def check(now_there: RouteState) -> RouteState:
            same = _start_from(route, plan, now_there) == (stable, weight)
            if not same or may_deal_anew(now_there) != may_deal:
                raise ConflictError(f"Route {route} was changed at the same time; start again.")
            return now_there

        goal = author.why or plan.goal
        why = f"release {release} to {plan.candidate} begins" + (f": {goal}" if goal else "")
        change = Change(check, release=update, expected_revision=revision)
        await self._store.writer.change(route, change, replace(author, why=why[:1000]))
        return await self.look(route)

    async def say(self, route: str, verb: str, about: str, author: Author) -> tuple[View, bool]:
        """Leave a command and see what came of it; False = no gateway has taken it yet."""
        view = await self.look(route)
        command = Command(
            verb=cast("Verb", verb), by=author.by, at=self._clock(), why=author.why, about=about,
            id=secrets.token_hex(8),
        )  # fmt: skip
        look = await self._store.releases.look(route, view.status.candidate)
        seen = Observed(stable=look.stable or None)
        why_not = refusal(Turn(view.status, None, self._clock(), seen), command)
        if why_not:
            raise RefusedError(f"{verb} is refused: {why_not}.")
        await self._store.releases.command(route, msgspec.json.encode(command))
        ends = time.monotonic() + self._heard_seconds
        while command.key not in view.status.commands_done:
            left = ends - time.monotonic()
            if left <= 0:
                return view, False
            view = await self.wait(route, view.record.step, left)
        _raise_if_refused(view.status, command)
        return view, True

    async def look(self, route: str) -> View:
        """The release that runs, or ran last; NotFoundError when there never was one."""
        view = await self.find(route)
        if view is None:
            raise NotFoundError(
                f"There never was a release of {route}; begin one with: "
                f"graygate release start {route} CANDIDATE"
            )
        return view

    async def find(self, route: str) -> View | None:
        record = await self._store.releases.read(route)
        if not record.status:
            await self._raise_if_lost(route)
            return None
        try:
            status = decode_status(record.status)
        except msgspec.MsgspecError as error:
            key = self._store.keys.part(route, Part.RELEASE)
            raise RefusedError(
                f"{key} holds what this gateway cannot read ({error}); to give the release up "
                f"write: DEL {key}"
            ) from None
        problem = self._problems.get(route, "")
        refused = _why_refused(self._store.snapshot, route, status.candidate)
        return View(record, status, read_testimony(record.evidence), problem, refused)

    async def _raise_if_lost(self, route: str) -> None:
        """A route in force whose release the store forgot together with the route."""
        held = self._store.snapshot.routes.get(route)
        if held is None or not held.spec.salt.startswith(f"{route}:"):
            return
        if not (await self._store.releases.look(route, "")).stable:
            raise RefusedError(
                f"The store lost release {held.spec.salt.removeprefix(route + ':')} of {route} "
                "together with its route; put them back with: graygate repopulate"
            )

    async def wait(self, route: str, after_step: int, seconds: float) -> View:
        """The release once it was written after `after_step`, or as it is when the time is over."""
        ends = time.monotonic() + seconds
        changed = self._changed.setdefault(route, asyncio.Event())
        while True:
            changed.clear()
            view = await self.look(route)
            left = ends - time.monotonic()
            if view.record.step > after_step or left <= 0:
                return view
            try:
                async with asyncio.timeout(min(left, LOOK_SECONDS)):
                    await changed.wait()
            except TimeoutError:
                pass

    async def finished(self, route: str) -> list[dict[str, Any]]:
        """The releases that ended, newest first, each with its status and last evidence."""
        return [
            {
                "status": msgspec.to_builtins(kept.status),
                "evidence": msgspec.to_builtins(kept.evidence.newest),
            }
            for kept in await self._kept(route)
        ]

    async def report(self, route: str, release: str, kind: str) -> str:
        """The report of a release by its id, of the newest one for ""."""
        found = await self.find(route)
        status, testimony = (found.status, found.testimony) if found else (None, Testimony())
        if release and (status is None or status.release_id != release):
            every = {kept.status.release_id: kept for kept in await self._kept(route)}
            if release not in every:
                known = ", ".join(every) or "none"
                raise NotFoundError(f"{route} has no release {release!a}; kept are: {known}.")
            status, testimony = every[release].status, every[release].evidence
        if status is None:
            raise NotFoundError(f"There never was a release of {route}.")
        return await report_of(self._store, status, testimony, cast("Kind", kind), self._clock())

    async def _kept(self, route: str) -> list[Kept]:
        found: dict[str, Kept] = {}
        for text in await self._store.releases.finished(route):
            try:
                kept = msgspec.json.decode(text, type=Kept)
            except msgspec.MsgspecError:
                continue  # somebody wrote into the list
            # One that was rolled back after its promotion was kept twice.
            found.setdefault(kept.status.release_id, kept)
        return list(found.values())

    def _check_channels(self, named: set[str]) -> None:
        missing = sorted(named - self._channels)
        if missing:
            known = ", ".join(sorted(self._channels)) or "none"
            raise RefusedError(
                f"The plan notifies {', '.join(missing)}, but the settings have no such channel; "
                f"there are: {known}."
            )

    def _hear(self, route: str, part: Part) -> None:
        changed = self._changed.get(route)
        if changed is not None and part is Part.RELEASE:
            changed.set()


def _why_refused(snapshot: Snapshot, route: str, candidate: str) -> str:
    """One sentence about a route that is not in force as the store holds it."""
    found = [one for one in snapshot.refused if one.route == route]
    held = snapshot.routes.get(route)
    if not found or held is None:
        return ""
    weights = held.spec.weights
    rest = 100.0 - sum(weights.values()) if candidate == held.spec.stable else 0.0
    more = f" (and {len(found) - 1} more, see: graygate get {route})" if len(found) > 1 else ""
    return (
        f"The store's {route} is refused, so its last good form stays in force, and {candidate} "
        f"gets {written(weights.get(candidate, rest))} % whatever the release says, until this is "
        f"mended: {found[0].key}: {found[0].text}{more}"
    )


def _refuse_second(route: str, record: ReleaseRecord) -> None:
    """One release at a time, and none while the last one's rollback is latched."""
    if not record.status:
        return
    try:
        status = decode_status(record.status)
    except msgspec.MsgspecError:
        return  # nobody can go on with it
    if not status.is_over:
        raise RefusedError(
            f"Release {status.release_id} to {status.candidate} runs on {route} "
            f"({status.phase.value}); end it first with: graygate release abort {route}"
        )
    if status.latched:
        raise RefusedError(
            f"Release {status.release_id} of {route} was rolled back; somebody must look at it "
            f"before the next one: graygate release release-latch {route}"
        )


def _start_from(route: str, plan: Plan, state: RouteState) -> tuple[str, float]:
    """Stable and the candidate's percent, of a route on which nothing else is being tried."""
    stable = state.route.get("stable", "").strip(_BLANKS)
    if plan.candidate == stable:
        raise RefusedError(f"{stable} is the stable version of {route} already.")
    weights = {name: percent_of(text.strip(_BLANKS)) or 0.0 for name, text in state.weights.items()}
    others = [
        f"{name} {written(percent)} %" for name, percent in weights.items()
        if percent and name not in (plan.candidate, stable)
    ]  # fmt: skip
    if others:
        raise RefusedError(
            f"Other candidates of {route} have traffic ({', '.join(others)}); a release compares "
            "one with stable, so set their weights to 0 first."
        )
    weight = weights.get(plan.candidate, 0.0)
    first = plan.stages[0].weight
    if weight > first > 0:
        raise RefusedError(
            f"{plan.candidate} has {written(weight)} % already, more than the first stage's "
            f"{written(first)}: begin higher, or lower its weight first."
        )
    return stable, weight


def _raise_if_refused(status: Status, command: Command) -> None:
    """A command that was sayable when it was sent may not be any more when it is heard."""
    for decision in reversed(status.decisions):
        if decision.kind == "refused" and decision.by == command.by and decision.at >= command.at:
            if decision.text.startswith(f"{command.verb} by "):
                raise RefusedError(decision.text)
            return

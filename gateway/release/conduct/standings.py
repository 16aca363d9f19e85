"""What `/metrics` tells of releases.

Rules
- A release is told from its first tick on. One that ended is told for an hour more, and one that
  was rolled back as long as its latch holds; a new release of the same route takes its place.
- Only the leader tells how releases stand, for nobody else knows. A leader that is new looks the
  ended ones up, a few with each tick.
- What is counted belongs to this process, whether it leads or not, and begins at 0 with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from heapq import nsmallest
from math import inf

import msgspec

from gateway.metrics.releases import (
    DECISION_KINDS,
    ROLLBACK_CAUSES,
    Conducted,
    FamilyStanding,
    ReleaseStanding,
)
from gateway.release.conduct.judging import settings_of
from gateway.release.conduct.testimony import Testimony, read_testimony
from gateway.release.judge.evidence import Evidence
from gateway.release.judge.settings import JudgeSettings
from gateway.release.machine.alarms import TOGETHER
from gateway.release.machine.phase import Phase
from gateway.release.machine.status import Decision, Status
from gateway.release.machine.status import decode as decode_status
from gateway.state.drills import SUFFIX
from gateway.state.release import ReleaseStore

SHOWN_SECONDS = 3600.0  # after the end
LOOKS_AT_ONCE = 20  # ended releases that are looked up in one tick
LOOK_SECONDS = 60.0  # between two looks at one that is shown: pushes get lost
MOST_FAMILIES = 16

_HELD = (Phase.HOLD, Phase.QUARANTINE, Phase.PAUSED)
_UNPROBED = ("", "undecided")
_OF_THEIR_OWN = ("errors", "latency", "shadow", "feedback")


class Standings:
    """One object for all routes; told by the controller, read by whoever is scraped."""

    def __init__(self, releases: ReleaseStore) -> None:
        self._releases = releases
        self._told: dict[str, tuple[Status, Testimony]] = {}
        self._last: dict[str, tuple[str, Decision | None]] = {}  # release, and what was counted
        self._looked_at: dict[str, float] = {}
        self._decisions: Counter[tuple[str, str]] = Counter()
        self._rollbacks: Counter[tuple[str, str]] = Counter()

    def __repr__(self) -> str:
        return f"<Standings of {', '.join(self._told) or 'no release'}>"

    # What the controller says

    def opened(self, status: Status, testimony: Testimony) -> None:
        """A release is taken up, as the store holds it; what it decided before counts elsewhere."""
        if is_of_drill(status.route):
            return
        self._told[status.route] = (status, testimony)
        known, _ = self._last.get(status.route, ("", None))
        if known != status.release_id:
            newest = status.decisions[-1] if status.decisions else None
            self._last[status.route] = (status.release_id, newest)
        # From 0 on, for a rate sees only what a series had before it rose.
        for kind in DECISION_KINDS:
            self._decisions[status.route, kind] += 0
        for cause in ROLLBACK_CAUSES:
            self._rollbacks[status.route, cause] += 0

    def ticked(self, status: Status, testimony: Testimony) -> None:
        """A release was looked at and is where it should be."""
        if is_of_drill(status.route):
            return
        self._told[status.route] = (status, testimony)
        self._count(status)

    def changed(self, route: str) -> None:
        """Somebody wrote the release of this route: it is the next to be looked at."""
        self._looked_at[route] = -inf

    def begin(self) -> None:
        """A term of the lease begins, or ends: others may have been at work."""
        for known in (self._told, self._looked_at, self._last):
            known.clear()

    async def look(self, routes: Collection[str], conducted: Collection[str], now: float) -> None:
        """Look a few ended releases up, and forget routes that are gone."""
        for gone in self._routes() - {*routes, *conducted}:
            self._drop(gone)
        due = (
            route
            for route in routes
            if route not in conducted and not is_of_drill(route) and self._is_due(route, now)
        )
        # Those that somebody wrote, then those never looked at: of thousands none waits for ever.
        looked_at = self._looked_at
        chosen = nsmallest(LOOKS_AT_ONCE, due, key=lambda route: looked_at.get(route, 0.0))
        if not chosen:
            return
        looked_at.update(dict.fromkeys(chosen, now))
        for route, ended in (await self._releases.ended(chosen)).items():
            try:
                self._take(route, ended, now)
            except msgspec.MsgspecError:
                self._forget(route)  # of another release of ours

    # What is scraped

    def conducted(self, now: float, problems: Iterable[str], *, is_leading: bool) -> Conducted:
        """As of now."""
        shown: tuple[ReleaseStanding, ...] = ()
        if is_leading:
            shown = tuple(
                standing_of(status, testimony)
                for _, (status, testimony) in sorted(self._told.items())
                if _is_shown(status, now)
            )
        stuck = tuple(sorted(r for r in problems if not is_of_drill(r))) if is_leading else ()
        return Conducted(now, shown, stuck, dict(self._decisions), dict(self._rollbacks))

    # Within

    def _routes(self) -> set[str]:
        return {*self._told, *self._looked_at, *(route for route, _ in self._decisions)}

    def _drop(self, route: str) -> None:
        self._forget(route)
        self._looked_at.pop(route, None)
        self._last.pop(route, None)
        for kind in DECISION_KINDS:
            self._decisions.pop((route, kind), None)
        for cause in ROLLBACK_CAUSES:
            self._rollbacks.pop((route, cause), None)

    def _forget(self, route: str) -> None:
        self._told.pop(route, None)

    def _is_due(self, route: str, now: float) -> bool:
        looked_at = self._looked_at.get(route, -inf)
        return looked_at == -inf or (route in self._told and now - looked_at >= LOOK_SECONDS)

    def _take(self, route: str, ended: tuple[bytes, bytes] | None, now: float) -> None:
        status = decode_status(ended[0]) if ended is not None and ended[0] else None
        if ended is None or status is None or not _is_shown(status, now):
            self._forget(route)
        else:
            self._told[route] = (status, read_testimony(ended[1]))

    def _count(self, status: Status) -> None:
        release, last = self._last.get(status.route, ("", None))
        for decision in _after(status.decisions, last if release == status.release_id else None):
            kind = decision.kind if decision.kind in DECISION_KINDS else "other"
            self._decisions[status.route, kind] += 1
            if kind == "rollback":
                self._rollbacks[status.route, cause_of(status, decision)] += 1
        newest = status.decisions[-1] if status.decisions else None
        self._last[status.route] = (status.release_id, newest)


def standing_of(status: Status, testimony: Testimony) -> ReleaseStanding:
    """What a dashboard shows of a release; of one that is over, how it ended."""
    evidence = None if status.is_over else testimony.newest
    return ReleaseStanding(
        route=status.route,
        candidate=status.candidate,
        phase=status.phase.value,
        stage=status.stage + 1,
        stages=len(status.plan.stages),
        weight=status.weight_wanted,
        entered_at=status.entered_at,
        is_held=status.phase in _HELD,
        is_latched=status.latched,
        waits_since=_waits_since(status),
        ticked_at=None if status.is_over else status.last_tick or status.started_at,
        promotable=None if evidence is None else evidence.promotable_weight,
        families={} if evidence is None else _families(settings_of(status.plan, False), evidence),
    )


def cause_of(status: Status, rollback: Decision) -> str:
    """What a rollback is blamed on: the first of what stopped the release."""
    first = next(iter(status.stopped_by), "")
    if not first:
        return "person" if rollback.by else "inconclusive"
    if first in _OF_THEIR_OWN:
        return first
    if first == TOGETHER:
        return "together"
    return "metric" if first.startswith("metric ") else "own"


def is_of_drill(route: str) -> bool:
    """A drill is a release on a route of its own; what came of it is told elsewhere."""
    return route.endswith(SUFFIX)


def _is_shown(status: Status, now: float) -> bool:
    ended_at = status.ended_at or status.entered_at
    return not status.is_over or status.latched or now - ended_at < SHOWN_SECONDS


def _waits_since(status: Status) -> float | None:
    """Since when nothing goes on without a person; somebody who paused it knows."""
    if status.is_over:
        return None
    if status.proposal is not None:
        return status.proposal.at
    is_left = status.phase is Phase.QUARANTINE and status.probe in _UNPROBED
    return status.entered_at if is_left or status.phase is Phase.AWAITING else None


def _families(settings: JudgeSettings, evidence: Evidence) -> dict[str, FamilyStanding]:
    found = sorted(evidence.families, key=lambda family: family.name not in _OF_THEIR_OWN)
    return {
        family.name: FamilyStanding(
            e=family.e,
            e_hold=family.e_hold,
            rollback_at=None if (at := settings.rollback_at(family.name)) == inf else at,
            hold_at=settings.hold_at(family.name),
        )
        for family in found[:MOST_FAMILIES]
    }


def _after(decisions: Sequence[Decision], last: Decision | None) -> list[Decision]:
    """Those that came after `last`; all of them when there was none."""
    new = []
    for decision in reversed(decisions):
        if decision == last:
            break
        new.append(decision)
    return new

"""A release told tick by tick: the tests crank the clock and say what the judge says."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.release.judge.evidence import Evidence, FamilyEvidence, MetricVerdict
from gateway.release.machine.action import (
    Action,
    MakeStable,
    Notify,
    Propose,
    Record,
    SetSegments,
    SetWeight,
)
from gateway.release.machine.advance import advance
from gateway.release.machine.status import Command, Status, Verb, begin
from gateway.release.machine.turn import NOTHING_SEEN, Observed
from gateway.release.plan.read import read_plan

START = 1_800_000_000.0


def family(name: str = "errors", e: float = 1.0, **fields: Any) -> FamilyEvidence:
    """A family whose flags follow from e with the default limits."""
    flags = {"hold": e >= 80, "rollback": e >= 400, "is_calm": e < 20}
    return FamilyEvidence(**{"name": name, "e": e, "e_hold": e, **flags, **fields})


def evidence(
    *families: FamilyEvidence, metrics: tuple[MetricVerdict, ...] = (), **fields: Any
) -> Evidence:
    """What a judge would say who was told these families."""
    stops = tuple(f.name for f in families if f.rollback)
    holds = tuple(f.name for f in families if f.hold)
    verdict = "fail" if stops else "inconclusive" if holds else "pass"
    told = {
        "at": START, "families": families, "verdict": verdict, "must_hold": bool(stops or holds),
        "must_roll_back": bool(stops), "causes": stops or holds, "metrics": metrics,
        "promotable_weight": 0.0 if holds else 100.0,
        "span_seconds": max((f.span_seconds for f in families if f.rollback), default=0),
    }  # fmt: skip
    return Evidence(**{**told, **fields})


GOOD = evidence(family())
NO_DATA = evidence(verdict="no-data", must_hold=True, promotable_weight=0.0)


class Story:
    """One release; `tick` is one call of `advance`, a second after the one before."""

    def __init__(self, plan: dict[str, Any] | None = None, **fields: Any) -> None:
        document = {"preset": "canary", "route": "chat", "candidate": "v2", "mode": "automatic"}
        self.plan = read_plan(document | (plan or {}) | fields)
        self.now = START
        self.status: Status = begin(
            self.plan, release_id="r1", stable="v1", weight_before=0.0, by="ann", now=self.now
        )
        self.requests = 0
        self.actions: list[Action] = []

    def tick(
        self,
        says: Evidence | None = GOOD,
        *commands: Command,
        after: float = 1.0,
        requests: int = 100,
        observed: Observed = NOTHING_SEEN,
    ) -> list[Action]:
        """What one step did; the numbers of requests grow by themselves."""
        self.now += after
        self.requests += requests
        if says is not None:
            says = msgspec.structs.replace(says, at=self.now, candidate_requests=self.requests)
        step = advance(self.status, says, commands, self.now, observed)
        self.status = step.status
        self.actions = list(step.actions)
        return self.actions

    def run(self, seconds: float, says: Evidence | None = GOOD, **how: Any) -> list[Action]:
        """Ticks each second; gives all that was done."""
        done: list[Action] = []
        for _ in range(round(seconds)):
            done += self.tick(says, **how)
        return done

    def say(self, verb: Verb, says: Evidence | None = GOOD, **how: Any) -> list[Action]:
        """One step with a command in it."""
        told = {name: how.pop(name) for name in ("why", "about", "by") if name in how}
        command = Command(verb=verb, at=self.now, **{"by": "bob", **told})
        return self.tick(says, command, **how)

    @property
    def phase(self) -> str:
        return self.status.phase.value

    @property
    def weight(self) -> float:
        return self.status.weight_wanted


def weights(actions: list[Action]) -> list[float]:
    return [a.percent for a in actions if isinstance(a, SetWeight)]


def segments(actions: list[Action]) -> list[tuple[str, ...]]:
    return [a.segments for a in actions if isinstance(a, SetSegments)]


def stables(actions: list[Action]) -> list[str]:
    return [a.version for a in actions if isinstance(a, MakeStable)]


def proposals(actions: list[Action]) -> list[str]:
    return [a.about for a in actions if isinstance(a, Propose)]


def news(actions: list[Action]) -> list[str]:
    return [a.kind for a in actions if isinstance(a, Notify)]


def words(actions: list[Action]) -> str:
    return "\n".join(a.text for a in actions if isinstance(a, Record))


# Alarms

OLD = evidence(family(e=500.0, span_seconds=30), span_seconds=30)
YOUNG = evidence(family(e=500.0, span_seconds=3), span_seconds=3)
CONFIRMED = evidence(family(e=9000.0, fresh_e=25.0), span_seconds=3)
HOLDS = evidence(family(e=100.0))
SPLIT = evidence(family(), srm_alarm=True)


def ramping(mode: str = "automatic") -> Story:
    story = Story(mode=mode)
    story.tick()
    if mode == "manual":
        story.say("promote")
    assert story.phase == "ramp"
    return story

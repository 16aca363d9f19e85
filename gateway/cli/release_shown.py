"""A release told to people: one line of where it stands, then evidence and decisions."""

from __future__ import annotations

import msgspec

from gateway.cli.exits import ExitCode
from gateway.cli.shown import local_time, percent

SHOWN_DECISIONS = 10


class Proposal(msgspec.Struct):
    verb: str
    about: str
    text: str


class Decision(msgspec.Struct):
    at: float
    kind: str
    text: str
    by: str = ""


class Bake(msgspec.Struct):
    holdback: float = 0.0


class Plan(msgspec.Struct):
    stages: list[msgspec.Raw]
    mode: str = ""
    bake: Bake = msgspec.field(default_factory=Bake)


class Status(msgspec.Struct):
    route: str
    candidate: str
    stable: str
    phase: str
    stage: int
    weight_wanted: float
    plan: Plan
    waiting_for: list[str] = []
    proposal: Proposal | None = None
    latched: bool = False
    decisions: list[Decision] = []


class Family(msgspec.Struct):
    name: str
    candidate_n: int = 0
    candidate_bad: int = 0
    stable_n: int = 0
    stable_bad: int = 0
    hold: bool = False
    rollback: bool = False
    why: str = ""


class Metric(msgspec.Struct):
    name: str
    verdict: str
    why: str = ""


class Evidence(msgspec.Struct):
    verdict: str
    families: list[Family] = []
    metrics: list[Metric] = []
    missing: list[str] = []


class Release(msgspec.Struct):
    """The part of the gateway's answer that is shown."""

    release: str | None = None
    step: int = 0
    running: bool = False
    taken: bool = True
    status: Status | None = None
    evidence: Evidence | None = None
    warnings: list[str] = []
    problem: str = ""
    refused: str = ""


def headline(seen: Release) -> str:
    status = seen.status
    if status is None:
        return "There never was a release of this route."
    stage = "before the first stage"
    if status.stage >= 0:
        stage = f"stage {status.stage + 1} of {len(status.plan.stages)}"
    latched = ", latched" if status.latched else ""
    return (
        f"{status.route}: release {seen.release}, {status.stable} to {status.candidate}, "
        f"{status.phase}{latched}, {stage}, {percent(status.weight_wanted)}{_holdback(status)}"
    )


def _holdback(status: Status) -> str:
    """Why a release that won has not all of the traffic."""
    holdback = status.plan.bake.holdback
    if status.phase != "baking" or not holdback:
        return ""
    return f" (the bake; {percent(holdback)} stay on {status.stable})"


def told(seen: Release, after: Release | None = None) -> list[str]:
    """What waits, what is known, what was decided; with `after` only what was decided since."""
    status = seen.status
    if status is None:
        return []
    if after is not None:
        known = after.status.decisions if after.status else []
        new = [one for one in status.decisions if one not in known]
        return [_decision(one) for one in new]
    lines = [f"refused: {seen.refused}"] if seen.refused else []
    lines += [f"it cannot go on: {seen.problem}"] if seen.problem else []
    if status.proposal is not None:
        lines.append(f"proposed: {status.proposal.text} Say: graygate release approve "
                     f"{status.route} --about {status.proposal.about}")  # fmt: skip
    if seen.running:
        lines += [f"waits for {what}" for what in status.waiting_for]
    if seen.evidence is not None:
        lines += _evidence(seen.evidence)
    lines += [f"  {warning}" for warning in seen.warnings]
    return lines + [_decision(one) for one in status.decisions[-SHOWN_DECISIONS:]]


def exit_of(seen: Release) -> ExitCode:
    phase = seen.status.phase if seen.status else ""
    ends = {"promoted": ExitCode.OK, "rolled-back": ExitCode.FAILED}
    return ends.get(phase, ExitCode.STILL_RUNS if seen.running else ExitCode.ENDED)


def _evidence(evidence: Evidence) -> list[str]:
    lines = [f"verdict: {evidence.verdict}"]
    for family in evidence.families:
        mark = "!" if family.rollback or family.hold else " "
        counts = (
            f"{family.candidate_bad} of {family.candidate_n} bad, "
            f"stable {family.stable_bad} of {family.stable_n}"
        )
        lines.append(f"{mark} {family.why or f'{family.name}: {counts}'}")
    lines += [f"  {one.name}: {one.verdict} ({one.why})" for one in evidence.metrics]
    return lines + [f"  {what}" for what in evidence.missing]


def _decision(one: Decision) -> str:
    return f"{local_time(int(one.at * 1000))}  {one.kind:<10}  {one.text}"

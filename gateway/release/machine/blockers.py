"""What keeps a release from going on, each reason of a kind, so that a rule can tell them apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gateway.release.machine.alarms import alarms
from gateway.release.machine.turn import Turn
from gateway.release.plan.calendar import closed_because
from gateway.release.plan.duration import said

# time: hold or bake not over; data: nothing to judge by; proof: judged, but no harm not ruled out;
# alarm: something holds; window: not now; ready: the candidate cannot take more.
Kind = Literal["time", "data", "proof", "alarm", "window", "ready"]


@dataclass(frozen=True, slots=True)
class Blocker:
    """One reason, in words that follow "waits for"."""

    kind: Kind
    text: str


def before_start(turn: Turn) -> tuple[Blocker, ...]:
    """What keeps the first stage from beginning: no numbers are needed for it."""
    return (*_calendar(turn), *_readiness(turn))


def before_next(turn: Turn, target: float) -> tuple[Blocker, ...]:
    """What keeps the candidate from getting `target` percent after the present stage."""
    stage = turn.status.current_stage
    assert stage is not None
    found = [*_time(turn, stage.hold), *_data(turn, compares=stage.weight > 0)]
    if stage.weight > 0:  # units of a segment are chosen, not drawn: a person judges those
        found += _proof(turn, target)
    return (*found, *_metrics(turn), *_alarms(turn), *_calendar(turn), *_readiness(turn))


def before_proposal(turn: Turn) -> tuple[Blocker, ...]:
    """What keeps a fixed split from being concluded: it needs no proof, for a person decides."""
    stage = turn.status.current_stage
    assert stage is not None
    return (*_time(turn, stage.hold), *_data(turn, compares=True))


def before_stable(turn: Turn) -> tuple[Blocker, ...]:
    """What keeps the bake from ending."""
    stage, bake = turn.status.current_stage, turn.status.plan.bake
    assert stage is not None
    return (
        *_time(turn, max(stage.hold, bake.duration)),
        *_data(turn, compares=bake.holdback > 0),
        *_metrics(turn),
        *_alarms(turn),
        *_calendar(turn),
        *_readiness(turn),
    )


def _time(turn: Turn, seconds: float) -> list[Blocker]:
    left = seconds - turn.status.observed_seconds
    return [Blocker("time", f"{said(left)} of {said(seconds)} to pass")] if left > 0 else []


def _data(turn: Turn, *, compares: bool) -> list[Blocker]:
    status, evidence, stage = turn.status, turn.evidence, turn.status.current_stage
    assert stage is not None
    if evidence is None:
        return [Blocker("data", "the judge, which has no numbers now")]
    if evidence.at == status.evidence_at_entry:
        return [Blocker("data", "numbers from this stage")]
    found = []
    requests = evidence.candidate_requests - status.requests_at_entry
    if requests < stage.minimum_requests:
        what = f"{stage.minimum_requests} requests on {status.candidate}, {requests} so far"
        found.append(Blocker("data", what))
    if compares and evidence.verdict == "no-data":
        why = f" ({'; '.join(evidence.missing)})" if evidence.missing else ""
        found.append(Blocker("data", f"traffic that can be compared{why}"))
    return found


def _proof(turn: Turn, target: float) -> list[Blocker]:
    evidence = turn.evidence
    if evidence is None or evidence.verdict == "no-data" or evidence.may_promote_to(target):
        return []
    shown = evidence.promotable_weight
    so_far = f" (shown so far: {shown:.3g} %)" if 0 < shown < target else ""
    return [Blocker("proof", f"proof that {target:g} % does no harm{so_far}")]


def _metrics(turn: Turn) -> list[Blocker]:
    verdicts = {m.name: m for m in turn.evidence.metrics} if turn.evidence else {}
    found = []
    for metric in turn.status.plan.metrics:
        verdict = verdicts.get(metric.name)
        if verdict is None or verdict.verdict == "no-data":
            if metric.missing == "hold":
                found.append(Blocker("data", f"a value of {metric.name}"))
        elif verdict.verdict != "pass":
            found.append(Blocker("proof", f"{metric.name} to pass ({verdict.why})"))
    return found


def _alarms(turn: Turn) -> list[Blocker]:
    if turn.evidence is None:
        return []
    names = dict.fromkeys(alarm.name for alarm in alarms(turn.status, turn.evidence))
    return [Blocker("alarm", f"{name} to be calm") for name in names]


def _calendar(turn: Turn) -> list[Blocker]:
    why = closed_because(turn.status.plan, turn.now, turn.observed.offsets)
    return [Blocker("window", f"a change window ({why})")] if why else []


def _readiness(turn: Turn) -> list[Blocker]:
    why = turn.observed.why_not_ready
    return [Blocker("ready", f"{turn.status.candidate} to be ready ({why})")] if why else []

"""What speaks against the candidate right now: alarms that stop it, and those that only hold it.

An alarm that a person overruled, or that a probe did not confirm, is calmed: its evidence is kept,
but only fresh evidence since then raises it again. That is legal at any time, for an e-process may
be continued whenever one likes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gateway.release.judge.evidence import Evidence, FamilyEvidence
from gateway.release.machine.status import Status

FRESH_E = 20.0  # confirms a probe, and raises a calmed alarm again

SPLIT = "split"
TOGETHER = "all families together"


@dataclass(frozen=True, slots=True)
class Alarm:
    """One reason to hold, or to stop."""

    name: str
    stops: bool
    why: str
    is_fresh: bool  # fresh evidence alone would raise it


def alarms(status: Status, evidence: Evidence) -> tuple[Alarm, ...]:
    """What is not calmed."""
    return tuple(
        alarm
        for alarm in every_alarm(status, evidence)
        if alarm.is_fresh
        or alarm.name not in (status.calmed_stops if alarm.stops else status.calmed_holds)
    )


def every_alarm(status: Status, evidence: Evidence) -> Iterator[Alarm]:
    """All of them; a family that stops holds as well."""
    knows_mark = evidence.at != status.evidence_at_mark
    for family in evidence.families:
        is_fresh = knows_mark and family.fresh_e >= FRESH_E
        if family.rollback:
            yield Alarm(family.name, True, _why(family), is_fresh)
        if family.hold or family.rollback:
            yield Alarm(family.name, False, _why(family), is_fresh)
    if evidence.must_roll_back and not _is_explained(evidence):
        yield Alarm(TOGETHER, True, evidence.why or "no family alone, but their sum", False)
    if evidence.srm_alarm:
        why = "the traffic is not split as the weights say, so no comparison can be trusted"
        yield Alarm(SPLIT, False, why, False)
    for metric in evidence.metrics:
        if metric.verdict == "fail":
            why = metric.why or f"{metric.name} is out of its bounds"
            yield Alarm(f"metric {metric.name}", metric.action == "rollback", why, False)


def still_calmed(status: Status, evidence: Evidence) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(holds, stops) that are calmed and not gone; what is gone may come back as new.

    A family is gone when it is calm: around its limit one error more would raise it again.
    """
    uncalm = {family.name for family in evidence.families if not family.is_calm}
    there = {(alarm.name, alarm.stops) for alarm in every_alarm(status, evidence)}
    holds = (name for name in status.calmed_holds if name in uncalm or (name, False) in there)
    stops = (name for name in status.calmed_stops if name in uncalm or (name, True) in there)
    return tuple(holds), tuple(stops)


def is_calm(status: Status, evidence: Evidence) -> bool:
    """Whether a hold may end: all families are calm, and nothing else holds."""
    others = (alarm for alarm in alarms(status, evidence) if not _is_family(alarm, evidence))
    return (
        evidence.verdict != "no-data"
        and all(family.is_calm for family in evidence.families)
        and not any(others)
    )


def _is_explained(evidence: Evidence) -> bool:
    """Whether one family or metric alone is the reason to roll back."""
    failing = (m.verdict == "fail" and m.action == "rollback" for m in evidence.metrics)
    return any(family.rollback for family in evidence.families) or any(failing)


def _is_family(alarm: Alarm, evidence: Evidence) -> bool:
    return any(family.name == alarm.name for family in evidence.families)


def _why(family: FamilyEvidence) -> str:
    if family.why:
        return family.why
    return (
        f"{family.candidate_bad} of {family.candidate_n} on the candidate, "
        f"{family.stable_bad} of {family.stable_n} on stable"
    )

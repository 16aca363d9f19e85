"""How an A/B test ended: the winner with its interval, as a proposal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gateway.release.judge.evidence import Evidence, FamilyEvidence
from gateway.release.machine.status import Status


@dataclass(frozen=True, slots=True)
class Conclusion:
    """Which version won, or neither, and what is proposed."""

    winner: str  # a version; empty = no difference is shown
    verb: Literal["promote", "abort"]
    text: str


def conclude(status: Status, evidence: Evidence) -> Conclusion:
    """Fewer bad events win, when the 95 % interval of the rates' ratio leaves 1 out."""
    metric = status.plan.experiment.metric if status.plan.experiment else "errors"
    family = next((f for f in evidence.families if f.name == metric), None)
    if family is None or family.low is None or family.high is None:
        text = f"{metric} has no interval: the test tells nothing. Keep {status.stable}?"
        return Conclusion("", "abort", text)
    told = _told(status, family)
    if family.high < 1:
        text = f"{status.candidate} wins on {metric}: {told}. Give it all traffic?"
        return Conclusion(status.candidate, "promote", text)
    if family.low > 1:
        text = f"{status.stable} wins on {metric}: {told}. Keep it?"
        return Conclusion(status.stable, "abort", text)
    text = f"No winner on {metric}: {told}. Keep {status.stable}?"
    return Conclusion("", "abort", text)


def _told(status: Status, family: FamilyEvidence) -> str:
    estimate = f"{family.estimate:.2f} " if family.estimate is not None else ""
    return (
        f"{family.candidate_bad} of {family.candidate_n} bad on {status.candidate}, "
        f"{family.stable_bad} of {family.stable_n} on {status.stable}, ratio {estimate}"
        f"(95 %: {family.low:.2f} to {family.high:.2f})"
    )

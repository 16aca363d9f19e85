"""What the judge says of a release: numbers for the machine, and sentences for people."""

from __future__ import annotations

from typing import Literal

import msgspec

# pass: no worse is shown, for a higher weight than the present one. fail: worse is shown.
# inconclusive: neither. no-data: nothing that one could compare; it is never a pass.
Verdict = Literal["pass", "fail", "inconclusive", "no-data"]


class FamilyEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """One family of measurements: errors, latency, shadow, feedback, client-errors, or an own."""

    name: str
    e: float  # the evidence, with the margins of a roll-back: 1 is none, 400 rolls back
    e_hold: float  # the same without margins: 80 holds
    hold: bool
    rollback: bool
    is_calm: bool  # so little evidence that a hold may end
    fresh_e: float = 1.0  # of what came since `Judge.mark`
    span_seconds: int = 0  # how long the evidence took to rise
    p: float = 1.0  # the anytime p-value: the most that ever spoke against the candidate
    # How many times stable's rate is the candidate's, with its 95 % confidence sequence.
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    candidate_n: int = 0
    candidate_bad: int = 0
    stable_n: int = 0
    stable_bad: int = 0
    why: str = ""
    # In the bake: errors began to rise, whatever the evidence of the whole release still says.
    rose_late: bool = False


class MetricVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a metric of the operator's own says; the controller asks for it.

    A failure does what `action` says; no data holds (leave the metric out where it need not).
    """

    name: str
    verdict: Verdict
    value: float | None = None
    action: Literal["hold", "rollback"] = "hold"
    why: str = ""


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of a release at one moment. Weights are percent."""

    at: float
    families: tuple[FamilyEvidence, ...] = ()
    verdict: Verdict = "no-data"
    must_hold: bool = True
    must_roll_back: bool = False
    causes: tuple[str, ...] = ()  # the families that roll back, or else those that hold
    promotable_weight: float = 0.0  # the largest weight for which it is shown that no harm is done
    candidate_requests: int = 0
    stable_requests: int = 0
    srm_alarm: bool = False  # the traffic is not split as it should be: trust no comparison
    span_seconds: int = 0  # how long the evidence that rolls back took to rise
    metrics: tuple[MetricVerdict, ...] = ()
    missing: tuple[str, ...] = ()  # what could not be judged, and why
    why: str = ""

    def may_promote_to(self, weight: float) -> bool:
        """Whether nothing speaks against so many percent, and enough speaks for them."""
        return self.verdict == "pass" and not self.must_hold and self.promotable_weight >= weight

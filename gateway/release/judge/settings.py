"""What the judge may be told; the defaults are those that the simulations were made with."""

from __future__ import annotations

from typing import Literal

import msgspec

FAMILY_WEIGHTS = {"errors": 0.25, "latency": 0.25, "shadow": 0.25, "feedback": 0.25}
LATENCY_MARGINS = {"total": 0.05, "first_byte": 0.05, "gap": 0.05}

# A family that nobody gave a share of the false alarms may hold a release, as if it had this one.
ADVISORY_WEIGHT = 0.25


class JudgeSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The limits of one release; probabilities and shares are of 1, weights are percent."""

    # How often a candidate that is no worse may be rolled back, or held, in a whole release.
    alpha: float = 0.01
    hold_alpha: float = 0.05
    # The families' shares of both. A family without a share can hold, never roll back.
    family_weights: dict[str, float] = msgspec.field(default_factory=lambda: dict(FAMILY_WEIGHTS))
    # A family holds on until its evidence falls below this.
    calm_below: float = 20.0

    # Ratios of rates that are still taken for equal, by family. Errors, when not named here: 1.25
    # where stable's own noise asks for it (see `families.error_margin`), else 1.
    rate_margins: dict[str, float] = msgspec.field(default_factory=dict)
    error_excess: float = 0.001  # fewer errors more than stable's are never rolled back
    minimum_bad: int = 3
    minimum_bad_seconds: int = 2
    hold_minimum_bad: int = 2
    # What is counted: requests that are drawn one by one, or units that stay where they are.
    unit: Literal["request", "unit"] = "request"

    # Latency: no roll-back for a candidate that is slower by less than this. A metric that is not
    # named is not judged.
    latency_margins: dict[str, float] = msgspec.field(default_factory=lambda: dict(LATENCY_MARGINS))
    warmup_seconds: int = 60
    warmup_requests: int = 50

    # Promotion: the excess of errors, as a share of all traffic, that must be ruled out.
    harm_budget: float = 0.0025
    proof_alpha: float = 0.05
    critical: tuple[str, ...] = ("errors",)
    # Above this weight it must be ruled out, too, that the candidate is slower by this or more.
    latency_proof_above: float = 25.0
    latency_proof_margin: float = 0.10

    srm_alpha: float = 0.001
    # Strata are lengthened until they hold so many requests, or last so long.
    stratum_requests: int = 20
    stratum_seconds: int = 60
    # Without a request on either side for so long there is no data.
    stale_seconds: int = 60

    def is_charged(self, family: str) -> bool:
        """Whether the family has a share of the false alarms, and so may roll back."""
        return self.family_weights.get(family, 0.0) > 0.0

    def rollback_at(self, family: str) -> float:
        """The evidence at which this family rolls a release back; infinite if it never does."""
        weight = self.family_weights.get(family, 0.0)
        return 1.0 / (weight * self.alpha) if weight > 0.0 else float("inf")

    def hold_at(self, family: str) -> float:
        """The evidence at which this family holds a release."""
        weight = self.family_weights.get(family, 0.0) or ADVISORY_WEIGHT
        return 1.0 / (weight * self.hold_alpha)

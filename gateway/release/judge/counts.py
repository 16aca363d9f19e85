"""Bad ones of all, on both versions: what every comparison of rates is made of."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

AT_RISK_EACH = 1_000_000  # shares are told this finely


class AtRisk(NamedTuple):
    """Of whom the bad ones could have been, where that is not who was counted.

    Each of them adds `AT_RISK_EACH`, parted by who was on which version.
    """

    candidate: int
    stable: int


NOBODY = AtRisk(0, 0)


class Counts(msgspec.Struct):
    """Bad ones of all, on both versions."""

    candidate: int = 0
    candidate_bad: int = 0
    stable: int = 0
    stable_bad: int = 0
    candidate_at_risk: int = 0
    stable_at_risk: int = 0

    def add(
        self,
        candidate: int,
        candidate_bad: int,
        stable: int,
        stable_bad: int,
        at_risk: AtRisk = NOBODY,
    ) -> None:
        self.candidate += candidate
        self.candidate_bad += candidate_bad
        self.stable += stable
        self.stable_bad += stable_bad
        self.candidate_at_risk += at_risk.candidate
        self.stable_at_risk += at_risk.stable

    @property
    def candidate_rate(self) -> float:
        return self.candidate_bad / self.candidate if self.candidate else 0.0

    @property
    def stable_rate(self) -> float:
        return self.stable_bad / self.stable if self.stable else 0.0

    def excess(self) -> float:
        """By how much the candidate's rate is higher.

        With as many of all on each version as it has of those at risk: else who asks all day and is
        always content would hide how bad it is for others.
        """
        at_risk = self.candidate_at_risk + self.stable_at_risk
        if not (self.candidate_at_risk and self.stable_at_risk):
            return self.candidate_rate - self.stable_rate if self.candidate else 0.0
        each = (self.candidate + self.stable) / at_risk
        stable_rate = self.stable_bad / (each * self.stable_at_risk)
        return self.candidate_bad / (each * self.candidate_at_risk) - stable_rate

"""Bad ones of all, on both versions: what every comparison of rates is made of."""

from __future__ import annotations

import msgspec


class Counts(msgspec.Struct):
    """Bad ones of all, on both versions."""

    candidate: int = 0
    candidate_bad: int = 0
    stable: int = 0
    stable_bad: int = 0

    def add(self, candidate: int, candidate_bad: int, stable: int, stable_bad: int) -> None:
        self.candidate += candidate
        self.candidate_bad += candidate_bad
        self.stable += stable
        self.stable_bad += stable_bad

    @property
    def candidate_rate(self) -> float:
        return self.candidate_bad / self.candidate if self.candidate else 0.0

    @property
    def stable_rate(self) -> float:
        return self.stable_bad / self.stable if self.stable else 0.0

    def excess(self) -> float:
        """By how much the candidate's rate is higher."""
        return self.candidate_rate - self.stable_rate if self.candidate else 0.0

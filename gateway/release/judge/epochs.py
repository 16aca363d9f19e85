"""Evidence that is gathered anew from time to time, so that nobody counts twice in it.

What the same users show again is no new evidence: so nothing is carried from one epoch to the next.
Each has its share of the false alarms instead: epoch k must find 1/share as much. The shares are 1
in all, so however many epochs there are, an alarm in any of them is as rare as it was in one. They
fall slowly: the thousandth, after a week, must find a million times as much as the first, and that
is about three times as many slow requests.
"""

from __future__ import annotations

from math import inf, log

import msgspec


class Epochs(msgspec.Struct):
    """The evidence of the present epoch and of the one before, by what each may claim.

    The one before is kept, so that an alarm does not end the moment that an epoch does; those
    before it are forgotten, so that what has passed does end.
    """

    number: int = 0  # 0 = there are none, and evidence is what it is
    ln_before: float = -inf

    def ln(self, ln_e: float) -> float:
        """By the evidence of the present one."""
        return max(self.ln_before, self.claimed(ln_e))

    def enter(self, number: int, ln_e: float) -> None:
        """Another one begins; `ln_e` is what the last one found."""
        self.ln_before = self.claimed(ln_e) if self.number else -inf
        self.number = number

    def claimed(self, ln_e: float) -> float:
        """What evidence of the present one amounts to."""
        return claim_of(self.number, ln_e)


def claim_of(number: int, ln_e: float) -> float:
    """What evidence of this epoch amounts to."""
    return ln_e - log(number * (number + 1)) if number else ln_e

"""How much more do counts vary than independent requests would? Learnt from stable against itself.

Two halves of stable's endpoints are compared minute by minute before the release. phi is the mean
of (x - mu)^2 / v over the minutes, at least 1; the engine divides its logarithms by it. It is the
A/A self-test that people are shown, too: halves of one version must not differ.
"""

from __future__ import annotations

import msgspec

from gateway.release.statistics.draws import RATE_EFFECTS, Draws
from gateway.release.statistics.logs import exp_capped

# Without so many minutes nothing is learnt: a mean of two is noise itself.
FEWEST_MINUTES = 5


class HalfMinute(msgspec.Struct):
    """One minute of stable, and of one half of its endpoints."""

    half: int = 0
    half_bad: int = 0
    total: int = 0
    bad: int = 0


def overdispersion(minutes: list[HalfMinute]) -> float | None:
    """phi; None when there were too few minutes, 1 when nothing was ever bad."""
    compared = [minute for minute in minutes if 0 < minute.half < minute.total]
    if len(compared) < FEWEST_MINUTES:
        return None
    ratios = []
    for minute in compared:
        if not 0 < minute.bad < minute.total:
            continue
        share = minute.half / minute.total
        mean = share * minute.bad
        spread = mean * (1.0 - share) * (minute.total - minute.bad) / (minute.total - 1)
        ratios.append((minute.half_bad - mean) ** 2 / spread)
    return max(1.0, sum(ratios) / len(ratios)) if ratios else 1.0


def self_test(minutes: list[HalfMinute]) -> float:
    """The evidence that one half is worse than the other, in either direction; 1 is none."""
    either = []
    for is_swapped in (False, True):
        draws = Draws.over(RATE_EFFECTS)
        for minute in minutes:
            half, bad = minute.half, minute.half_bad
            if is_swapped:
                half, bad = minute.total - half, minute.bad - bad
            draws.observe(RATE_EFFECTS, half, minute.total, minute.bad, bad)
        either.append(exp_capped(draws.ln_e()))
    return sum(either) / len(either)

"""Means of numbers that are only known by their logarithms: evidence overflows a float."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log

# exp() of this is still a float; evidence beyond it is shown as this much.
MOST_LN = 700.0


def ln_mean_exp(logs: Sequence[float], scale: float = 1.0) -> float:
    """ln of the mean of exp(scale * each)."""
    if scale != 1.0:
        logs = [value * scale for value in logs]
    top = max(logs)
    return top + log(sum([exp(value - top) for value in logs]) / len(logs))


def exp_capped(ln: float) -> float:
    """exp(ln), at most exp(700): a number that can be stored, compared and printed."""
    return exp(min(ln, MOST_LN))

"""Do two versions answer with different things? The population stability index, made honest.

The usual rule "above 0.1 is drift" ignores how much was seen: with 100 answers in 20 classes equal
versions exceed it nearly always. So it counts only what also exceeds chance.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, inf, lgamma, log, sqrt

SMOOTHING = 0.5
LEAST_INDEX = 0.1
CONFIDENCE = 0.999


def stability_index(one: Mapping[str, int], other: Mapping[str, int]) -> float:
    """PSI of two counts by class: 0 for equal shares."""
    classes = sorted({*one, *other})
    if not classes:
        return 0.0
    most_one = sum(one.values()) + SMOOTHING * len(classes)
    most_other = sum(other.values()) + SMOOTHING * len(classes)
    index = 0.0
    for name in classes:
        p = (one.get(name, 0) + SMOOTHING) / most_one
        q = (other.get(name, 0) + SMOOTHING) / most_other
        index += (p - q) * log(p / q)
    return index


def chance_limit(classes: int, one: int, other: int, confidence: float = CONFIDENCE) -> float:
    """What the index of equal versions stays below with that probability."""
    if classes < 2:
        return 0.0
    if not one or not other:
        return inf
    return chi_square_quantile(classes - 1, confidence) * (1.0 / one + 1.0 / other)


def is_drift(one: Mapping[str, int], other: Mapping[str, int]) -> bool:
    """Whether the difference is both large and more than chance; a reason to hold, no more."""
    limit = chance_limit(len({*one, *other}), sum(one.values()), sum(other.values()))
    return stability_index(one, other) >= max(limit, LEAST_INDEX)


def chi_square_quantile(freedom: int, probability: float) -> float:
    """By halving: exact to a billionth, and called once a minute."""
    least, most = 0.0, freedom + 40.0 * sqrt(freedom) + 40.0
    for _ in range(60):
        middle = (least + most) / 2
        if _chi_square_below(freedom, middle) < probability:
            least = middle
        else:
            most = middle
    return most


def _chi_square_below(freedom: int, value: float) -> float:
    """The regularised lower incomplete gamma function, by its series."""
    shape, x = freedom / 2, value / 2
    term = total = 1.0 / shape
    step = shape
    while term > total * 1e-15:
        step += 1.0
        term *= x / step
        total += term
    return total * exp(shape * log(x) - x - lgamma(shape))

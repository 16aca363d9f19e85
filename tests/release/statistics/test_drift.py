from __future__ import annotations

from collections import Counter
from math import inf, log
from random import Random

import pytest

from gateway.release.statistics.drift import (
    chance_limit,
    chi_square_quantile,
    is_drift,
    stability_index,
)


def answers(dice: Random, count: int, classes: int = 10) -> Counter[str]:
    return Counter(str(dice.randrange(classes)) for _ in range(count))


def test_the_index_is_the_published_formula_smoothed() -> None:
    p, q = (30.5 / 101, 70.5 / 101), (50.5 / 101, 50.5 / 101)
    expected = sum((a - b) * log(a / b) for a, b in zip(p, q, strict=True))
    one, other = {"yes": 30, "no": 70}, {"yes": 50, "no": 50}
    assert stability_index(one, other) == pytest.approx(expected)
    assert stability_index(other, one) == pytest.approx(expected)


def test_equal_counts_have_no_distance() -> None:
    assert stability_index({"a": 5}, {"a": 5}) == 0.0
    assert stability_index({}, {}) == 0.0


def test_a_class_that_one_side_lacks_is_no_infinity() -> None:
    assert 0.0 < stability_index({"a": 10}, {"a": 10, "b": 10}) < inf


@pytest.mark.parametrize(
    ("freedom", "probability", "expected"),
    [(9, 0.999, 27.877), (1, 0.95, 3.841), (19, 0.999, 43.820), (200, 0.999, 267.541)],
)
def test_quantiles_are_those_of_the_tables(
    freedom: int, probability: float, expected: float
) -> None:
    assert chi_square_quantile(freedom, probability) == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize(("count", "limit"), [(100, 0.28), (300, 0.094), (1000, 0.028)])
def test_chance_alone_reaches_the_published_limits(count: int, limit: float) -> None:
    assert chance_limit(10, count, 10**9) == pytest.approx(limit, rel=0.02)


def test_one_class_or_no_answer_can_show_nothing() -> None:
    assert chance_limit(1, 100, 100) == 0.0
    assert chance_limit(5, 0, 100) == inf
    assert not is_drift({}, {"a": 3, "b": 1})


def test_equal_versions_exceed_the_usual_rule_but_not_ours() -> None:
    dice = Random(9)
    usual = ours = 0
    for _ in range(300):
        one, other = answers(dice, 100, 20), answers(dice, 10_000, 20)
        usual += stability_index(one, other) > 0.1
        ours += is_drift(one, other)
    assert usual > 200
    assert ours <= 3


def test_a_large_difference_is_drift_and_a_small_one_never() -> None:
    assert is_drift({"a": 900, "b": 100}, {"a": 500, "b": 500})
    assert not is_drift({"a": 50_500, "b": 49_500}, {"a": 50_000, "b": 50_000})

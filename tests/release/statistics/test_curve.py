from __future__ import annotations

from itertools import pairwise
from math import exp, inf, log
from random import Random

import pytest

from gateway.release.statistics.curve import LEAST, LN_RATIOS, MOST, POINTS, Curve


def curve_of(candidate: int, candidate_bad: int, stable: int, stable_bad: int) -> Curve:
    curve = Curve()
    curve.observe(candidate, candidate + stable, candidate_bad + stable_bad, candidate_bad)
    return curve


def test_its_points_reach_from_a_twentieth_to_a_hundred_evenly() -> None:
    assert len(LN_RATIOS) == POINTS == 41
    assert exp(LN_RATIOS[0]) == pytest.approx(LEAST)
    assert exp(LN_RATIOS[-1]) == pytest.approx(MOST)
    steps = [b - a for a, b in pairwise(LN_RATIOS)]
    assert steps == pytest.approx([steps[0]] * 40)


@pytest.mark.parametrize("ratio", [0.5, 1.0, 3.0])
def test_the_estimate_is_the_ratio_of_the_rates(ratio: float) -> None:
    curve = curve_of(10_000, round(100 * ratio), 10_000, 100)
    assert curve.estimate() == pytest.approx(ratio, rel=0.02)


def test_strata_with_different_loads_do_not_bias_it() -> None:
    curve = Curve()
    curve.observe(100, 10_000, 1000, 20)  # an outage that both share: twice the rate
    curve.observe(5000, 10_000, 30, 20)
    assert curve.estimate() == pytest.approx(2.0, rel=0.1)


def test_without_a_bad_request_it_knows_nothing() -> None:
    curve = curve_of(100, 0, 100, 0)
    assert curve.estimate() is None
    assert curve.interval() is None
    assert curve.ln_above(1.0) == 0.0


def test_extremes_are_the_ends_of_the_scale() -> None:
    assert curve_of(1000, 60, 1000, 0).estimate() == pytest.approx(MOST)
    assert curve_of(1000, 0, 1000, 60).estimate() == pytest.approx(LEAST)


def test_the_interval_holds_the_estimate_and_shrinks() -> None:
    little, much = curve_of(1000, 20, 1000, 10), curve_of(100_000, 2000, 100_000, 1000)
    for curve in (little, much):
        interval, estimate = curve.interval(), curve.estimate()
        assert interval is not None
        assert estimate is not None
        assert interval[0] < estimate < interval[1]
    wide, narrow = little.interval(), much.interval()
    assert wide is not None
    assert narrow is not None
    assert wide[0] < narrow[0] < 2 < narrow[1] < wide[1]


def test_an_end_that_is_not_known_is_open() -> None:
    interval = curve_of(1000, 1, 1000, 0).interval()
    assert interval == (0.0, inf)


def test_a_candidate_that_owns_all_errors_is_beyond_the_scale() -> None:
    low, high = curve_of(10**6, 10**5, 10**6, 0).interval() or (0.0, 0.0)
    assert low == pytest.approx(MOST)
    assert high == inf


def test_it_excludes_only_what_evidence_of_forty_speaks_against() -> None:
    curve = curve_of(10_000, 150, 10_000, 100)
    interval = curve.interval()
    assert interval is not None
    low, high = interval
    assert curve.ln_above(low) == pytest.approx(log(40), abs=0.7)
    assert curve.ln_below(high) == pytest.approx(log(40), abs=0.7)
    assert curve.ln_above(low / 1.3) > log(40)
    assert curve.ln_below(high * 1.3) > log(40)


def test_nothing_beyond_the_scale_can_be_refuted() -> None:
    curve = curve_of(10_000, 150, 10_000, 100)
    assert curve.ln_above(MOST * 2) == 0.0
    assert curve.ln_below(LEAST / 2) == 0.0


def test_the_true_ratio_is_rarely_ever_outside() -> None:
    dice, wrong = Random(5), 0
    for _ in range(120):
        curve = Curve()
        was_outside = False
        for _ in range(40):
            bad = 5
            mine = sum(dice.random() < 0.1 * 2 / (0.1 * 2 + 0.9) for _ in range(bad))
            curve.observe(100, 1000, bad, mine)
            low, high = curve.interval() or (0.0, inf)
            was_outside = was_outside or not low <= 2.0 <= high
        wrong += was_outside
    assert wrong <= 12

from __future__ import annotations

from random import Random

import pytest

from gateway.release.statistics.noise import HalfMinute, overdispersion, self_test
from loadtests.simulate.world import binomial


def minutes_of(dice: Random, cv: float, count: int = 10) -> list[HalfMinute]:
    """Minutes of 12,000 requests and 1 % errors; halves have factors of their own."""
    made = []
    for _ in range(count):
        bad = [binomial(dice, 6000, 0.01 * max(dice.gauss(1.0, cv), 0.0)) for _ in range(2)]
        made.append(HalfMinute(6000, bad[0], 12_000, sum(bad)))
    return made


def test_independent_requests_have_no_noise_of_their_own() -> None:
    dice = Random(1)
    found = sorted(overdispersion(minutes_of(dice, 0.0)) or 0.0 for _ in range(9))
    assert found[4] < 1.5


def test_endpoints_with_good_and_bad_minutes_do() -> None:
    dice = Random(2)
    found = sorted(overdispersion(minutes_of(dice, 0.3)) or 0.0 for _ in range(9))
    assert 3.0 < found[4] < 10.0


def test_it_is_the_mean_of_squared_deviations() -> None:
    minutes = [HalfMinute(50, bad, 100, 10) for bad in (2, 8, 2, 8, 2)]
    variance = 5 * 0.5 * 90 / 99
    assert overdispersion(minutes) == pytest.approx(9 / variance)


def test_too_few_minutes_teach_nothing() -> None:
    assert overdispersion([HalfMinute(50, 2, 100, 10)] * 4) is None
    assert overdispersion([HalfMinute(100, 2, 100, 10)] * 20) is None  # one half only


def test_nothing_bad_is_no_noise() -> None:
    assert overdispersion([HalfMinute(50, 0, 100, 0)] * 10) == 1.0


def test_halves_of_one_version_do_not_differ() -> None:
    assert self_test(minutes_of(Random(3), 0.0)) < 20.0


@pytest.mark.parametrize("worse", [0, 1])
def test_a_half_that_is_worse_is_seen_whichever_it_is(worse: int) -> None:
    bad = (120, 60) if worse == 0 else (60, 120)
    minutes = [HalfMinute(6000, bad[0], 12_000, 180)] * 10
    assert self_test(minutes) > 1000.0

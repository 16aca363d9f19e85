"""Published numbers come out as published: so the yardsticks of the comparison are the right ones,
and the trap that the engine avoids is real."""

from __future__ import annotations

from math import sqrt
from random import Random
from statistics import NormalDist

import pytest

from gateway.release.statistics.split import SHARPNESS, ln_mismatch
from tests.release.statistics.references import ln_share_factor, quantile_radius

# Armitage, McPherson and Rowe (1969): how often a test at 5 % "finds" nothing at all, by looks.
REPEATED = {1: 5.0, 2: 8.3, 5: 14.2, 10: 19.3, 20: 24.8, 50: 32.0}
# Pocock (1977): the limit that keeps 5 % over so many looks.
POCOCK = {2: 2.178, 5: 2.413, 10: 2.555}
WALKS = 6000


@pytest.fixture(scope="module")
def walks() -> list[list[float]]:
    """The largest |z| up to each of fifty looks at nothing."""
    dice, made = Random(1969), []
    for _ in range(WALKS):
        total, most, highs = 0.0, 0.0, []
        for look in range(1, 51):
            total += dice.gauss(0.0, 1.0)
            most = max(most, abs(total) / sqrt(look))
            highs.append(most)
        made.append(highs)
    return made


@pytest.mark.parametrize(("looks", "expected"), REPEATED.items())
def test_looking_again_and_again_finds_what_is_not_there(
    walks: list[list[float]], looks: int, expected: float
) -> None:
    limit = NormalDist().inv_cdf(0.975)
    found = 100.0 * sum(highs[looks - 1] > limit for highs in walks) / WALKS
    assert found == pytest.approx(expected, abs=4 * 100 * sqrt(0.25 / WALKS))


@pytest.mark.parametrize(("looks", "limit"), POCOCK.items())
def test_a_higher_limit_for_a_known_number_of_looks_keeps_the_promise(
    walks: list[list[float]], looks: int, limit: float
) -> None:
    found = 100.0 * sum(highs[looks - 1] > limit for highs in walks) / WALKS
    assert found == pytest.approx(5.0, abs=4 * 100 * sqrt(0.05 * 0.95 / WALKS))


def test_the_radius_of_quantile_bands_is_the_published_one() -> None:
    assert quantile_radius(1000, 0.05) == pytest.approx(0.086569, abs=5e-7)


def test_the_share_factor_is_the_published_one() -> None:
    assert ln_share_factor(5, 20, 0.01, 100.0) == pytest.approx(4.012515, abs=5e-7)


def test_the_split_is_judged_by_the_same_factor() -> None:
    expected = ln_share_factor(150, 10_000, 0.01, SHARPNESS)
    assert ln_mismatch(150, 9850, 0.01) == pytest.approx(expected)

from __future__ import annotations

from math import comb, exp, log
from random import Random

import pytest

from gateway.release.statistics.split import ln_mismatch


def test_a_split_that_is_half_as_much_again_gives_the_published_evidence() -> None:
    assert ln_mismatch(150, 9850, 0.01) == pytest.approx(8.674108, abs=5e-7)


def test_a_split_as_the_weights_say_is_no_evidence() -> None:
    assert ln_mismatch(100, 9900, 0.01) < 0.0
    assert ln_mismatch(0, 0, 0.01) == 0.0


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_where_all_go_to_one_side_there_is_no_split(share: float) -> None:
    assert ln_mismatch(5, 100, share) == 0.0


def test_evidence_has_a_mean_of_one_under_the_weights() -> None:
    n, share = 50, 0.1
    mean = sum(
        comb(n, k) * share**k * (1 - share) ** (n - k) * exp(ln_mismatch(k, n - k, share))
        for k in range(n + 1)
    )
    assert mean == pytest.approx(1.0)


def test_too_few_are_found_as_well_as_too_many() -> None:
    assert ln_mismatch(50, 9950, 0.01) > log(100)


def test_a_split_that_is_off_by_a_fifth_is_found_in_minutes() -> None:
    dice, candidate, stable = Random(3), 0, 0
    seconds = 0
    while ln_mismatch(candidate, stable, 0.01) < log(1000):
        seconds += 1
        for _ in range(200):
            is_candidate = dice.random() < 0.012
            candidate += is_candidate
            stable += not is_candidate
    assert seconds < 700

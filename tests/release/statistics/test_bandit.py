from __future__ import annotations

from random import Random

import pytest

from gateway.release.statistics.bandit import best_chances, next_share, top_two


def test_equal_versions_are_as_likely_the_best() -> None:
    chances = best_chances([(80, 20), (80, 20)], Random(1).betavariate, 4000)
    assert chances == pytest.approx((0.5, 0.5), abs=0.05)
    assert sum(chances) == pytest.approx(1.0)


def test_the_better_one_is_found() -> None:
    chances = best_chances([(800, 200), (880, 120)], Random(2).betavariate)
    assert chances[1] > 0.99


def test_without_a_word_of_either_nothing_is_known() -> None:
    chances = best_chances([(0, 0), (0, 0)], Random(3).betavariate, 4000)
    assert chances == pytest.approx((0.5, 0.5), abs=0.05)


def test_of_two_versions_the_chances_are_the_shares() -> None:
    assert top_two((0.3, 0.7)) == (0.3, 0.7)


def test_of_three_half_goes_to_the_challengers() -> None:
    shares = top_two((0.9, 0.05, 0.05))
    assert sum(shares) == pytest.approx(1.0)
    assert 0.45 < shares[0] < 0.55
    assert shares[1] == shares[2]


def test_one_that_is_surely_the_best_gets_all() -> None:
    assert top_two((1.0, 0.0, 0.0)) == (1.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("wanted", "before", "expected"),
    [
        (0.9, 0.1, 0.15),  # grows by half at most
        (0.9, 0.8, 0.9),
        (1.0, 0.9, 0.95),
        (0.01, 0.5, 0.05),  # falls at once, down to the floor
        (0.5, 0.0, 0.05),
    ],
)
def test_the_share_moves_between_floor_and_ceiling(
    wanted: float, before: float, expected: float
) -> None:
    assert next_share(wanted, before) == pytest.approx(expected)


def test_a_quarantined_candidate_gets_nothing() -> None:
    assert next_share(0.9, 0.9, is_quarantined=True) == 0.0


def test_it_ends_near_the_ceiling_with_the_better_version() -> None:
    dice, share, outcomes = Random(7), 0.05, [(0, 0), (0, 0)]
    for _ in range(720):
        for _ in range(20):
            place = int(dice.random() < share)
            good, bad = outcomes[place]
            is_good = dice.random() < (0.80, 0.84)[place]
            outcomes[place] = (good + is_good, bad + (not is_good))
        chances = best_chances(outcomes, dice.betavariate, 100)
        share = next_share(chances[1], share)
        assert 0.05 <= share <= 0.95
    assert share > 0.8

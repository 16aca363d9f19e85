from __future__ import annotations

from random import Random

from gateway.release.judge import units
from gateway.release.judge.units import DistinctUnits, Once


def test_a_unit_counts_once_whichever_gateway_tells_of_it() -> None:
    seen = DistinctUnits()
    assert seen.count_new([1, 2, 2]) == 2
    assert seen.count_new([2, 3]) == 1


def test_in_a_new_stage_everybody_may_fail_again() -> None:
    seen = DistinctUnits()
    seen.count_new([1, 2])
    seen.clear()
    assert seen.count_new([1, 2]) == 2


def test_memory_is_bounded_by_leaving_out_half_of_all_units() -> None:
    dice, seen = Random(1), DistinctUnits()
    total = 10 * units.MOST_UNITS
    counted = [seen.count_new([dice.getrandbits(64)]) for _ in range(total)]
    assert len(seen.seen) <= units.MOST_UNITS
    assert seen.mask in (15, 31)
    last = sum(counted[-units.MOST_UNITS :]) / units.MOST_UNITS
    assert abs(last - 1 / (seen.mask + 1)) < 0.02


def test_who_is_left_out_is_left_out_on_both_versions() -> None:
    seen = DistinctUnits(mask=1)
    assert seen.count_new([1, 3, 5]) == 0
    assert seen.count_new([2, 4]) == 2


def counted(once: Once, *hashes: int) -> int:
    return once.of("latency", is_candidate=True).count_new(hashes)


def test_each_version_and_each_matter_counts_a_unit_once() -> None:
    once = Once()
    assert counted(once, 1) == 1
    assert once.of("latency", is_candidate=False).count_new([1]) == 1
    assert once.of("feedback", is_candidate=True).count_new([1]) == 1
    assert counted(once, 1) == 0


def test_the_next_stage_deals_users_anew() -> None:
    once = Once()
    for share in (0.01, 0.05, 0.25, 0.5, 0.95):
        once.split(share)
        assert counted(once, 1, 2) == 2
        once.split(share)
        assert counted(once, 1, 2) == 0


def test_a_weight_that_wanders_about_deals_nobody_anew() -> None:
    once = Once()
    once.split(0.5)
    assert counted(once, 1) == 1
    for share in (0.53, 0.47, 0.5, 0.55, 0.45):
        once.split(share)
    assert counted(once, 1) == 0
    once.split(0.6)
    assert counted(once, 1) == 1

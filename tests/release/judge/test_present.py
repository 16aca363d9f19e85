from __future__ import annotations

from random import Random

from gateway.metrics.firsts import UNIT_MASK
from gateway.release.judge import present
from gateway.release.judge.counts import AT_RISK_EACH, AtRisk
from gateway.release.judge.present import Present, Side, part_of


def crowd(candidates: range, stables: range) -> Present:
    """Units that have been there for a while."""
    there = Present()
    there.meet(candidates, is_candidate=True)
    there.meet(stables, is_candidate=False)
    there.age()
    there.age()
    return there


def met(side: Side) -> int:
    """All who are there, with those that are left out."""
    return len(side.new | side.recent | side.old | side.gone) * (side.mask + 1)


def bad(there: Present, *units: int) -> AtRisk:
    """They are bad, and of all who come as many are the candidate's as of those who are there."""
    candidate, stable = met(there.candidate), met(there.stable)
    return there.leave(units, part_of(candidate / (candidate + stable)))


def parts(candidate: int, stable: int) -> AtRisk:
    share = round(AT_RISK_EACH * candidate / (candidate + stable))
    return AtRisk(share, AT_RISK_EACH - share)


def test_who_asks_often_counts_as_one() -> None:
    there = Present()
    for _ in range(3):
        there.meet([1], is_candidate=True)
        there.meet([2, 3, 4], is_candidate=False)
        there.age()
    assert bad(there, 1) == parts(1, 3)


def test_an_old_one_is_compared_with_the_old_ones_who_were_not_bad_yet() -> None:
    there = crowd(range(10), range(10, 40))
    assert bad(there, 0) == parts(10, 30)
    there.leave([1, 2, 3, 4])
    assert bad(there, 20) == parts(5, 30)


def test_who_came_lately_is_compared_with_all_who_came() -> None:
    there = crowd(range(10), range(10, 40))
    there.leave([0, 1, 2, 3])
    there.meet([50], is_candidate=False)
    assert bad(there, 50) == parts(10, 31)
    there.meet([51], is_candidate=True)
    there.age()
    assert bad(there, 51) == parts(11, 31)
    there.meet([52], is_candidate=True)
    there.age()
    there.age()
    assert bad(there, 52) == parts(7, 30)


def test_who_came_lately_is_one_of_all_who_come_if_that_is_known() -> None:
    there = crowd(range(10), range(10, 40))
    there.meet([50], is_candidate=False)
    assert there.leave([50, 51], of_all=100_000) == AtRisk(200_000, 1_800_000)
    assert there.leave([1], of_all=100_000) == parts(10, 30)


def test_who_comes_is_dealt_by_the_share_unless_far_more_are_on_the_candidate() -> None:
    there = Present()
    there.meet(range(33), is_candidate=True)
    there.meet(range(100, 167), is_candidate=False)
    assert there.part(0.25) == 250_000  # 25 of 100, give or take 13
    assert there.part(0.50) == 500_000  # fewer than should be are nothing to be careful about
    there.age()
    there.meet(range(100, 106), is_candidate=True)
    assert there.part(0.25) == 390_000
    there.age()  # those of before have been there for a while: they do not come
    assert there.part(0.25) == 1_000_000
    there.age()
    assert there.part(0.25) == 250_000
    assert Present().part(0.25) == 250_000


def test_each_of_several_adds_its_own_part() -> None:
    there = crowd(range(10), range(10, 40))
    there.leave([0, 1, 2, 3, 4])
    there.meet([50], is_candidate=False)
    one, other = parts(5, 30), parts(10, 31)
    assert bad(there, 20, 50) == (one.candidate + other.candidate, one.stable + other.stable)


def test_where_hardly_anybody_is_left_on_either_version_it_is_all_of_them() -> None:
    there = crowd(range(10), range(10, 110))
    there.leave(range(8))
    assert bad(there, 20) == parts(2, 100)
    there.leave([8])
    assert bad(there, 21) == parts(10, 100)
    there = crowd(range(10), range(10, 110))
    there.leave(range(10, 91))
    assert bad(there, 0) == parts(10, 100)


def test_who_has_moved_is_on_the_other_version_only() -> None:
    there = crowd(range(10), range(10, 40))
    there.meet([0, 1], is_candidate=False)
    there.meet([10], is_candidate=True)
    assert bad(there, 11) == parts(8, 29)
    there.meet([60], is_candidate=True)
    assert bad(there, 60) == parts(10, 31)


def test_after_a_change_of_the_weight_nobody_is_there_until_he_is_met() -> None:
    there = crowd(range(10), range(10, 40))
    there.clear()
    there.meet([5], is_candidate=True)
    assert bad(there, 5, 6) == AtRisk(2 * AT_RISK_EACH, 0)


def test_who_was_thinned_by_workers_is_not_thinned_by_the_same_bits() -> None:
    """Stable is above what is remembered, the candidate is not: both are known in full."""
    dice, there = Random(3), Present()
    told = [unit for unit in (dice.getrandbits(32) for _ in range(800_000)) if not unit & 7]
    for n, unit in enumerate(told):
        there.meet([unit], is_candidate=n % 50 == 0)
    newcomer = bad(there, told[1]).candidate / AT_RISK_EACH
    there.age()
    there.age()
    assert abs(newcomer - 0.02) < 0.0006
    [old, *_] = there.candidate.old
    turned_back = (old >> 16 | old << 16) & UNIT_MASK
    assert abs(bad(there, turned_back).candidate / AT_RISK_EACH - 0.02) < 0.0006


def test_of_many_about_as_many_are_known_in_bounded_memory() -> None:
    dice, there = Random(2), Present()
    some = [dice.getrandbits(32) for _ in range(50_000)]
    for n in range(0, len(some), 1000):
        there.meet(some[n : n + 1000], is_candidate=False)
        there.leave(some[n : n + 300])
        there.age()
    side = there.stable
    assert len(side.new | side.recent | side.old | side.gone) <= present.MOST_PRESENT
    # Three times what chance makes of it.
    assert abs(met(side) - 50_000) < 50_000 * 0.03
    assert abs(side.left() - 34_300) < 34_300 * 0.04


def test_units_are_told_of_by_the_same_bits_everywhere() -> None:
    assert present.FIRST_BITS == UNIT_MASK

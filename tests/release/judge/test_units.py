from __future__ import annotations

from random import Random

from gateway.release.judge import units
from gateway.release.judge.counts import NOBODY, AtRisk
from gateway.release.judge.places import Came
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


def timed(once: Once, *units: int, is_candidate: bool = True) -> int:
    return len(once.time(units, is_candidate=is_candidate))


def test_a_unit_is_timed_once() -> None:
    once = Once()
    assert (timed(once, 1, 1), timed(once, 1, is_candidate=False), timed(once, 1, 2)) == (1, 0, 1)


def test_the_next_stage_deals_users_anew_and_is_another_epoch() -> None:
    once = Once()
    for epoch, share in enumerate((0.01, 0.05, 0.25, 0.5, 0.95), 1):
        once.split(100, share)
        assert (timed(once, 1, 2), once.epoch) == (2, epoch)
        once.split(200, share)
        assert timed(once, 1, 2) == 0


def test_a_weight_that_wanders_about_deals_nobody_anew() -> None:
    once = Once()
    once.split(0, 0.5)
    assert timed(once, 1) == 1
    for share in (0.53, 0.47, 0.5, 0.55, 0.45):
        once.split(0, share)
    assert timed(once, 1) == 0
    once.split(0, 0.6)
    assert timed(once, 1) == 1


def test_a_weight_that_stays_deals_nobody_anew_whatever_it_is() -> None:
    for share in (0.0, 0.3, 1.0):
        assert not units.are_dealt(share, share)
        assert units.are_dealt(share, 0.5)
        assert units.are_dealt(0.5, share)


def test_all_are_timed_again_in_the_next_epoch_which_a_deal_puts_off() -> None:
    once = Once()
    once.tick(1000, 600)
    assert timed(once, 1) == 1
    once.tick(1599, 600)
    assert (timed(once, 1), once.epoch) == (0, 1)
    once.split(1599, 0.25)
    once.tick(1600, 600)
    assert (timed(once, 1), once.epoch) == (1, 2)
    once.tick(2199, 600)
    assert (timed(once, 1), once.epoch) == (1, 3)


def test_who_has_moved_is_timed_in_the_next_epoch_only() -> None:
    once = Once()
    once.split(0, 0.4)
    assert timed(once, 1, 2, is_candidate=False) == 2
    once.split(100, 0.48)  # hardly anybody moves, but 1 does
    assert timed(once, 1, 3) == 1
    once.split(200, 0.95)
    assert timed(once, 1, 2) == 2


def test_users_dealt_again_and_again_are_timed_anew_when_the_slowest_could_have_answered() -> None:
    once = Once()
    once.split(0, 0.1, 150)
    for now, share in ((0, 0.1), (40, 0.2), (80, 0.1), (120, 0.2)):
        once.split(now, share, 150)
        once.tick(now, 600, 150)
        assert timed(once, 1, 2) == (2 if now == 0 else 0)
    once.tick(149, 600, 150)
    assert (timed(once, 1, 2), once.epoch) == (0, 1)
    once.tick(150, 600, 150)
    assert (timed(once, 1, 2), once.epoch) == (2, 2)
    once.tick(749, 600, 150)
    assert once.epoch == 2
    once.split(760, 0.5, 150)  # this one has lasted long enough
    assert (timed(once, 1, 2), once.epoch) == (2, 3)


def test_epochs_in_which_the_candidate_had_nobody_do_not_count() -> None:
    once = Once()
    for now in range(0, 6001, 100):
        once.tick(now, 600)
        timed(once, 1, 2, is_candidate=False)
        timed(once)  # the candidate has requests, of which none names a unit
    once.split(6100, 0.25)
    assert once.epoch == 1


def test_a_unit_rates_until_it_is_unhappy_whichever_version_made_it_so() -> None:
    once = Once()
    assert rated(once, (1, False), (1, False), (2, False)) == (2, 0)
    assert rated(once, (1, False), (1, True), (3, False)) == (2, 1)
    assert rated(once, (1, True), (1, False), (3, True), is_candidate=False) == (1, 1)
    assert once.rate("helpful", [(1, True)], came(is_candidate=True))[:2] == (1, 1)


def test_who_is_unhappy_beyond_what_is_remembered_does_not_rate() -> None:
    once = Once(unhappy={"feedback": DistinctUnits(mask=1)})
    assert rated(once, (1, False), (2, False), (3, True), (4, True)) == (2, 1)


def came(*, is_candidate: bool, share: float = 0.25, is_before: bool = False) -> Came:
    return Came(is_candidate, share, share, is_before)


def parts(candidate: float, bad: int = 1) -> AtRisk:
    """So many bad ones, of which so much would be the candidate's."""
    return AtRisk(round(1_000_000 * candidate), bad * 1_000_000 - round(1_000_000 * candidate))


def test_first_failures_of_those_who_came_lately_are_parted_by_the_share() -> None:
    once = Once()
    once.split(0, 0.25)
    for now in range(60):
        once.tick(now, 600)
        once.meet([now], [], came(is_candidate=now == 59))
    assert once.meet([60, 61], [60], came(is_candidate=False)) == parts(0.25)


def test_where_far_more_are_on_the_candidate_than_its_share_says_they_are_parted_by_that() -> None:
    once = Once()
    once.split(100, 0.25)
    once.meet(range(20), [], came(is_candidate=True))
    once.tick(119, 600)
    assert once.meet([20], [20], came(is_candidate=False)) == parts(0.25)  # too soon to say
    once.tick(120, 600)
    assert once.meet(range(21, 41), [21], came(is_candidate=False)) == parts(0.5)


def test_who_came_before_the_share_changed_is_parted_by_the_share_of_then() -> None:
    once = Once()
    once.split(100, 0.05)
    once.tick(150, 600)
    once.meet([1, 2, 3], [], came(is_candidate=True))
    before = came(is_candidate=True, share=0.5, is_before=True)
    assert once.meet([7], [1, 7], before) == parts(1.0, bad=2)
    # Where he is now is not known by it, but that he is none who was never bad.
    assert once.meet([], [2], came(is_candidate=True)) == parts(0.25)
    for now in (170, 190):
        once.tick(now, 600)
    once.meet([4, 5, 6], [], came(is_candidate=False))
    for now in (210, 230):
        once.tick(now, 600)
    assert once.meet([], [3], came(is_candidate=True)) == parts(0.25)


def test_those_who_have_no_name_are_parted_as_if_they_had_just_come() -> None:
    once = Once()
    assert once.meet([1], [1], came(is_candidate=False), unnamed=3) == parts(1.0, bad=4)


def test_who_has_failed_fails_for_the_first_time_no_more_until_users_are_dealt() -> None:
    once = Once()
    once.split(0, 0.05)
    # Of bad units all bits are told.
    assert once.meet([1], [(5 << 32) + 1], came(is_candidate=True)) == parts(0.25)
    assert once.meet([1], [1], came(is_candidate=True)) == NOBODY
    once.split(100, 0.06)  # hardly anybody moves
    assert once.meet([1], [1], came(is_candidate=True)) == NOBODY
    once.split(200, 0.25)
    assert once.meet([2], [2], came(is_candidate=True)) == parts(0.25)


def test_who_fails_again_is_parted_by_where_he_may_stand_not_by_the_share_of_all() -> None:
    once = Once()
    once.split(0, 0.2)
    once.meet([], [1, 3], came(is_candidate=True, share=0.2))
    once.meet([], [2], came(is_candidate=False, share=0.2))
    once.split(100, 0.6)
    above = came(is_candidate=True, share=0.6)
    # One who was on the candidate is so in any case; of those who were not, every other is now.
    assert once.meet([], [1], above) == parts(1.0)
    assert once.meet([2], [2], above) == parts(0.5)
    assert once.meet([], [2], above) == NOBODY
    assert once.meet([4], [4], above) == parts(0.6)  # for the first time
    once.split(200, 0.1)
    assert once.meet([], [1, 3], came(is_candidate=False, share=0.1)) == parts(1.0, bad=2)


def test_who_failed_is_not_among_the_old_ones_though_he_is_met_anew() -> None:
    once = Once()
    once.split(0, 0.05)
    once.meet([1, 2, 3, 4], [1, 2, 3], came(is_candidate=True))
    once.split(100, 0.06)
    once.meet([1, 2, 3, 4], [], came(is_candidate=True))
    once.meet([5, 6, 7], [], came(is_candidate=False))
    for now in (140, 160, 180):
        once.tick(now, 600)
    assert once.meet([], [5], came(is_candidate=False)) == parts(0.25)


def test_first_bad_ratings_are_parted_by_the_share_of_when_the_request_came() -> None:
    once = Once()
    once.split(100, 0.5)
    once.tick(150, 600)
    before = came(is_candidate=True, share=0.05, is_before=True)
    assert once.rate("feedback", [(1, True), (1, False), (2, False)], before)[2] == parts(0.05)
    now = came(is_candidate=False, share=0.5)
    assert once.rate("feedback", [(3, True), (4, False)], now)[2] == parts(0.5)
    # Who rated what was answered before is not known to be where he was.
    assert once.rate("feedback", [(2, True)], now)[2] == parts(0.5)


def test_who_rated_for_a_while_is_compared_with_those_who_did_and_were_content() -> None:
    once = Once()
    once.split(0, 0.5)
    rated(once, (1, False), (2, True), (3, True))
    rated(once, (4, False), (5, False), (6, False), is_candidate=False)
    for now in (60, 80, 100):
        once.tick(now, 600)
    here = came(is_candidate=False, share=0.5)
    assert once.rate("feedback", [(4, True)], here)[2] == parts(0.25)
    assert once.rate("helpful", [(4, True)], here)[2] == parts(0.5)


def test_when_a_clock_is_set_back_all_is_known_as_soon() -> None:
    once = Once()
    once.split(5000, 0.25)
    once.set_back(50)
    once.tick(70, 600)
    assert once.meet(range(40), [1], came(is_candidate=True)) == parts(1.0)


def test_who_is_unhappy_is_so_in_every_stage() -> None:
    once = Once()
    assert rated(once, (1, False), (2, True)) == (2, 1)
    once.split(0, 0.5)
    assert rated(once, (2, False), (4, False)) == (1, 0)


def test_who_failed_beyond_what_is_remembered_counts_on_both_versions_alike() -> None:
    dice, once = Random(4), Once()
    units_failed = [dice.getrandbits(32) for _ in range(2 * units.MOST_UNITS)]
    once.meet([], units_failed, came(is_candidate=False))
    assert once.failed.mask
    candidate = stable = 0
    for n in range(100_000):
        unit = dice.getrandbits(32)
        here = came(is_candidate=n % 50 == 0, share=0.02)
        at_risk = once.meet([unit], [unit] * (n > 50_000), here)
        candidate += at_risk.candidate
        stable += at_risk.stable
    assert abs(candidate / (candidate + stable) - 0.02) < 0.0006


def rated(once: Once, *ratings: tuple[int, bool], is_candidate: bool = True) -> tuple[int, int]:
    n, bad, _ = once.rate("feedback", ratings, came(is_candidate=is_candidate))
    return n, bad

from __future__ import annotations

from random import Random

import pytest

from gateway.metrics.firsts import AGAIN_AND_AGAIN_SECONDS, AGAIN_SECONDS, MOST_A_SECOND, Firsts

START = 1_700_000_000


@pytest.fixture
def firsts() -> Firsts:
    made = Firsts()
    made.tick(START)
    return made


def told_at(firsts: Firsts, first: int, last: int) -> list[int]:
    """Seconds after the start in which a unit that comes every second is told of."""
    told = []
    for second in range(START + first, START + last):
        firsts.tick(second)
        if firsts.is_first(7, second, 0.5):
            del firsts.awaited[7]
            told.append(second - START)
    return told


def test_of_each_unit_the_first_request_is_told_of(firsts: Firsts) -> None:
    assert [firsts.is_first(unit, START, 0.5) for unit in (1, 2, 1, 2)] == [
        True,
        True,
        False,
        False,
    ]
    assert firsts.awaited == {1: 0.5, 2: 0.5}
    assert repr(firsts) == "<Firsts of 2 units, 2 on their way>"


def test_each_is_told_of_again_soon_after_the_warm_up_and_then_every_few_minutes(
    firsts: Firsts,
) -> None:
    soon, often = AGAIN_SECONDS, AGAIN_AND_AGAIN_SECONDS
    assert told_at(firsts, 0, soon + 2 * often + 1) == [0, soon, soon + often, soon + 2 * often]


def test_when_users_are_dealt_anew_all_are_told_of_at_once_and_the_waits_begin_anew(
    firsts: Firsts,
) -> None:
    assert told_at(firsts, 0, 100) == [0, AGAIN_SECONDS]
    told_at(firsts, 100, 400)
    firsts.dealt()
    assert told_at(firsts, 400, 500) == [400, 400 + AGAIN_SECONDS]


def test_weights_that_never_rest_do_not_tell_of_everybody_all_the_time(firsts: Firsts) -> None:
    told = []
    for second in range(0, 120, 10):
        firsts.dealt()
        told += told_at(firsts, second, second + 10)
    assert told == list(range(0, 120, 15))


def test_a_unit_whose_timed_request_is_still_on_its_way_has_no_second_one(firsts: Firsts) -> None:
    assert firsts.is_first(1, START, 0.5)
    firsts.tick(START + AGAIN_SECONDS)
    assert not firsts.is_first(1, START + AGAIN_SECONDS, 9.5)
    assert firsts.awaited == {1: 0.5}


def test_a_clock_that_is_set_back_delays_nothing_that_is_due(firsts: Firsts) -> None:
    assert firsts.is_first(1, START, 0.5)
    del firsts.awaited[1]
    firsts.dealt()
    firsts.tick(START - 3600)
    assert firsts.is_first(1, START - 3600, 0.5)


def test_a_clock_that_is_set_back_stops_nothing_else_either(firsts: Firsts) -> None:
    assert told_at(firsts, 0, 10) == [0]
    assert told_at(firsts, -3600, -3590) == [-3600]


def test_of_too_many_at_once_some_are_left_out_by_their_hash_on_all_versions(
    firsts: Firsts,
) -> None:
    dice = Random(1)
    units = [dice.getrandbits(32) for _ in range(20 * MOST_A_SECOND)]
    told = [unit for unit in units if firsts.is_first(unit, START, 0.5)]
    assert len(told) < 6 * MOST_A_SECOND
    late = [unit for unit in units if firsts.is_first(unit, START + 1, 1.5)]
    assert not late  # whoever was left out is so by the hash, not by coming late
    rest = {unit & 0b1111 for unit in told[-100:]}
    assert rest == {0}


def test_who_was_left_out_may_be_told_of_when_there_are_fewer(firsts: Firsts) -> None:
    for unit in range(0, 4 * MOST_A_SECOND, 2):
        firsts.is_first(unit, START, 0.5)
    assert not firsts.is_first(9, START + 1, 1.5)
    firsts.tick(START + AGAIN_SECONDS)
    firsts.tick(START + AGAIN_SECONDS + AGAIN_AND_AGAIN_SECONDS)
    assert firsts.is_first(9, START + 400, 400.5)


def test_memory_is_bounded_by_leaving_out_half_of_all_units(firsts: Firsts) -> None:
    dice, most = Random(1), 16_384
    for number in range(3 * most):
        firsts.is_first(dice.getrandbits(32), START + number, 0.5)
        firsts.awaited.clear()
    assert most / 3 < len(firsts.met) <= most
    assert not any(unit & 1 for unit in firsts.met)

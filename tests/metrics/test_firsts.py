from __future__ import annotations

import pytest

from gateway.metrics import firsts as module
from gateway.metrics.firsts import AGAIN_SECONDS, Firsts

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
        if firsts.is_first(7, second):
            del firsts.awaited[7]
            told.append(second - START)
    return told


def test_of_each_unit_the_first_request_is_told_of(firsts: Firsts) -> None:
    assert [firsts.is_first(unit, START) for unit in (1, 2, 1, 2)] == [True, True, False, False]
    assert firsts.awaited == {1: START, 2: START}
    assert repr(firsts) == "<Firsts of 2 units, 2 on their way>"


def test_each_is_told_of_again_after_a_while_and_then_ever_more_seldom(firsts: Firsts) -> None:
    wait = AGAIN_SECONDS
    assert told_at(firsts, 0, 10 * wait) == [0, wait, 3 * wait, 7 * wait]


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
    assert told == [0, 30, 60, 90]


def test_a_unit_whose_timed_request_is_still_on_its_way_has_no_second_one(firsts: Firsts) -> None:
    assert firsts.is_first(1, START)
    firsts.tick(START + AGAIN_SECONDS)
    assert not firsts.is_first(1, START + AGAIN_SECONDS)
    assert firsts.awaited == {1: START}


def test_a_clock_that_is_set_back_delays_nothing_that_is_due(firsts: Firsts) -> None:
    assert firsts.is_first(1, START)
    del firsts.awaited[1]
    firsts.dealt()
    firsts.tick(START - 3600)
    assert firsts.is_first(1, START - 3600)


def test_memory_is_bounded(firsts: Firsts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_MET", 3)
    assert [firsts.is_first(unit, START) for unit in range(5)] == [True] * 3 + [False] * 2

"""Ejection and active checks, by the clock in the test's hand."""

from __future__ import annotations

import pytest

from gateway.upstream.health import FAILURES, Health, may_eject


def failing(health: Health, now: float, times: int = FAILURES) -> float:
    """What the last of so many failures in a row says."""
    return [health.failure(now) for _ in range(times)][-1]


def version_of(count: int) -> list[Health]:
    healths = [Health() for _ in range(count)]
    for health in healths:
        health.siblings = healths
    return healths


def test_L09_five_failures_in_a_row_eject_for_30_seconds() -> None:
    health = Health()
    assert failing(health, 100.0, 4) == 0.0
    assert health.is_up(100.0)
    assert health.failure(100.0) == 30.0
    assert not health.is_up(100.0)
    assert not health.is_up(129.9)
    assert health.is_up(130.0)


def test_a_success_in_between_starts_the_count_anew() -> None:
    health = Health()
    failing(health, 100.0, 4)
    health.success()
    assert failing(health, 100.0, 4) == 0.0
    assert health.failure(100.0) == 30.0


def test_each_further_ejection_lasts_30_seconds_longer_up_to_300() -> None:
    health, now, lengths = Health(), 100.0, []
    for _ in range(12):
        lengths.append(failing(health, now))
        now = health.ejected_until
    assert lengths == [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300]


@pytest.mark.parametrize(
    ("in_service", "seconds"), [(9.9, 120), (10.0, 90), (20.0, 60), (99.0, 30)]
)
def test_ten_seconds_in_service_forgive_one_ejection(in_service: float, seconds: float) -> None:
    health, now = Health(), 100.0
    for _ in range(3):
        failing(health, now)
        now = health.ejected_until
    assert failing(health, now + in_service) == seconds


def test_failures_during_the_ejection_neither_prolong_it_nor_count_after_it() -> None:
    health = Health()
    failing(health, 100.0)
    assert failing(health, 110.0, 20) == 0.0
    assert health.ejected_until == 130.0
    assert failing(health, 130.0, 4) == 0.0
    assert health.is_up(130.0)


@pytest.mark.parametrize(
    ("total", "most"), [(1, 1), (2, 1), (3, 1), (10, 1), (19, 1), (20, 2), (29, 2), (100, 10)]
)
def test_one_in_ten_may_be_ejected_and_always_one(total: int, most: int) -> None:
    assert all(may_eject(ejected, total) for ejected in range(most))
    assert not may_eject(most, total)


def test_endpoints_that_answer_badly_are_ejected_one_at_a_time() -> None:
    first, second, third = version_of(3)
    assert failing(first, 100.0) == 30.0
    assert failing(second, 101.0) == 0.0
    assert second.is_up(101.0)
    assert second.failure(130.0) == 30.0, "the first one is back: now the second one may go"
    assert third.is_up(130.0)


def test_endpoints_that_cannot_be_reached_are_all_ejected() -> None:
    healths = version_of(3)
    for health in healths:
        for _ in range(FAILURES):
            health.failure(100.0, is_reached=False)
    assert not any(health.is_up(100.0) for health in healths)


def test_checks_take_down_after_three_failures_and_up_after_two_successes() -> None:
    health = Health()
    assert [health.check_failed() for _ in range(3)] == [False, False, True]
    assert not health.is_up(100.0)
    assert [health.check_passed(100.0) for _ in range(2)] == [False, True]
    assert health.is_up(100.0)


def test_a_check_that_says_otherwise_starts_the_count_anew() -> None:
    health = Health()
    for _ in range(5):
        health.check_failed()
        health.check_failed()
        health.check_passed(100.0)
    assert health.is_up(100.0)
    for _ in range(3):
        health.check_failed()
    for _ in range(5):
        health.check_passed(100.0)
        assert not health.check_failed()
    assert not health.is_up(100.0)


def test_an_endpoint_is_up_only_when_neither_judge_is_against_it() -> None:
    health = Health()
    failing(health, 100.0)
    health.check_passed(100.0)
    health.check_passed(100.0)
    assert not health.is_up(100.0), "checks that always passed do not end an ejection"
    for _ in range(3):
        health.check_failed()
    assert not health.is_up(130.0), "its time is over, but it is checked down"


def test_checks_that_pass_again_end_an_ejection_from_before() -> None:
    health = Health()
    failing(health, 100.0)
    for _ in range(3):
        health.check_failed()
    health.check_passed(105.0)
    health.check_passed(107.0)
    assert health.is_up(107.0)


def test_without_checks_what_they_said_is_forgotten() -> None:
    health = Health()
    for _ in range(3):
        health.check_failed()
    health.forget_checks()
    assert health.is_up(100.0)
    assert not health.check_failed()


def test_its_repr_shows_both_judges() -> None:
    health = Health()
    health.failure(100.0)
    assert repr(health) == "<Health checked up, 1 failures in a row, ejected until 0.0>"

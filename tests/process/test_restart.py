"""When a dead child is started again."""

from __future__ import annotations

from gateway.process.restart import Backoff


def test_a_child_that_had_worked_is_replaced_at_once() -> None:
    backoff = Backoff()
    assert backoff.delay_after_death(100.0, worked_seconds=60.0) == 0.0


def test_early_deaths_are_followed_by_growing_pauses() -> None:
    backoff = Backoff()
    delays = [backoff.delay_after_death(at, 0.1) for at in (0.0, 1.0, 2.0, 3.0)]
    assert delays == [0.0, 0.2, 0.4, 0.8]
    assert not backoff.is_looping


def test_five_early_deaths_in_a_minute_are_a_loop_and_tried_slowly_for_ever() -> None:
    backoff = Backoff()
    for at in range(4):
        backoff.delay_after_death(float(at), 0.1)
    assert backoff.delay_after_death(4.0, 0.1) == 10.0
    assert backoff.is_looping
    now = 4.0
    for _ in range(20):
        now += 10.1
        assert backoff.delay_after_death(now, 0.1) == 10.0
    assert "5 early deaths" in repr(backoff)


def test_early_deaths_far_apart_are_no_loop() -> None:
    backoff = Backoff()
    assert [backoff.delay_after_death(at * 61.0, 0.1) for at in range(10)] == [0.0] * 10


def test_a_long_life_ends_the_loop() -> None:
    backoff = Backoff()
    for at in range(5):
        backoff.delay_after_death(float(at), 0.1)
    assert backoff.delay_after_death(100.0, worked_seconds=80.0) == 0.0
    assert not backoff.is_looping
    assert backoff.delay_after_death(101.0, 0.1) == 0.0


def test_slow_starts_that_fail_are_a_loop_too() -> None:
    backoff = Backoff()
    delays = [backoff.delay_after_death(at * 12.0, worked_seconds=0.0) for at in range(5)]
    assert delays[-1] == 10.0
    assert backoff.is_looping


def test_a_child_that_works_for_a_while_is_forgiven_without_another_death() -> None:
    backoff = Backoff()
    for at in range(5):
        backoff.delay_after_death(float(at), 0.0)
    backoff.settle()
    assert repr(backoff) == "<Backoff after 0 early deaths>"
    assert backoff.delay_after_death(5.0, 0.0) == 0.0
    assert not backoff.is_looping

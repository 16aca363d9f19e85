from __future__ import annotations

import pytest

from gateway.metrics.numbers import DURATION_BOUNDS, Counted, Numbers
from gateway.metrics.window import MOST_SECONDS, Lately, Window, percentile

V1, V2 = ("chat", "v1"), ("chat", "v2")


def counted(numbers: Numbers, *decisions: tuple[str, int]) -> Counted:
    return Counted(
        decisions={(*V1, reason): count for reason, count in decisions}, numbers={V1: numbers}
    )


def test_before_the_second_look_nothing_is_known() -> None:
    window = Window()
    assert window.last(10) == (0.0, {})
    numbers = Numbers()
    numbers.finished(200, 0.1)
    window.look(100.0, counted(numbers))
    assert window.last(10) == (0.0, {})
    assert repr(window) == "<Window of 0 looks>"


def test_only_what_came_since_the_first_look_counts() -> None:
    window, numbers = Window(), Numbers()
    numbers.finished(200, 100.0)
    window.look(100.0, counted(numbers, ("weight", 5)))
    for _ in range(3):
        numbers.finished(500, 0.1)
        numbers.error("status_5xx")
        numbers.first_byte_after(0.05)
    numbers.error("client_gone")
    numbers.in_flight = 2
    window.look(101.5, counted(numbers, ("weight", 7), ("whitelist", 2)))
    span, lately = window.last(10)
    one = lately[V1]
    assert span == 1.5
    assert (one.requests, one.failures, one.decided, one.weighed, one.in_flight) == (3, 3, 4, 2, 2)
    assert one.duration.p50 == pytest.approx(0.12)
    assert one.duration.p99 is not None
    assert one.duration.p99 < 0.16
    assert one.first_byte.p95 == pytest.approx(0.059)


def test_the_window_is_as_long_as_it_is_asked_for() -> None:
    window, numbers = Window(), Numbers()
    for second in range(20):
        window.look(float(second), counted(numbers))
        numbers.finished(200, 0.1)
    assert window.last(5) == (5.0, {V1: window.last(5)[1][V1]})
    assert window.last(5)[1][V1].requests == 5
    assert window.last(1000)[1][V1].requests == 19
    assert window.last(1000)[0] == 19.0


def test_what_is_older_than_the_window_is_forgotten() -> None:
    window, numbers = Window(), Numbers()
    for second in range(int(MOST_SECONDS) + 50):
        numbers.finished(200, 0.1)
        window.look(float(second), counted(numbers))
    span, lately = window.last(1000)
    assert span == pytest.approx(MOST_SECONDS, abs=1.1)
    assert lately[V1].requests == int(span)


def test_an_idle_version_costs_nothing_and_is_not_told() -> None:
    window = Window()
    window.look(0.0, Counted(numbers={V1: Numbers(), V2: Numbers()}))
    window.look(1.0, Counted(numbers={V1: Numbers(), V2: Numbers()}))
    assert window.last(10) == (1.0, {})


def test_a_request_under_way_is_told_though_nothing_came_to_an_end() -> None:
    window, numbers = Window(), Numbers()
    window.look(0.0, counted(numbers))
    numbers.in_flight = 1
    window.look(1.0, counted(numbers))
    assert window.last(10)[1] == {V1: Lately(in_flight=1)}


def test_a_version_that_was_decided_for_and_has_no_numbers_is_told() -> None:
    window = Window()
    window.look(0.0, Counted())
    window.look(1.0, Counted(decisions={(*V2, "stable"): 1}))
    assert window.last(10)[1][V2].weighed == 1


def test_a_percentile_lies_between_the_bounds_of_its_bucket() -> None:
    counts = [0] * (len(DURATION_BOUNDS) + 1)
    assert percentile(counts, DURATION_BOUNDS, 0.5) is None
    counts[0] = 10
    assert percentile(counts, DURATION_BOUNDS, 0.5) == pytest.approx(0.005)
    counts[3] = 10
    assert percentile(counts, DURATION_BOUNDS, 0.75) == pytest.approx(0.06)
    assert percentile(counts, DURATION_BOUNDS, 1.0) == pytest.approx(0.08)


def test_what_is_beyond_the_last_bound_is_told_as_that_bound() -> None:
    counts = [0] * len(DURATION_BOUNDS) + [3]
    assert percentile(counts, DURATION_BOUNDS, 0.5) == DURATION_BOUNDS[-1]

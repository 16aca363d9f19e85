from __future__ import annotations

import sys
from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.metrics.numbers import (
    DURATION_BOUNDS,
    ERROR_KINDS,
    FIRST_BYTE_BOUNDS,
    INTER_CHUNK_BOUNDS,
    Numbers,
)

BOUNDS = {
    "duration": DURATION_BOUNDS,
    "first_byte": FIRST_BYTE_BOUNDS,
    "inter_chunk": INTER_CHUNK_BOUNDS,
}


def observe(numbers: Numbers, name: str, seconds: float) -> None:
    if name == "duration":
        numbers.finished(200, seconds)
    elif name == "first_byte":
        numbers.first_byte_after(seconds)
    else:
        numbers.gap(seconds)


@pytest.mark.parametrize("bounds", BOUNDS.values(), ids=list(BOUNDS))
def test_bounds_rise(bounds: tuple[float, ...]) -> None:
    assert list(bounds) == sorted(set(bounds))


def test_durations_double_from_ten_milliseconds_to_eleven_minutes() -> None:
    assert [round(0.01 * 2**n, 2) for n in range(17)] == list(DURATION_BOUNDS)


@pytest.mark.parametrize("name", BOUNDS)
def test_a_time_on_a_bound_belongs_below_it(name: str) -> None:
    for place, bound in enumerate(BOUNDS[name]):
        numbers = Numbers()
        observe(numbers, name, bound)
        assert getattr(numbers, name)[place] == 1


@pytest.mark.parametrize("name", BOUNDS)
@given(times=st.lists(st.floats(min_value=0, max_value=1e5), max_size=20))
def test_every_time_is_counted_once_in_its_bucket(name: str, times: list[float]) -> None:
    numbers = Numbers()
    for seconds in times:
        observe(numbers, name, seconds)
    expected = [0] * (len(BOUNDS[name]) + 1)
    for seconds in times:
        expected[bisect_left(BOUNDS[name], seconds)] += 1
    assert getattr(numbers, name) == expected
    assert getattr(numbers, f"{name}_sum") == sum(times)
    others = [other for other in BOUNDS if other != name]
    assert all(not any(getattr(numbers, other)) for other in others)


def test_answers_are_counted_by_code_and_failures_by_kind() -> None:
    numbers = Numbers()
    for code in (200, 502, 200):
        numbers.finished(code, 0.1)
    for kind in ("timeout", "connect", "timeout"):
        numbers.error(kind)
    assert numbers.codes == {200: 2, 502: 1}
    assert numbers.errors == {"timeout": 2, "connect": 1}
    assert set(numbers.errors) <= set(ERROR_KINDS)
    assert repr(numbers) == "<Numbers: 3 answers, 0 in flight>"


def test_a_thousand_versions_take_less_than_two_megabytes() -> None:
    numbers = Numbers()
    lists = (numbers.duration, numbers.first_byte, numbers.inter_chunk)
    dicts = (numbers.codes, numbers.errors, numbers.mirror_failures)
    size = sys.getsizeof(numbers) + sum(map(sys.getsizeof, (*lists, *dicts)))
    assert size < 2000

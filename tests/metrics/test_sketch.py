from __future__ import annotations

import random

import pytest

from gateway.metrics.sketch import REGISTERS, Sketch, Units, _united, estimate


def hashes(count: int, seed: int = 1) -> list[int]:
    chance = random.Random(seed)
    return [chance.getrandbits(64) for _ in range(count)]


def counted(places: list[int], minute: int = 5) -> float:
    units = Units()
    units.merge(minute, Sketch().add(places, minute))
    return units.count(minute)


@pytest.mark.parametrize("count", [1, 10, 100, 1000, 3000, 5000, 20_000, 200_000])
def test_an_estimate_is_right_to_a_few_percent(count: int) -> None:
    assert counted(hashes(count)) == pytest.approx(count, rel=0.08)  # 3.5 standard errors


def test_nothing_is_zero_and_all_there_can_be_is_a_number() -> None:
    assert estimate([]) == estimate([bytearray()]) == Units().count(5) == 0
    assert estimate([bytearray(REGISTERS)]) == 0
    assert 1e18 < counted(list(range(REGISTERS))) < 1e20


def test_who_comes_again_changes_nothing() -> None:
    sketch = Sketch()
    places = hashes(500)
    assert sketch.add(places, 1)
    assert sketch.add(places, 1) == {}
    assert repr(sketch).startswith("<Sketch of minute 1: about ")


def test_only_what_rose_is_told_and_it_leads_to_the_same() -> None:
    places = hashes(3000)
    sketch, in_steps = Sketch(), Units()
    for start in range(0, 3000, 100):
        in_steps.merge(7, sketch.add(places[start : start + 100], 7))
    assert in_steps.count(7) == counted(places, 7)


def test_workers_that_met_the_same_units_count_them_once() -> None:
    units = Units()
    for part in (hashes(1000)[:700], hashes(1000)[300:]):
        units.merge(5, Sketch().add(part, 5))
    assert units.count(5) == counted(hashes(1000))


def test_the_last_ten_minutes_count_and_no_others() -> None:
    units, sketch = Units(), Sketch()
    for minute in range(100, 115):
        units.merge(minute, sketch.add(hashes(100, seed=minute), minute))
    assert units.count(114) == pytest.approx(1000, rel=0.08)
    assert units.count(118) == pytest.approx(600, rel=0.08)
    assert repr(units) == "<Units of 6 minutes>"
    assert units.count(124) == 0
    assert units.is_empty


def test_what_comes_late_counts_too() -> None:
    units = Units()
    units.merge(5, Sketch().add(hashes(100), 5))
    assert units.count(6) == pytest.approx(100, rel=0.08)
    units.merge(5, Sketch().add(hashes(100, seed=2), 5))
    assert units.count(6) == pytest.approx(200, rel=0.08)


def test_another_minute_begins_at_nothing() -> None:
    sketch = Sketch()
    sketch.add(hashes(10), 1)
    assert len(sketch.add(hashes(10), 2)) == len(Sketch().add(hashes(10), 2))
    assert sketch.add([], 3) == {}


@pytest.mark.parametrize("count", range(5))
def test_sketches_are_united_register_by_register(count: int) -> None:
    chance = random.Random(count)
    sketches = [bytes(chance.choices(range(54), k=REGISTERS)) for _ in range(count)]
    expected = bytes(map(max, *sketches, bytes(REGISTERS))) if sketches else b""
    assert _united(sketches) == (expected if any(expected) else b"")


def test_nonsense_of_a_worker_is_passed_over() -> None:
    units = Units()
    units.merge(5, {-1: 3, REGISTERS: 3, 7: 54, 8: 0})
    assert units.count(5) == 0

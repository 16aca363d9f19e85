"""Who is picked: the table of the module, chance, and rendezvous."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from gateway.upstream.balance import is_panic, pick, usable
from gateway.upstream.health import Health

NOW = 100.0


@dataclass(eq=False)
class Fake:
    key: bytes
    active: int = 0
    health: Health = field(default_factory=Health)
    is_reached: bool = True


def fakes(up: int, down: int = 0) -> list[Fake]:
    made = [Fake(b"http://10.0.0.%d" % number) for number in range(up + down)]
    for one in made[up:]:
        one.health.ejected_until = NOW + 1
    return made


def chance(seed: int = 7) -> Callable[[], float]:
    return random.Random(seed).random


def picked(endpoints: list[Fake], *, panic_allowed: bool, unit: bytes | None = None) -> set[int]:
    """The numbers of those that come up in many draws."""
    draw, found = chance(), set()
    for number in range(400):
        sticky = None if unit is None else unit + b"%d" % number
        one = pick(endpoints, NOW, draw, sticky, (), panic_allowed)
        if one is not None:
            found.add(endpoints.index(one))
    return found


@pytest.mark.parametrize("unit", [None, b"user"], ids=["by chance", "by rendezvous"])
@pytest.mark.parametrize(
    ("up", "down", "panic_allowed", "usable"),
    [
        (3, 0, True, 3),
        (3, 0, False, 3),
        (2, 2, True, 2),
        (2, 2, False, 2),
        (1, 1, True, 1),
        (1, 2, True, 3),
        (1, 2, False, 1),
        (0, 1, True, 1),
        (0, 1, False, 0),
        (0, 3, True, 3),
        (0, 3, False, 0),
        (0, 0, True, 0),
    ],
)
def test_L10_who_may_be_picked_is_as_the_table_says(
    up: int, down: int, panic_allowed: bool, usable: int, unit: bytes | None
) -> None:
    found = picked(fakes(up, down), panic_allowed=panic_allowed, unit=unit)
    assert found == set(range(usable))


@pytest.mark.parametrize(
    ("up", "total", "expected"), [(0, 0, False), (0, 1, True), (1, 2, False), (1, 3, True)]
)
def test_fewer_than_half_up_is_panic(up: int, total: int, expected: bool) -> None:
    assert is_panic(up, total) is expected


def test_the_less_busy_of_two_is_picked() -> None:
    calm, busy = fakes(2)
    busy.active = 1
    draw = chance()
    assert all(pick([calm, busy], NOW, draw) is calm for _ in range(50))
    assert all(pick([busy, calm], NOW, draw) is calm for _ in range(50))


def test_equally_busy_ones_are_picked_equally_often() -> None:
    endpoints, draw = fakes(5), chance()
    found = Counter(pick(endpoints, NOW, draw) for _ in range(10_000))
    assert all(abs(found[one] - 2000) < 200 for one in endpoints)


def test_requests_that_last_spread_evenly() -> None:
    endpoints, draw = fakes(4), chance()
    for _ in range(400):
        one = pick(endpoints, NOW, draw)
        assert one is not None
        one.active += 1
    assert all(95 <= one.active <= 105 for one in endpoints)


@pytest.mark.parametrize("shown", [0.0, 0.5, 0.9999999999999999])
def test_every_number_of_the_die_picks_one(shown: float) -> None:
    for count in range(2, 12):
        assert pick(fakes(count), NOW, lambda: shown) is not None


def test_a_unit_keeps_its_endpoint() -> None:
    endpoints, draw = fakes(5), chance()
    for number in range(100):
        unit = b"user-%d" % number
        assert len({pick(endpoints, NOW, draw, unit) for _ in range(5)}) == 1


def test_units_spread_evenly_over_endpoints() -> None:
    endpoints, draw = fakes(5), chance()
    found = Counter(pick(endpoints, NOW, draw, b"user-%d" % number) for number in range(10_000))
    assert all(abs(found[one] - 2000) < 200 for one in endpoints)


def test_only_the_units_of_an_endpoint_that_goes_down_move() -> None:
    endpoints, draw = fakes(5), chance()
    units = [b"user-%d" % number for number in range(500)]
    before = {unit: pick(endpoints, NOW, draw, unit) for unit in units}
    endpoints[2].health.ejected_until = NOW + 1
    for unit, was in before.items():
        now = pick(endpoints, NOW, draw, unit)
        assert now is was if was is not endpoints[2] else now is not was


def test_the_order_of_endpoints_does_not_matter_to_units() -> None:
    endpoints, draw = fakes(5), chance()
    for number in range(50):
        unit = b"user-%d" % number
        assert pick(endpoints, NOW, draw, unit) is pick(endpoints[::-1], NOW, draw, unit)


@pytest.mark.parametrize("unit", [None, b"user"])
def test_excluded_ones_are_never_picked(unit: bytes | None) -> None:
    endpoints, draw = fakes(3), chance()
    excluded = endpoints[:2]
    assert all(pick(endpoints, NOW, draw, unit, excluded) is endpoints[2] for _ in range(50))
    assert pick(endpoints, NOW, draw, unit, endpoints) is None


def test_excluded_ones_still_count_when_panic_is_judged() -> None:
    endpoints = fakes(1, 1)
    assert pick(endpoints, NOW, chance(), None, endpoints[:1]) is None, "half are up: no panic"


def test_in_panic_one_that_refuses_connections_does_not_draw_all_requests() -> None:
    busy, dead = fakes(up=0, down=2)
    busy.active, dead.is_reached = 50, False
    assert {pick([busy, dead], NOW, random.Random(n).random) for n in range(20)} == {busy}


def test_in_panic_all_are_tried_when_none_can_be_connected_to() -> None:
    endpoints = fakes(up=0, down=2)
    for one in endpoints:
        one.is_reached = False
    assert set(usable(endpoints, NOW, True)) == set(endpoints)

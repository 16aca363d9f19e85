"""Places, the queue for them, and whom a version's requests go to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gateway.metrics.numbers import Numbers
from gateway.upstream.endpoint import Endpoint
from gateway.upstream.group import Group
from tests.upstream.parts import Clock, draw, endpoint, spec

OTHERS = ("http://10.0.0.1", "http://10.0.0.2", "http://10.0.0.3")


class Waiting:
    """A request in the queue; `then` is what it does once it has its place."""

    def __init__(self, told: list[Waiting], then: Callable[[], None] = lambda: None) -> None:
        self.told = told
        self.then = then

    def proceed(self) -> None:
        self.told.append(self)
        self.then()


def group(clock: Clock | None = None, *urls: str, name: str = "v1", **more: Any) -> Group:
    made = Group("chat", name, Numbers(), clock or Clock(), draw)
    made.configure(spec(**more), [endpoint(url) for url in urls or OTHERS[:1]])
    return made


def eject(*endpoints: Endpoint, until: float) -> None:
    for one in endpoints:
        one.health.ejected_until = until


def test_so_many_requests_have_a_place_and_no_more() -> None:
    full = group(max_requests=2)
    assert [full.try_enter() for _ in range(3)] == [True, True, False]
    assert full.active == 2
    full.leave()
    assert full.try_enter()


def test_who_waits_gets_the_place_in_the_order_of_arrival() -> None:
    full, told = group(max_requests=1), list[Waiting]()
    full.try_enter()
    first, second, third = waiting = [Waiting(told) for _ in range(3)]
    assert all(full.enqueue(one) for one in waiting)
    full.leave()
    assert told == [first]
    assert full.active == 1
    full.forget(second)
    full.leave()
    assert told == [first, third]
    full.leave()
    assert (full.active, len(full.waiting)) == (0, 0)


def test_the_queue_is_bounded() -> None:
    full, told = group(max_requests=1, max_pending=2), list[Waiting]()
    full.try_enter()
    assert [full.enqueue(Waiting(told)) for _ in range(3)] == [True, True, False]


def test_forgetting_one_that_does_not_wait_is_nothing() -> None:
    group().forget(Waiting([]))


def test_waiting_ones_that_fail_at_once_are_served_one_after_the_other() -> None:
    full, told = group(max_requests=1, max_pending=5000), list[Waiting]()
    full.try_enter()
    for _ in range(5000):  # more than can be on the stack
        full.enqueue(Waiting(told, full.leave))
    full.leave()
    assert len(told) == 5000
    assert full.active == 0


def test_a_higher_bound_lets_waiting_ones_in_at_once() -> None:
    full, told = group(max_requests=1), list[Waiting]()
    full.try_enter()
    for _ in range(3):
        full.enqueue(Waiting(told))
    full.configure(spec(max_requests=3), full.endpoints)
    assert len(told) == 2
    assert full.active == 3


def test_a_lower_bound_waits_until_enough_have_left() -> None:
    full, told = group(max_requests=3), list[Waiting]()
    for _ in range(3):
        full.try_enter()
    full.enqueue(Waiting(told))
    full.configure(spec(max_requests=1), full.endpoints)
    full.leave()
    full.leave()
    assert told == []
    full.leave()
    assert len(told) == 1


def test_endpoints_of_a_version_know_each_other() -> None:
    one, other = group(None, *OTHERS[:2]).endpoints
    assert one.health.siblings == other.health.siblings == (one.health, other.health)


# One endpoint; the cases of several are those of `balance`.


@pytest.mark.parametrize(
    ("name", "failover", "is_used"),
    [("v1", True, True), ("v1", False, True), ("v2", False, True), ("v2", True, False)],
    ids=["stable", "stable alone", "candidate without failover", "candidate with failover"],
)
def test_L10_the_only_endpoint_is_used_although_ejected_unless_stable_can_take_over(
    clock: Clock, name: str, failover: bool, is_used: bool
) -> None:
    version = group(clock, name=name, failover=failover)
    [only] = version.endpoints
    eject(only, until=clock.now + 30)
    assert version.is_down(clock.now)
    assert version.pick(None) is (only if is_used else None)
    assert version.can_pick() is is_used
    assert version.is_panic(clock.now) is is_used
    clock.now += 30
    assert not version.is_down(clock.now)
    assert not version.is_panic(clock.now)
    assert version.pick(None) is only, "after its time it is tried again"


def test_excluded_endpoints_are_not_picked_again(clock: Clock) -> None:
    version = group(clock)
    assert version.pick(None, version.endpoints) is None
    assert not version.can_pick(version.endpoints)
    version = group(clock, *OTHERS)
    assert version.pick(None, version.endpoints[:2]) is version.endpoints[2]
    assert version.can_pick(version.endpoints[:2])


def test_a_version_is_down_only_when_all_its_endpoints_are(clock: Clock) -> None:
    version = group(clock, *OTHERS)
    eject(*version.endpoints[:2], until=clock.now + 1)
    assert not version.is_down(clock.now)
    assert version.is_panic(clock.now)
    eject(*version.endpoints, until=clock.now + 1)
    assert version.is_down(clock.now)


def test_units_keep_their_endpoint_only_where_the_route_says_so(clock: Clock) -> None:
    units = [b"user-%d" % number for number in range(50)]
    sticky = group(clock, *OTHERS, balance="rendezvous")
    assert {sticky.pick(unit) for unit in units} == set(sticky.endpoints)
    assert all(sticky.pick(unit) is sticky.pick(unit) for unit in units)
    least = group(clock, *OTHERS)
    assert {least.pick(unit) for unit in units} == {least.endpoints[0]}, "the die always says so"


def test_its_repr_tells_how_busy_it_is() -> None:
    version = group()
    version.try_enter()
    assert repr(version) == "<Group chat v1: 1 active, 0 waiting, 1 endpoints>"

"""What a change of the table does to groups and endpoints, and what it leaves alone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.config.settings import Settings, Upstream
from gateway.routing.spec import RouteSpec, VersionSpec
from gateway.routing.table import Identity, Table, compile_route
from gateway.upstream.endpoint import Endpoint
from gateway.upstream.fleet import Fleet
from tests.upstream.parts import Clock, Listener, fleet, spec, stands, table, until

ONE, TWO, THREE = "http://10.0.0.1", "http://10.0.0.2", "http://10.0.0.3"


def following(clock: Clock, *specs: RouteSpec) -> Fleet:
    made = fleet(clock)
    made.follow(table(*specs))
    return made


def urls(made: Fleet, route: str = "chat", version: str = "v1") -> list[str]:
    return [one.url for one in made.group(route, version).endpoints]


def only(made: Fleet, route: str = "chat", version: str = "v1") -> Endpoint:
    [one] = made.group(route, version).endpoints
    return one


def versions(**urls: str) -> dict[str, Any]:
    return {"versions": {name: VersionSpec(urls=(url,)) for name, url in urls.items()}}


def test_each_version_of_each_route_has_its_group(clock: Clock) -> None:
    made = following(clock, spec("chat", **versions(v1=ONE, v2=TWO)), spec("code", (ONE, THREE)))
    assert urls(made) == [ONE]
    assert urls(made, version="v2") == [TWO]
    assert urls(made, "code") == [ONE, THREE]
    assert only(made) is not made.group("code", "v1").endpoints[0], "versions share no endpoints"
    assert repr(made) == "<Fleet of 3 groups for 2 routes, 0 endpoints leaving>"
    for missing in (("chat", "v3"), ("other", "v1")):
        with pytest.raises(KeyError):
            made.group(*missing)


def test_endpoints_get_what_route_and_settings_say(clock: Clock) -> None:
    made = fleet(clock, Settings(upstream=Upstream(keepalive_seconds=9.0)))
    made.follow(table(spec(max_connections=7, max_requests=8, max_pending=9)))
    group, one = made.group("chat", "v1"), only(made)
    assert (one.keepalive_seconds, one.max_connections) == (9.0, 7)
    assert (group.max_requests, group.max_pending, group.may_panic) == (8, 9, True)
    assert group.numbers is made.numbers["chat", "v1"]


def test_a_change_of_weights_touches_no_group(clock: Clock, monkeypatch: Any) -> None:
    both = versions(v1=ONE, v2=TWO)
    made = following(clock, spec(**both, weights={"v2": 1.0}))
    group, one = made.group("chat", "v1"), only(made)
    with monkeypatch.context() as patch:
        patch.setattr(type(group), "configure", None)
        made.follow(table(spec(**both, weights={"v2": 50.0})))
    assert made.group("chat", "v1") is group
    assert only(made) is one


@pytest.mark.parametrize(
    "change",
    [
        {"versions": {"v1": VersionSpec(urls=(TWO,)), "v2": VersionSpec(urls=(TWO,))}},
        {"stable": "v2"},
        {"failover": False},
        {"balance": "rendezvous"},
        {"max_requests": 7},
        {"max_pending": 7},
        {"max_connections": 7},
        {"health_path": "/health"},
        {"health_interval": 7.0},
    ],
    ids=lambda change: " and ".join(change),
)
def test_whatever_concerns_endpoints_takes_effect(clock: Clock, change: dict[str, Any]) -> None:
    both = {**versions(v1=ONE, v2=TWO), "health_path": "/"}

    def state(made: Fleet) -> object:
        groups = [made.group("chat", name) for name in ("v1", "v2")]
        said = [
            (one.max_requests, one.max_pending, one.may_panic, one._is_sticky) for one in groups
        ]
        held = [[(each.url, each.max_connections) for each in one.endpoints] for one in groups]
        return said, held, list(made._checks._watched.values())

    made = following(clock, spec(**both))
    before = state(made)
    made.follow(table(spec(**(both | change))))
    assert state(made) == state(following(clock, spec(**(both | change))))
    assert state(made) != before


def test_routes_that_are_the_same_objects_are_not_looked_at(clock: Clock, monkeypatch: Any) -> None:
    specs = [spec(f"route-{number}") for number in range(1000)]
    routes = [compile_route(one, {}, Identity()) for one in specs]
    made = fleet(clock)
    made.follow(Table(routes))
    looked: list[str] = []
    monkeypatch.setattr(Fleet, "_update", lambda _self, spec: looked.append(spec.name))
    changed = compile_route(specs[7], {}, Identity())
    made.follow(Table([*routes[:7], changed, *routes[8:]]))
    assert looked == ["route-7"]


def test_an_endpoint_whose_url_stays_keeps_its_state(clock: Clock) -> None:
    made = following(clock, spec(urls=(ONE, TWO)))
    stays, goes = made.group("chat", "v1").endpoints
    stays.health.ejected_until = clock.now + 30
    idle = stands()
    stays.give_back(idle, clock.now)
    made.follow(table(spec(urls=(THREE, ONE), max_connections=5)))
    assert urls(made) == [THREE, ONE]
    new, same = made.group("chat", "v1").endpoints
    assert same is stays
    assert not same.health.is_up(clock.now)
    assert same.idle == [idle]
    assert same.max_connections == new.max_connections == 5
    assert same.health.siblings == (new.health, same.health)
    assert goes.is_retired


def test_a_version_that_stays_keeps_its_requests_when_its_endpoints_change(clock: Clock) -> None:
    made = following(clock, spec())
    group = made.group("chat", "v1")
    group.try_enter()
    made.follow(table(spec(urls=(TWO,), max_requests=3)))
    assert made.group("chat", "v1") is group
    assert (group.active, group.max_requests) == (1, 3)
    assert urls(made) == [TWO]


@pytest.mark.parametrize(
    "after", [(), (spec(stable="v2", **versions(v2=TWO)),)], ids=["route", "version"]
)
def test_what_leaves_the_table_keeps_no_idle_connection_and_finishes_the_rest(
    clock: Clock, after: tuple[RouteSpec, ...]
) -> None:
    made = following(clock, spec(**versions(v1=ONE, v2=TWO)))
    group, one = made.group("chat", "v1"), only(made)
    group.try_enter()
    idle, running = stands(), stands()
    one.give_back(idle, clock.now)
    made.follow(table(*after))
    assert not idle.is_open
    one.give_back(running, clock.now)
    assert not running.is_open
    group.leave()
    with pytest.raises(KeyError):
        made.group("chat", "v1")


def test_a_version_that_comes_back_goes_on_counting(clock: Clock) -> None:
    made = following(clock, spec())
    made.group("chat", "v1").numbers.retries = 5
    made.follow(table())
    made.follow(table(spec()))
    assert made.group("chat", "v1").numbers.retries == 5


def test_the_same_url_twice_is_one_endpoint(clock: Clock) -> None:
    assert urls(following(clock, spec(urls=(ONE, ONE, TWO)))) == [ONE, TWO]


@pytest.mark.parametrize(
    ("more", "may_panic"), [({}, False), ({"failover": False}, True), ({"stable": "v2"}, True)]
)
def test_whether_a_version_may_panic_follows_the_route(
    clock: Clock, more: dict[str, Any], may_panic: bool
) -> None:
    both = versions(v1=ONE, v2=TWO)
    made = following(clock, spec(**both))
    made.follow(table(spec(**(both | more))))
    assert made.group("chat", "v2").may_panic is may_panic


def test_endpoints_are_listed_with_their_state(clock: Clock) -> None:
    made = following(clock, spec(urls=(ONE, TWO)), spec("code"))
    made.group("chat", "v1").endpoints[1].health.ejected_until = clock.now + 1
    assert list(made.endpoints(clock.now)) == [
        ("chat", "v1", ONE, True),
        ("chat", "v1", TWO, False),
        ("code", "v1", ONE, True),
    ]


def test_the_sweep_closes_old_connections_everywhere(clock: Clock) -> None:
    made = following(clock, spec("chat"), spec("code"))
    kept = [stands(), stands()]
    for name, one in zip(("chat", "code"), kept, strict=True):
        only(made, name).give_back(one, clock.now)
    made.sweep(clock.now + 4.0)
    assert all(one.is_open for one in kept)
    made.sweep(clock.now + 4.1)
    assert not any(one.is_open for one in kept)


def test_the_sweep_says_which_versions_panic(clock: Clock) -> None:
    made = following(clock, spec(**versions(v1=ONE, v2=TWO)))
    for version in ("v1", "v2"):
        only(made, version=version).health.ejected_until = clock.now + 30
    made.sweep(clock.now)
    assert made.numbers["chat", "v1"].is_panicking
    assert not made.numbers["chat", "v2"].is_panicking, "stable takes over"
    made.sweep(clock.now + 30)
    assert not made.numbers["chat", "v1"].is_panicking


def test_a_version_that_leaves_does_not_panic_for_ever(clock: Clock) -> None:
    made = following(clock, spec())
    only(made).health.ejected_until = clock.now + 30
    made.sweep(clock.now)
    made.follow(table())
    assert not made.numbers["chat", "v1"].is_panicking


async def test_checks_follow_the_table(clock: Clock, listener: Listener) -> None:
    listener.answer = b"HTTP/1.1 500 No\r\n\r\n"
    made = fleet(clock)
    made.follow(table(spec(urls=(listener.url,), health_path="/first", health_interval=0.01)))
    assert not listener.heads, "it has not been started"
    made.start()
    one = only(made)
    await until(lambda: one.health.is_checked_down)
    made.follow(table(spec(urls=(listener.url,), health_path="/second", health_interval=0.01)))
    await until(lambda: any(head.startswith(b"GET /second ") for head in listener.heads))
    made.follow(table(spec(urls=(listener.url,))))
    assert not one.health.is_checked_down
    await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})
    await made.close()


async def test_checks_of_an_endpoint_that_leaves_end(clock: Clock, listener: Listener) -> None:
    made = fleet(clock)
    made.start()
    made.follow(table(spec(urls=(listener.url,), health_path="/", health_interval=0.01)))
    await until(lambda: len(listener.heads) > 0)
    made.follow(table())
    await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})
    await made.close()


async def test_closing_ends_every_connection(clock: Clock, listener: Listener) -> None:
    made = fleet(clock)
    made.follow(table(spec("chat", (listener.url,)), spec("code", (listener.url,))))
    idle = await only(made, "chat").connect(5.0)
    only(made, "chat").give_back(idle, clock.now)
    leaving = only(made, "code")
    running = await leaving.connect(5.0)
    leaving.started()
    made.follow(table(spec("chat", (listener.url,))))
    made.sweep(clock.now)
    assert [one.is_open for one in (idle, running)] == [True, True]
    await made.close()
    assert [one.is_open for one in (idle, running)] == [False, False]
    await listener.stop()


async def test_what_has_left_is_forgotten_when_it_has_finished(
    clock: Clock, listener: Listener
) -> None:
    made = fleet(clock)
    made.follow(table(spec(urls=(listener.url,))))
    one = only(made)
    running = await one.connect(5.0)
    one.started()
    made.follow(table())
    made.sweep(clock.now)
    assert repr(made) == "<Fleet of 0 groups for 0 routes, 1 endpoints leaving>"
    one.finished()
    one.give_back(running, clock.now)
    made.sweep(clock.now)
    assert repr(made) == "<Fleet of 0 groups for 0 routes, 0 endpoints leaving>"
    await listener.stop()
    await made.close()

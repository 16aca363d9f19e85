"""The pool of one endpoint, and what it counts and tells."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import ConnectFailed, ConnectTimeout, Overflow
from gateway.upstream.endpoint import Endpoint
from tests.upstream.parts import (
    Listener,
    Swallowing,
    dialer,
    endpoint,
    free_port,
    stands,
    until,
)

NOW = 1000.0


def holding(*ages: float) -> Endpoint:
    """An endpoint with idle connections, the oldest first."""
    one = endpoint()
    for age in ages:
        one.give_back(stands(), NOW - age)
    return one


def test_the_connection_used_last_is_taken_first() -> None:
    one = holding(3.0, 1.0)
    oldest, newest = one.idle
    assert one.take_idle(NOW) is newest
    assert one.take_idle(NOW) is oldest
    assert one.take_idle(NOW) is None


def test_a_connection_that_was_idle_for_too_long_is_closed_and_not_taken() -> None:
    one = holding(5.0, 4.5, 4.0)
    old, older = one.idle[:2]
    assert one.take_idle(NOW) is not None
    assert one.take_idle(NOW) is None
    assert not old.is_open
    assert not older.is_open


def test_a_connection_that_closed_while_idle_is_not_taken() -> None:
    one = holding(2.0, 1.0)
    good, closed = one.idle
    closed.connection_lost(None)
    assert one.take_idle(NOW) is good


def test_a_connection_that_is_closed_already_is_not_kept() -> None:
    one, closed = endpoint(), stands()
    closed.connection_lost(None)
    one.give_back(closed, NOW)
    assert one.idle == []


def test_the_sweep_closes_what_is_too_old_and_keeps_the_rest() -> None:
    one = holding(9.0, 2.0, 1.0)
    old, closed, good = one.idle
    closed.connection_lost(None)
    one.sweep(NOW)
    assert one.idle == [good]
    assert good.is_open
    assert not old.is_open


def test_a_retired_endpoint_keeps_nothing_and_lets_running_ones_finish() -> None:
    one = holding(1.0, 0.0)
    idle, running = one.idle[0], one.take_idle(NOW)
    assert running is not None
    one.retire()
    assert [each.is_open for each in (idle, running)] == [False, True]
    one.give_back(running, NOW)
    assert [each.is_open for each in (idle, running)] == [False, False]
    assert one.idle == []


def test_started_and_finished_count_requests() -> None:
    one = endpoint()
    one.started()
    one.started()
    one.finished()
    assert one.active == 1


def test_its_repr_tells_its_state() -> None:
    shown = repr(holding(0.0))
    assert shown.startswith("<Endpoint http://127.0.0.1:1: 0 active, 1 idle, 0 connections, ")


def test_L09_five_failures_in_a_row_eject_and_one_line_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    one = endpoint()
    for _ in range(4):
        one.failed(NOW)
    one.succeeded()
    for _ in range(7):
        one.failed(NOW)
    assert not one.health.is_up(NOW)
    assert caplog.messages == [
        "route chat, version v1: http://127.0.0.1:1 failed 5 times in a row; "
        "it gets no requests for 30 s."
    ]


async def test_a_connection_is_made_used_and_kept(listener: Listener) -> None:
    one = endpoint(listener.url, dialer())
    made = await one.connect(5.0)
    assert made.is_open
    assert one.connections == 1
    one.give_back(made, NOW)
    assert one.take_idle(NOW) is made
    made.abort()
    assert one.connections == 0
    await listener.stop()


async def test_more_connections_than_allowed_are_refused_at_once(listener: Listener) -> None:
    one = endpoint(listener.url, dialer())
    first, _ = [await one.connect(5.0) for _ in range(2)]
    with pytest.raises(Overflow) as caught:
        await one.connect(5.0)
    assert listener.url in caught.value.detail
    first.abort()
    await one.connect(5.0)  # there is room again
    one.abort()


async def test_connections_being_made_count_too() -> None:
    with Swallowing() as silent:
        one = endpoint(f"http://127.0.0.1:{silent.port}", dialer())
        making = [asyncio.create_task(one.connect(0.1)) for _ in range(2)]
        await until(lambda: one.connections == 2)
        with pytest.raises(Overflow):
            await one.connect(0.1)
        done = await asyncio.gather(*making, return_exceptions=True)
    assert [type(error) for error in done] == [ConnectTimeout, ConnectTimeout]
    assert one.connections == 0


async def test_giving_up_a_connection_gives_its_place_back() -> None:
    with Swallowing() as silent:
        one = endpoint(f"http://127.0.0.1:{silent.port}", dialer())
        making = asyncio.create_task(one.connect(5.0))
        await until(lambda: one.connections == 1)
        making.cancel()
        await asyncio.gather(making, return_exceptions=True)
    assert one.connections == 0


async def test_endpoints_that_cannot_be_reached_are_ejected_whatever_their_siblings(
    listener: Listener,
) -> None:
    dead = [endpoint(f"http://127.0.0.1:{free_port()}", dialer()) for _ in range(2)]
    alive = endpoint(listener.url, dialer())
    healths = [one.health for one in (*dead, alive)]
    for health in healths:
        health.siblings = healths
    for one in dead:
        for _ in range(5):
            with pytest.raises(ConnectFailed):
                await one.connect(5.0)
            one.failed(NOW)
    alive.is_reached = False  # it was not, some time ago
    (await alive.connect(5.0)).abort()
    for _ in range(9):
        alive.failed(NOW)
    assert [health.is_up(NOW) for health in healths] == [False, False, True]


async def test_a_connection_that_ends_while_idle_is_forgotten_by_the_sweep(
    listener: Listener,
) -> None:
    one = endpoint(listener.url, dialer())
    made = await one.connect(5.0)
    one.give_back(made, NOW)
    made.close()
    one.sweep(NOW)
    assert one.idle == []
    assert one.connections == 0


async def test_aborting_ends_connections_whatever_they_carry(listener: Listener) -> None:
    one = endpoint(listener.url, dialer())
    idle, running = [await one.connect(5.0) for _ in range(2)]
    one.give_back(idle, NOW)
    one.abort()
    assert not idle.is_open
    assert not running.is_open
    await listener.stop()

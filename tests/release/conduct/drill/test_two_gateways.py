"""Drills where two gateways share a store: what is measured is the way back of both."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from aiohttp import ClientSession

from gateway.process.runfile import Running
from tests.process.harness import Model, children_of
from tests.release.conduct.drill.test_whole import SECONDS, Api, left_of_drills
from tests.servers import Server
from tests.serving import Users, served

ROUTES = ("chat", "stops")
ASK = {"kind": "errors", "target": 40, "why": "rehearsal"}


@pytest.fixture(scope="module")
def scene(
    tmp_path_factory: pytest.TempPathFactory, valkey: Server
) -> Iterator[tuple[Server, Running, Running]]:
    """A store, the gateway that leads, and another one; two workers each."""
    valkey.flush()
    with Model("one") as one, Model("two") as two, contextlib.ExitStack() as stack:
        for route in ROUTES:
            valkey.cli(f"HSET gray:route:{route}:versions v1 {one.url} v2 {two.url}")
            valkey.cli(f"HSET gray:route:{route} stable v1 path /{route}")
            valkey.cli(f"SADD gray:routes {route}")
        gateways = [
            stack.enter_context(
                served(tmp_path_factory.mktemp(name), valkey.url, "process.hang_seconds=60")
            )
            for name in ("one", "two")
        ]
        lease = valkey.cli("GET gray:leader")
        leads = [
            any(f"-{pid}:" in lease for pid in children_of(one.pid, "gateway.process.control"))
            for one in gateways
        ]
        assert sum(leads) == 1, lease
        leader, other = gateways if leads[0] else gateways[::-1]
        yield valkey, leader, other


@contextlib.contextmanager
def stopped(running: Running) -> Iterator[None]:
    """None of its workers does anything, while its control process goes on."""
    workers = children_of(running.pid, "gateway.process.worker")
    assert len(workers) == 2
    try:
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGCONT)


async def until_step(api: Api, route: str, step: str) -> None:
    ends, found = time.monotonic() + SECONDS, await api.find(route)
    while (found.get("running") or {}).get("step") != step:
        assert time.monotonic() < ends, found
        await asyncio.sleep(0.05)
        found = await api.find(route)


@contextlib.asynccontextmanager
async def apis(leader: Running, other: Running) -> AsyncIterator[tuple[Api, Api]]:
    async with ClientSession() as session:
        yield Api(session, leader), Api(session, other)


async def test_a_drill_of_one_gateway_is_conducted_and_seen_by_the_other_and_disturbs_nobody(
    scene: Any,
) -> None:
    store, leader, other = scene
    urls = [f"{one.data_url.rstrip('/')}/chat" for one in (leader, other)]
    async with apis(leader, other) as (of_leader, of_other):
        with Users(urls[0]) as some, Users(urls[1]) as more:
            status, begun = await of_other.start("chat", **ASK)
            assert (status, begun["outcome"]) == (200, "running"), begun
            status, refused = await of_leader.start("chat")
            assert status in (409, 422)
            assert "runs on chat already" in refused["detail"]
            report = await of_other.until_reported("chat")
    times = report["times"]
    assert report["outcome"] == "passed", report
    assert 0 < times["decided"] <= times["seen"] <= times["propagated"] <= times["total"]
    async with apis(leader, other) as (of_leader, _):
        assert await of_leader.until_reported("chat") == report
    assert (some.failures, more.failures) == ([], [])
    assert min(some.answered, more.answered) > 0
    assert left_of_drills(store) == []
    assert set(store.execute("SMEMBERS", "gray:routes")) == set(ROUTES)


async def test_the_workers_of_the_other_gateway_must_hold_it_too(scene: Any) -> None:
    store, leader, other = scene
    async with apis(leader, other) as (of_leader, of_other):
        status, begun = await of_leader.start("stops", **ASK)
        assert status == 200, begun
        await until_step(of_leader, "stops", "nothing is broken yet")
        with stopped(other):
            ends = time.monotonic() + SECONDS
            while store.execute("HGET", "gray:route:stops.drill:weights", "drill") != "0":
                assert time.monotonic() < ends
                await asyncio.sleep(0.02)
            began = time.monotonic()
            while time.monotonic() - began < 1.5:
                assert (await of_other.find("stops"))["running"] is not None
                await asyncio.sleep(0.1)
        report = await of_leader.until_reported("stops")
        assert report["outcome"] == "passed", report
        assert report["times"]["propagated"] - report["times"]["seen"] > 1.0

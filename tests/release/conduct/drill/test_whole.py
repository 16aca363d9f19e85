"""Drills of a whole gateway: real processes, a real release, a stand-in that really fails."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession

from gateway.process.runfile import Running
from tests.process.harness import Model, children_of
from tests.servers import Server
from tests.serving import served

ROUTES = ("chat", "cuts", "garbles", "killed", "away")
SECONDS = 60.0


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, valkey: Server
) -> Iterator[tuple[Server, Running]]:
    """A gateway with two workers, and a few routes with a stable and a candidate."""
    valkey.flush()
    with Model("one") as one, Model("two") as two:
        for route in ROUTES:
            valkey.cli(f"HSET gray:route:{route}:versions v1 {one.url} v2 {two.url}")
            valkey.cli(f"HSET gray:route:{route} stable v1 path /{route}")
            valkey.cli(f"SADD gray:routes {route}")
        with served(tmp_path_factory.mktemp("gateway"), valkey.url) as running:
            # Nobody listens here any more.
            valkey.cli("HSET gray:route:away:versions v1 http://127.0.0.1:9")
            yield valkey, running


class Api:
    """The drills of the routes, asked of the gateway."""

    def __init__(self, session: ClientSession, running: Running) -> None:
        self._session = session
        self._url = f"{running.admin_url.rstrip('/')}/api/v1/routes"

    async def start(self, route: str, **ask: Any) -> tuple[int, dict[str, Any]]:
        async with self._session.post(f"{self._url}/{route}/drill", json=ask) as answer:
            return answer.status, await answer.json()

    async def find(self, route: str) -> dict[str, Any]:
        async with self._session.get(f"{self._url}/{route}/drills") as answer:
            found: dict[str, Any] = await answer.json()
            assert answer.status == 200, found
            return found

    async def until_reported(self, route: str) -> dict[str, Any]:
        ends, found = time.monotonic() + SECONDS, {}
        while time.monotonic() < ends:
            found = await self.find(route)
            if found["reports"] and found["running"] is None:
                report: dict[str, Any] = found["reports"][0]
                return report
            await asyncio.sleep(0.1)
        raise AssertionError(json.dumps(found, indent=1))


def left_of_drills(store: Server) -> list[str]:
    """Keys that a drill made for itself, but for the history of its route."""
    keys = store.cli("KEYS gray:route:*")
    return [key for key in keys if ".drill" in key and not key.endswith(":history")]


async def test_drills_find_each_fault_in_time_and_leave_nothing_but_a_report(gateway: Any) -> None:
    store, running = gateway
    kinds = {"chat": "errors", "cuts": "cut", "garbles": "garbled"}
    async with ClientSession() as session:
        api = Api(session, running)
        for route, kind in kinds.items():
            # Machines that run tests are slow: what is asked for is the way, not the time.
            status, begun = await api.start(route, kind=kind, target=40, why="rehearsal")
            assert (status, begun["outcome"]) == (200, "running"), begun
        status, refused = await api.start("chat")
        assert status == 422 or status == 409, refused
        assert "runs on chat already" in refused["detail"]
        reports = [await api.until_reported(route) for route in kinds]
    for report, (route, kind) in zip(reports, kinds.items(), strict=True):
        times = report["times"]
        assert (report["outcome"], report["kind"]) == ("passed", kind), report
        assert 0 < times["decided"] <= times["seen"] <= times["propagated"] <= times["total"]
        assert report["failed"] >= 3
        assert (
            "passed"
            in store.execute("XREVRANGE", f"gray:route:{route}:history", "+", "-")[0][1]["why"]
        )
        assert store.execute("HGETALL", f"gray:route:{route}:weights") == {}
        assert store.execute("EXISTS", f"gray:route:{route}:strata") == 0, "a user's request"
    assert set(store.execute("SMEMBERS", "gray:routes")) == set(ROUTES)
    assert left_of_drills(store) == []


async def test_a_drill_of_a_route_that_fails_by_itself_says_so(gateway: Any) -> None:
    store, running = gateway
    async with ClientSession() as session:
        api = Api(session, running)
        status, _ = await api.start("away")
        assert status == 200
        report = await api.until_reported("away")
    assert report["outcome"] == "failed"
    assert "stable itself fails" in report["why"]
    assert "away.drill" not in store.execute("SMEMBERS", "gray:routes")


async def test_what_a_killed_drill_left_behind_is_taken_away(gateway: Any) -> None:
    store, running = gateway
    async with ClientSession() as session:
        api = Api(session, running)
        await api.start("killed", target=40)
        ends = time.monotonic() + SECONDS
        while store.execute("HGET", "gray:route:killed.drill:release", "running") != "1":
            assert time.monotonic() < ends
            await asyncio.sleep(0.02)
        (control,) = children_of(running.pid, "gateway.process.control")
        os.kill(control, signal.SIGKILL)
        while left_of_drills(store) or store.execute("EXISTS", "gray:route:killed:drill"):
            assert time.monotonic() < ends, left_of_drills(store)
            await asyncio.sleep(0.1)
        assert "killed.drill" not in store.execute("SMEMBERS", "gray:routes")
        while True:
            try:
                found = await api.find("killed")
                break
            except ClientError:
                assert time.monotonic() < ends
                await asyncio.sleep(0.1)
        assert (found["running"], found["reports"]) == (None, [])

"""The board of drills: what it refuses, what it clears away, and what it holds for due."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.config.settings import Release, Settings
from gateway.errors import NotFoundError, RefusedError
from gateway.release.conduct.drill.board import Board, is_of_drill
from gateway.release.conduct.drill.rehearsal import Scene
from gateway.release.drill.report import Report
from gateway.state.drills import DrillStore
from tests.release.conduct.conducting import Leader, leader
from tests.servers import Server
from tests.state.following import ME, eventually, loaded

DAY = 86_400.0


@dataclass
class Side:
    """A board beside a leader with the route `chat`."""

    board: Board
    lead: Leader
    server: Server
    drills: DrillStore


@contextlib.asynccontextmanager
async def sided(server: Server, folder: Path, **settings: Any) -> AsyncIterator[Side]:
    server.flush()
    async with leader(server) as lead:
        drills = DrillStore(lead.store.link, lead.store.keys)
        scene = Scene(lead.store, lead.desk, drills, lambda: (), "gw1", lead.clock)
        release = Settings(release=Release(**settings))
        yield Side(Board(release, scene, "http://127.0.0.1:1", folder), lead, server, drills)


def report(outcome: Any, ended: float) -> bytes:
    one = Report(
        id="d1", route="chat", kind="errors", outcome=outcome, target=8.0, gateway="gw1",
        by="alice", began=ended - 10, ended=ended,
    )  # fmt: skip
    return msgspec.json.encode(one)


def plant_leftover(server: Server) -> None:
    """The route that a drill made whose gateway was killed."""
    server.cli("HSET gray:route:chat.drill:versions v1 http://10.0.0.1:1")
    server.cli("HSET gray:route:chat.drill stable v1 host 01ab.drill.invalid path /")
    server.cli("SADD gray:routes chat.drill")


@pytest.mark.parametrize(
    ("ask", "why"),
    [
        ({"kind": "fire"}, "kind"),
        ({"rate": 1e9}, "rate"),
        ({"version": "v9"}, "no version of chat"),
        ({"speed": 1}, "speed"),
    ],
    ids=str,
)
async def test_what_cannot_be_had_is_refused_and_makes_nothing(
    valkey: Server, tmp_path: Path, ask: dict[str, Any], why: str
) -> None:
    async with sided(valkey, tmp_path) as side:
        with pytest.raises(RefusedError, match=why):
            await side.board.start("chat", ask, ME)
        assert await side.drills.running("chat") == b""


async def test_a_route_that_is_not_there_has_no_drill(valkey: Server, tmp_path: Path) -> None:
    async with sided(valkey, tmp_path) as side:
        with pytest.raises(NotFoundError):
            await side.board.start("nowhere", {}, ME)


async def test_a_drill_is_refused_while_one_runs_or_its_name_is_taken(
    valkey: Server, tmp_path: Path
) -> None:
    async with sided(valkey, tmp_path) as side:
        begun = await side.board.start("chat", {"kind": "cut"}, ME)
        assert (begun["outcome"], begun["target"], begun["by"]) == ("running", 8.0, ME.by)
        found = await side.board.find("chat")
        assert found["running"]["id"] == begun["id"]
        with pytest.raises(RefusedError, match="runs on chat already"):
            await side.board.start("chat", {}, ME)
        valkey.cli("DEL gray:route:chat:drill")
        valkey.cli("HSET gray:route:chat.drill:versions v1 http://10.0.0.1:1")
        valkey.cli("HSET gray:route:chat.drill stable v1 path /mine")
        valkey.cli("SADD gray:routes chat.drill")
        await loaded(side.lead.store, "chat", "chat.drill")
        with pytest.raises(RefusedError, match=r"a route chat\.drill already"):
            await side.board.start("chat", {}, ME)


async def test_what_nobody_holds_twice_in_a_row_is_removed(valkey: Server, tmp_path: Path) -> None:
    async with sided(valkey, tmp_path) as side:
        plant_leftover(valkey)
        await loaded(side.lead.store, "chat", "chat.drill")
        store = side.lead.store
        assert is_of_drill(store.snapshot.routes["chat.drill"])
        assert not is_of_drill(store.snapshot.routes["chat"])
        with pytest.raises(RefusedError, match="left of another drill"):
            await side.board.start("chat", {}, ME)
        await side.board.look()
        assert "chat.drill" in valkey.cli("SMEMBERS gray:routes")
        await side.board.look()
        assert valkey.cli("SMEMBERS gray:routes") == {"chat"}
        await eventually(lambda: "chat.drill" not in store.snapshot.routes, "the route is gone")


async def test_what_somebody_holds_and_what_is_somebody_s_own_stays(
    valkey: Server, tmp_path: Path
) -> None:
    async with sided(valkey, tmp_path) as side:
        plant_leftover(valkey)
        valkey.cli("HSET gray:route:own.drill:versions v1 http://10.0.0.1:1")
        valkey.cli("HSET gray:route:own.drill stable v1 path /own")
        valkey.cli("SADD gray:routes own.drill")
        await loaded(side.lead.store, "chat", "chat.drill", "own.drill")
        await side.drills.begin("chat", b"{}")
        for _ in range(3):
            await side.board.look()
        assert valkey.cli("SMEMBERS gray:routes") == {"chat", "chat.drill", "own.drill"}


async def test_reports_say_what_is_overdue(valkey: Server, tmp_path: Path) -> None:
    async with sided(valkey, tmp_path, drill_days=1) as side:
        now = side.lead.clock.now
        await side.drills.end("chat", report("passed", now))
        valkey.cli("RPUSH gray:route:chat:drills nonsense")
        found = await side.board.find("chat")
        assert (found["every"], found["passed_at"], found["overdue"]) == (DAY, now, False)
        assert [one["outcome"] for one in found["reports"]] == ["passed"]
        side.lead.clock.now += DAY + 1
        assert (await side.board.find("chat"))["overdue"]


async def test_the_leader_starts_what_is_due_once(valkey: Server, tmp_path: Path) -> None:
    async with sided(valkey, tmp_path, drill_days=1) as side:
        await side.board.look()
        assert not side.board.schedules["chat"].is_due(side.lead.clock.now)
        side.lead.clock.now += 0.95 * DAY
        await side.board.look()
        running = (await side.board.find("chat"))["running"]
        assert running["by"] == "drill"


async def test_a_plan_that_wants_drills_counts_from_its_release(
    valkey: Server, tmp_path: Path
) -> None:
    async with sided(valkey, tmp_path) as side:
        await side.lead.start(drill={"every": "1h"})
        began = side.lead.clock.now
        await side.board.look()
        assert side.board.schedules["chat"].due_at() == began + 3600
        assert time.time() - began < 3600


async def test_sockets_of_a_killed_process_are_removed(valkey: Server, tmp_path: Path) -> None:
    left = tmp_path / "drill-01ab.sock"
    left.touch()
    async with sided(valkey, tmp_path) as side:
        running = asyncio.create_task(side.board.run())
        await eventually(lambda: not left.exists(), "it is removed")
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running

"""Releases while things die: the leader's control, the store, the traffic."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from gateway.process.runfile import Running
from loadtests.release_scene import Models, Story, weights_of
from tests.process.harness import children_of
from tests.servers import Server, Valkey
from tests.serving import served

RATE = 60
PLAN: dict[str, Any] = {
    "candidate": "v2",
    "mode": "automatic",
    "unit": "request",
    "harm_budget": 0.5,
    "stages": [{"weight": weight, "hold": 3, "minimum_requests": 20} for weight in (10, 30, 100)],
    "bake": {"duration": 2, "holdback": 10},
    "guardrails": {"latency": {"enabled": False}},
}
ROUTES = ("killed", "silent", "thin", "alone")

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, valkey: Server) -> Iterator[Any]:
    """Two gateways on one store."""
    with (
        contextlib.ExitStack() as stack,
        Models() as models,
    ):
        valkey.flush()
        store = valkey
        for route in ROUTES:
            for line in models.plant(route):
                store.cli(line)
        gateways = [
            stack.enter_context(served(tmp_path_factory.mktemp(name), store.url))
            for name in ("one", "two")
        ]
        yield store, models, gateways
        models.go_home()


def leader_of(store: Server, gateways: list[Running]) -> tuple[Running, int, Running]:
    """The gateway that leads, its control process, and the other gateway."""
    lease = store.cli("GET gray:leader")
    for leader, other in (gateways, gateways[::-1]):
        for control in children_of(leader.pid, "gateway.process.control"):
            if f"-{control}" in lease:
                return leader, control, other
    raise AssertionError(f"nobody of ours leads: {lease}")


def assert_went_by_the_plan(status: dict[str, Any]) -> None:
    """Each stage once, in order, and never more than it says."""
    kinds = [one["kind"] for one in status["decisions"]]
    stages = [one["stage"] for one in status["decisions"] if one["kind"] == "stage"]
    assert kinds.count("started") == 1
    assert stages == sorted(set(stages)), status["decisions"]
    most = [*(stage["weight"] for stage in PLAN["stages"][:-1]), 90]
    for one in status["decisions"]:
        limit = most[one["stage"]] if one["stage"] >= 0 else 0
        assert one["weight"] <= (100 if one["kind"] == "promoted" else limit), one
    assert weights_of(status) == sorted(weights_of(status))


async def test_the_other_gateway_goes_on_when_the_leader_is_killed(scene: Any) -> None:
    store, models, gateways = scene
    for gateway in gateways:
        models.users(gateway.data_url, "killed", RATE / 2, "")
    _, control, other = leader_of(store, gateways)
    async with ClientSession() as session:
        story = Story(session, other.admin_url, "killed")
        begun = await story.start(PLAN)
        await story.until("ramp")
        os.kill(control, signal.SIGKILL)
        status = await story.until("promoted", "rolled-back", seconds=90)
    assert (status["phase"], status["release_id"]) == ("promoted", begun["release"])
    assert_went_by_the_plan(status)
    told = store.execute("XREVRANGE", "gray:route:killed:history", "+", "-")
    by = {entry[1]["from"] for entry in told if entry[1]["via"] == "controller"}
    assert len(by) == 2, "the history tells that two gateways conducted it"
    models.go_home()


@pytest.mark.slow
async def test_a_release_goes_on_after_the_store_was_killed_and_restarted(tmp_path: Path) -> None:
    with Valkey(appendonly=True) as store, Models() as models:
        for line in models.plant("stored"):
            store.cli(line)
        with served(tmp_path, store.url) as gateway:
            models.users(gateway.data_url, "stored", RATE, "")
            async with ClientSession() as session:
                story = Story(session, gateway.admin_url, "stored")
                begun = await story.start(PLAN)
                await story.until("ramp")
                store.kill()
                await asyncio.sleep(3)
                store.start()
                status = await story.until("promoted", "rolled-back", seconds=90)
            models.go_home()
    assert (status["phase"], status["release_id"]) == ("promoted", begun["release"])
    assert_went_by_the_plan(status)
    assert set(models.answers["stored"]) == {200}, "no user noticed"


async def test_without_the_numbers_of_both_versions_nothing_goes_on(scene: Any) -> None:
    """No request at all, a few of them, and those of one version only: never a silent pass."""
    store, models, gateways = scene
    url = gateways[0].data_url
    models.users(url, "thin", 0.5, "")
    models.users(url, "alone", RATE, "")
    # A rule keeps all users on stable, whatever the weight says.
    rule = '{"when": {"path": "/alone"}, "version": "v1"}'
    store.execute("RPUSH", "gray:route:alone:rules", rule)
    async with ClientSession() as session:
        stories = {
            route: Story(session, gateways[0].admin_url, route)
            for route in ("silent", "thin", "alone")
        }
        for story in stories.values():
            await story.start(PLAN)
        for story in stories.values():
            await story.until("ramp")
        await asyncio.sleep(7)  # twice the time of a stage
        for route, story in stories.items():
            status = (await story.look())["status"]
            assert (status["phase"], status["stage"]) in (("ramp", 0), ("hold", 0)), route
            assert status["waiting_for"], route
            assert store.cli(f"HGET gray:route:{route}:weights v2") == "10"
    models.go_home()

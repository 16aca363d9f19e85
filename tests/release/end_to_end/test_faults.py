"""Whole releases side by side, each with another fault: real processes, store and users."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import ClientSession
from prometheus_client.parser import text_string_to_metric_families as parse

from gateway.process.runfile import Running
from loadtests.release_scene import Fault, Models, Story, weights_of
from tests.servers import Server
from tests.serving import served

RATE = 60  # requests per second and route
# Proofs that a few hundred requests can give; the numbers of real plans take minutes.
PLAN: dict[str, Any] = {
    "candidate": "v2",
    "mode": "automatic",
    "unit": "request",
    "harm_budget": 0.5,
    "stages": [
        {"weight": 30, "hold": 2, "minimum_requests": 20},
        {"weight": 100, "hold": 2, "minimum_requests": 20},
    ],
    "bake": {"duration": 2, "holdback": 10},
    "guardrails": {"latency": {"enabled": False}},
}
# The first stage is never left: what is looked for needs its time.
LONG: dict[str, Any] = {
    **PLAN,
    "stages": [
        {"weight": 30, "hold": 2, "minimum_requests": 10**9},
        {"weight": 100, "hold": 2},
    ],
}
STREAMED = "streamed"
FAULTS: dict[str, Fault] = {
    "crashed": "all", "some": "some", "hung": "hangs", STREAMED: "stalls",
    "asks": "all", "advises": "all",
}  # fmt: skip
Told = dict[str, dict[str, Any] | BaseException]
METRICS = "/metrics"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, valkey: Server) -> Iterator[Told]:
    """How the releases of all routes went: they run at the same time."""
    valkey.flush()
    with Models() as models:
        for route in ("good", *FAULTS):
            for line in models.plant(route):
                valkey.cli(line)
        with served(
            tmp_path_factory.mktemp("gateway"), valkey.url, "redis.timeout_seconds=5"
        ) as running:
            for route in ("good", *FAULTS):
                models.users(running.data_url, route, RATE, "/stream" if route == STREAMED else "")
            yield asyncio.run(_all(valkey, models, running))
            models.go_home()


async def _all(store: Server, models: Models, running: Running) -> Told:
    async with ClientSession() as session:

        def story(route: str) -> Story:
            return Story(session, running.admin_url, route)

        stories = {
            "good": _good(story("good")),
            **{
                route: _stopped(story(route), models, route)
                for route in ("crashed", "some", "hung", STREAMED)
            },
            "asks": _asks(story("asks"), models),
            "advises": _advises(story("advises"), models, store),
        }
        ends = await asyncio.gather(*stories.values(), return_exceptions=True)
        async with session.get(f"{running.admin_url.rstrip('/')}/metrics") as answer:
            scraped = {"text": await answer.text()}
    return {**dict(zip(stories, ends, strict=True)), METRICS: scraped}


async def _good(story: Story) -> dict[str, Any]:
    await story.start(PLAN)
    return await story.until("promoted", "rolled-back")


async def _stopped(story: Story, models: Models, route: str) -> dict[str, Any]:
    await story.start(LONG)
    await story.until("ramp")
    models.faults[route] = FAULTS[route]
    return await story.until("rolled-back", seconds=80)


async def _asks(story: Story, models: Models) -> dict[str, Any]:
    stages = [{"weight": 20, "hold": 2, "minimum_requests": 20}, *LONG["stages"]]
    await story.start({**LONG, "mode": "semi-automatic", "stages": stages})
    asked = await story.until(proposal="promote")
    await story.say("approve", "approvals")
    await story.until("ramp")
    models.faults["asks"] = FAULTS["asks"]
    await story.until("quarantine")
    stopped = await story.until(proposal="rollback", seconds=80)
    await story.say("rollback")
    ended = await story.until("rolled-back")
    return {"asked": asked, "stopped": stopped, "ended": ended}


async def _advises(story: Story, models: Models, store: Server) -> dict[str, Any]:
    await story.start({**LONG, "mode": "manual"})
    await story.until(proposal="promote")
    before = store.cli("HGET gray:route:advises:weights v2")
    await story.say("approve", "approvals")
    await story.until("ramp")
    models.faults["advises"] = FAULTS["advises"]
    advised = await story.until(proposal="rollback")
    await asyncio.sleep(2)  # for it to do what it must not
    after = store.cli("HGET gray:route:advises:weights v2")
    await story.say("approve", "approvals")
    ended = await story.until("rolled-back")
    return {"before": before, "advised": advised, "after": after, "ended": ended}


def _story(told: Told, route: str) -> dict[str, Any]:
    found = told[route]
    if isinstance(found, BaseException):
        raise found
    return found


pytestmark = pytest.mark.timeout(180)


def test_a_good_candidate_goes_through_all_stages_by_itself(told: Told) -> None:
    status = _story(told, "good")
    assert status["phase"] == "promoted", status["decisions"][-1]
    assert weights_of(status) == sorted(weights_of(status))
    assert max(weights_of(status)) <= 100
    assert {decision["by"] for decision in status["decisions"][1:]} <= {"", "anonymous"}


@pytest.mark.parametrize("route", ["crashed", "some", "hung", STREAMED])
def test_a_candidate_that_fails_is_rolled_back_and_the_cause_is_named(
    told: Told, route: str
) -> None:
    """All of it, one in fifty, no answer at all, streams that stall: all of them are failures."""
    status = _story(told, route)
    assert status["stopped_by"] == ["errors"]
    assert (status["weight_wanted"], status["latched"]) == (0, True)
    alarms = [one for one in status["decisions"] if one["kind"] == "alarm"]
    assert "errors" in alarms[0]["text"]
    assert alarms[0]["numbers"]["errors.candidate_bad"] >= 3


def test_a_semi_automatic_release_asks_and_obeys(told: Told) -> None:
    story = _story(told, "asks")
    assert story["asked"]["phase"] == "awaiting-approval"
    assert (story["stopped"]["phase"], story["stopped"]["weight_wanted"]) == ("quarantine", 0)
    assert story["ended"]["latched"]


def test_a_manual_release_advises_and_nothing_else(told: Told) -> None:
    story = _story(told, "advises")
    assert (story["before"], story["after"]) in ((None, "30"), ("0", "30"))
    assert story["advised"]["proposal"]["verb"] == "rollback"
    assert "errors" in story["advised"]["proposal"]["text"]
    assert story["ended"]["weight_wanted"] == 0


def test_metrics_tell_how_all_of_them_ended_and_why(told: Told) -> None:
    families = {family.name: family for family in parse(_story(told, METRICS)["text"])}

    def values(name: str, *labels: str) -> dict[tuple[str, ...], float]:
        samples = families[f"graygate_release_{name}"].samples
        return {tuple(s.labels[label] for label in labels): s.value for s in samples if s.value}

    fallen = {*FAULTS}
    phases = values("phase", "route", "phase")
    assert phases == {("good", "promoted"): 1, **{(one, "rolled-back"): 1 for one in fallen}}
    assert {route for (route,) in values("latched", "route")} == fallen
    assert values("rollbacks", "route", "cause") == {(route, "errors"): 1 for route in fallen}
    stages = {
        kind: n for (r, kind), n in values("decisions", "route", "kind").items() if r == "good"
    }
    assert (stages["started"], stages["stage"], stages["promoted"]) == (1, 1, 1)
    assert not values("waiting_seconds", "route")
    assert not values("problem", "route")
    assert not families["graygate_release_evidence"].samples  # all of them are over

"""Releases over the API: who may say what, and what is told."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from tests.admin.running import Running, plant, redis_settings, revision, running
from tests.admin.table import PLAN
from tests.release.conduct.conducting import Leader, WallClock
from tests.servers import Server
from tests.state.following import eventually, leading

PATH = "/api/v1/routes/chat/release"


async def start(side: Running, **plan: object) -> None:
    answer = await side.ask("POST", PATH, {"plan": {**PLAN, **plan}, "why": "try it"})
    assert answer.status == 200, answer


async def conduct(side: Running) -> None:
    """The tick of this gateway, which leads."""
    await leading(side.store)
    await Leader(side.store, WallClock()).controller.tick()


async def say(side: Running, verb: str, kind: str = "commands") -> Mapping[str, object]:
    """What is told after the tick that hears it."""
    answer = await side.ask("POST", f"{PATH}/{kind}", {"verb": verb, "why": "because"})
    assert answer.status == 200, answer
    await conduct(side)
    told: Mapping[str, object] = await side.get(PATH)
    return told


async def test_before_the_first_release_there_is_none(side: Running) -> None:
    nothing = await side.get(PATH)
    assert (nothing["release"], nothing["running"], nothing["status"]) == (None, False, None)
    assert (await side.get(f"{PATH}/watch?seconds=50"))["release"] is None
    assert await side.get("/api/v1/routes/chat/releases") == []
    for kind, verb in (("commands", "pause"), ("approvals", "approve")):
        answer = await side.ask("POST", f"{PATH}/{kind}", {"verb": verb})
        assert (answer.status, answer.json["code"]) == (404, "not_found")
    assert (await side.ask("GET", f"{PATH}/report")).status == 404


async def test_a_release_from_start_to_end(side: Running) -> None:
    await start(side)
    begun = await side.get(PATH)
    assert begun["running"]
    assert begun["status"]["plan"]["stages"][0]["weight"] == 20
    newest = (await side.get("/api/v1/routes/chat/history"))[0]
    assert newest["why"].endswith("begins: try it")
    paused = await say(side, "pause")
    assert paused["status"]["phase"] == "paused"  # type: ignore[index]
    assert "by admin (because)" in str(paused["status"])
    promoted = await say(side, "resume")
    promoted = await say(side, "promote", "approvals")
    assert promoted["status"]["phase"] == "ramp"  # type: ignore[index]
    aborted = await say(side, "abort")
    assert not aborted["running"]
    (kept,) = await side.get("/api/v1/routes/chat/releases")
    assert kept["status"]["phase"] == "aborted"
    report = await side.get(f"{PATH}/report?format=json")
    assert report["outcome"].startswith("The release was aborted")
    page = await side.ask("GET", f"{PATH}/report?format=html")
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")


async def test_a_route_that_is_refused_is_said_with_its_release(store: Server) -> None:
    plant(store)
    async with running(redis_settings(store)) as side:
        await revision(side)
        assert (await side.get(PATH))["refused"] == ""
        await start(side)
        assert (await side.get(PATH))["refused"] == ""
        store.cli("HSET gray:route:chat:weights v2 abc v3 -1")
        store.cli("HSET gray:route:chat path nothing")
        await eventually(lambda: len(side.store.snapshot.refused) > 1, "it is refused")
        told = (await side.get(PATH))["refused"]
        assert told.startswith("The store's chat is refused, so its last good form stays in force")
        assert f"(and {len(side.store.snapshot.refused) - 1} more, see: graygate get chat)" in told


async def test_a_watcher_hears_of_the_next_write_and_not_before(side: Running) -> None:
    await start(side)
    step = (await side.get(PATH))["step"]
    watching = asyncio.create_task(side.get(f"{PATH}/watch?after={step}&seconds=50"))
    told = await say(side, "pause")
    assert (await watching)["status"]["phase"] == "paused"
    late = await side.get(f"{PATH}/watch?after={told['step']}&seconds=1")
    assert late["step"] == told["step"]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"plan": {"candidate": "v2"}}, 422, "stages: is missing"),
        ({"plan": {"candidate": "v2", "preset": "canray"}}, 422, "preset"),
        ({"plan": {**PLAN, "candidate": "v1"}}, 422, "stable version of chat already"),
        ({"plan": {**PLAN, "route": "other", "gaol": 1}}, 422, "gaol"),
        ({"plan": []}, 400, "Expected `object`"),
        ({}, 400, "missing required field `plan`"),
    ],
)
async def test_a_plan_that_will_not_do_is_refused_in_words(
    side: Running, body: object, status: int, said: str
) -> None:
    for path in (PATH, f"{PATH}/plan"):
        if path.endswith("plan") and "already" in said:
            continue  # asked of the store, when it is started
        answer = await side.ask("POST", path, body)
        assert answer.status == status, answer
        assert said in answer.json["detail"]
    assert (await side.get(PATH))["release"] is None


@pytest.mark.parametrize(
    ("kind", "verb"), [("commands", "promote"), ("approvals", "pause"), ("commands", "fly")]
)
async def test_each_word_has_its_place(side: Running, kind: str, verb: str) -> None:
    answer = await side.ask("POST", f"{PATH}/{kind}", {"verb": verb})
    assert (answer.status, answer.json["code"]) == (400, "bad_body")


@pytest.mark.parametrize(
    "query", ["watch?after=x", "watch?after=-1", "watch?seconds=51", "report?format=pdf"]
)
async def test_a_question_that_makes_no_sense_is_told_so(side: Running, query: str) -> None:
    await start(side)
    assert (await side.ask("GET", f"{PATH}/{query}")).status == 400


async def test_a_plan_is_told_in_words_and_nothing_is_started(side: Running) -> None:
    answer = await side.ask("POST", f"{PATH}/plan", {"plan": PLAN})
    assert "The route has no traffic" in answer.json["words"]
    assert (await side.get(PATH))["release"] is None


async def test_a_second_release_is_refused_while_one_runs(side: Running) -> None:
    await start(side)
    answer = await side.ask("POST", PATH, {"plan": PLAN})
    assert (answer.status, answer.json["code"]) == (422, "refused")
    assert "end it first with: graygate release abort chat" in answer.json["detail"]


async def test_a_weight_that_is_set_while_a_release_runs_pauses_it(store: Server) -> None:
    plant(store)
    async with running(redis_settings(store)) as side:
        await revision(side)
        await start(side)
        await say(side, "promote", "approvals")
        path = "/api/v1/routes/chat/weights"
        moved = await side.ask("PUT", path, {"weights": {"v2": 77}})
        assert moved.status == 200, moved
        await conduct(side)
        assert (await side.get(PATH))["status"]["phase"] == "paused"
        assert store.cli("HGET gray:route:chat:weights v2") == "77"

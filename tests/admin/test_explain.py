from __future__ import annotations

import time
from urllib.parse import quote

import pytest

from gateway.routing.override import sign_override
from tests.admin.running import Running, plant, redis_settings, revision, running, until
from tests.servers import Server

EXPLAIN = "/api/v1/routes/chat/explain"
PREVIEW = "/api/v1/routes/chat/preview"


async def test_a_unit_is_told_its_version_and_why(side: Running, store: Server) -> None:
    store.cli("SADD gray:route:chat:whitelist:v2 alice")
    await until(lambda: len(side.store.snapshot.lists["route/chat/whitelist/v2"]) == 1, "read")
    told = await side.get(f"{EXPLAIN}?unit=alice")
    assert (told["version"], told["reason"], told["unit"]) == ("v2", "whitelist", "alice")
    assert told["steps"][-1] == {
        "reason": "whitelist",
        "hit": True,
        "text": "The unit is on the whitelist of v2.",
    }
    assert told["intervals"] == {"v2": [[0.0, 10.0]]}
    assert 0 <= told["percent"] <= 100


async def test_a_request_is_told_where_its_unit_came_from(side: Running, store: Server) -> None:
    store.execute(
        "RPUSH", "gray:route:chat:rules",
        '{"when": {"header": {"x-plan": "gold"}, "path": "/v1/chat", "ip": "10.0.0.0/8"}, '
        '"version": "v3"}',
    )  # fmt: skip
    await until(lambda: bool(side.store.snapshot.routes["chat"].spec.rules), "the rule is read")
    query = "header.X-User-Id=alice&header.x-plan=gold&path=/v1/%2563hat&ip=10.1.2.3&method=post"
    told = await side.get(f"{EXPLAIN}?{query}")
    assert (told["version"], told["reason"], told["rule"]) == ("v3", "rule", "rule 0")
    assert (told["unit"], told["source"]) == ("alice", "header:x-user-id")


async def test_a_header_that_comes_twice_counts_for_nothing(side: Running) -> None:
    told = await side.get(f"{EXPLAIN}?header.x-user-id=alice&header.X-User-Id=bob")
    assert told["unit"] is None


async def test_an_override_is_verified_as_in_the_gateway(store: Server) -> None:
    plant(store)
    async with running(redis_settings(store), override_key=b"k") as side:
        await revision(side)
        value = quote(sign_override(b"k", "chat", "v3", int(time.time()) + 60))
        told = await side.get(f"{EXPLAIN}?header.x-graygate-override={value}")
        assert (told["version"], told["reason"]) == ("v3", "override")
        forged = await side.get(f"{EXPLAIN}?header.x-graygate-override={value}0")
        assert forged["reason"] != "override"


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("unit=", "unit is empty, and an empty id is never a unit."),
        ("path=x", "path must begin with / and hold neither blanks nor '?' nor '#'."),
        ("path=/%3Fa", "path must begin with / and hold neither blanks nor '?' nor '#'."),
        ("path=/../..", "path must begin with / and hold neither blanks nor '?' nor '#'."),
    ],
)
async def test_what_cannot_be_explained_is_told(side: Running, query: str, told: str) -> None:
    answer = await side.ask("GET", f"{EXPLAIN}?{query}")
    assert (answer.status, answer.json["detail"]) == (400, told)


async def test_a_preview_counts_who_would_move_and_writes_nothing(side: Running) -> None:
    answer = await side.ask("POST", PREVIEW, {"weights": {"v2": 30, "v3": 20}, "sample": 2000})
    told = answer.json
    assert told["units"] == 2000 == sum(told["before"].values()) == sum(told["after"].values())
    moved = {(move["from"], move["to"]): move["units"] for move in told["moves"]}
    assert set(moved) == {("v1", "v2"), ("v1", "v3")}
    assert moved["v1", "v2"] == told["after"]["v2"] - told["before"]["v2"]
    assert (await side.get("/api/v1/routes/chat"))["weights"] == {"v2": 10}


async def test_a_preview_looks_at_the_units_that_are_given(side: Running, store: Server) -> None:
    store.cli("SADD gray:route:chat:blacklist bob")
    await until(lambda: len(side.store.snapshot.lists["route/chat/blacklist"]) == 1, "read")
    content = {"weights": {"v2": 100}, "units": ["bob", "carol"]}
    told = (await side.ask("POST", PREVIEW, content)).json
    assert told["after"] == {"v1": 1, "v2": 1}


@pytest.mark.parametrize(
    ("content", "status", "told"),
    [
        ({"weights": {"v9": 1}}, 422, "'v9' is no version of route chat."),
        ({"weights": {"v2": 60, "v3": 60}}, 422, "The weights add up to 120 percent"),
        ({"weights": {"v2": -1}}, 422, "-1"),
        ({"weights": {"v1": 1}}, 422, "v1 is stable and takes the rest, which is 90, not 1"),
        ({"weights": {}, "sample": 0}, 400, "sample takes a number from 1 to 100000."),
        ({"weights": {}, "sample": 10**6}, 400, "sample takes a number from 1 to 100000."),
        ({"weights": {}, "units": ["u"] * 100_001}, 400, "At most 100000 units"),
    ],
)
async def test_a_preview_of_the_impossible_is_refused(
    side: Running, content: dict[str, object], status: int, told: str
) -> None:
    answer = await side.ask("POST", PREVIEW, content)
    assert answer.status == status, answer
    assert told in answer.json["detail"]

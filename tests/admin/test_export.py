from __future__ import annotations

import json
from typing import Any

import pytest

from tests.admin.running import Running, plant, redis_settings, revision, running, until
from tests.servers import Server

PUT = "/api/v1/routes/chat/weights"
HISTORY = "gray:route:chat:history"


async def write(side: Running, *weights: int) -> None:
    for weight in weights:
        answer = await side.ask("PUT", PUT, {"weights": {"v2": weight}, "why": f"to {weight}"})
        assert answer.status == 200


async def problems(side: Running, route: str = "chat") -> list[str]:
    found: list[Any] = await side.get(f"/api/v1/audit/verify?route={route}")
    assert [one["route"] for one in found] == [route, None]
    return [*found[0]["problems"], *found[1]["problems"]]


async def test_A07_every_revision_and_every_refusal_is_a_line(side: Running, store: Server) -> None:
    await write(side, 20)
    lists = {"add": ["alice", "bob"], "why": "testers"}
    await side.ask("POST", "/api/v1/routes/chat/whitelist/v2", lists)
    await side.ask("PUT", PUT, {"weights": {"v2": 200}})
    await until(lambda: store.cli("XLEN gray:audit") == 1, "the refusal is recorded")
    answer = await side.ask("GET", "/api/v1/audit")
    first, second, third, refused = [json.loads(line) for line in answer.body.splitlines()]
    assert (first["via"], first["prev"], first["state"]["weights"]) == ("redis", "", {"v2": "10"})
    assert (second["route"], second["revision"], second["why"]) == ("chat", 2, "to 20")
    assert third["lists"]["route/chat/whitelist/v2"]["added"] == ["alice", "bob"]
    assert third["prev"] == second["chain"] != ""
    assert (refused["audit"], refused["code"], refused["status"]) == ("1", "refused", "422")


async def test_an_export_of_one_route_that_never_was_is_the_audit_only(side: Running) -> None:
    assert (await side.ask("GET", "/api/v1/audit?route=ghost")).body == b""
    assert (await side.ask("GET", "/api/v1/audit?route=a%20b")).status == 404


async def test_what_we_wrote_and_what_was_typed_by_hand_is_one_chain(
    side: Running, store: Server
) -> None:
    await write(side, 20)
    store.cli("HSET gray:route:chat:weights v2 30")
    store.cli("SADD gray:route:chat:whitelist:v2 alice")
    await until(lambda: side.store.snapshot.routes["chat"].revision >= 3, "it is recorded")
    await side.ask("POST", "/api/v1/routes/chat/whitelist/v2", {"add": ["bob"]})
    assert await problems(side) == []
    [found, _] = await side.get("/api/v1/audit/verify")
    assert found["entries"] == found["last"] >= 4
    assert found["unchained"] == 0
    [(_, newest)] = store.cli(f"XREVRANGE {HISTORY} + - COUNT 1")
    assert found["chain"] == newest["chain"]


@pytest.mark.parametrize(
    ("gone", "told"),
    [
        ("2-1", ["entries between 1 and 3 are missing",
                 "entry 3 does not follow the one before it"]),
        ("1-1", ["what came before 2 was removed, and not by trimming"]),
        ("4-1", ["what came after 3 was removed, up to 4"]),
    ],
)  # fmt: skip
async def test_a_removed_entry_is_found(
    side: Running, store: Server, gone: str, told: list[str]
) -> None:
    await write(side, 20, 30, 40)
    store.execute("XDEL", HISTORY, gone)
    assert await problems(side) == told


async def test_an_altered_entry_is_found(side: Running, store: Server) -> None:
    await write(side, 20, 30)
    lists = {"add": ["alice"]}
    await side.ask("POST", "/api/v1/routes/chat/whitelist/v2", lists)
    rows = store.cli(f"XRANGE {HISTORY} - +")
    assert await problems(side) == []
    for number, (changed, value) in enumerate(
        [("why", "nothing"), ("by", "eve"), ("at", "1"), ("route/chat/whitelist/v2", "+3:eve")]
    ):
        store.cli(f"DEL {HISTORY}")
        for entry_id, pairs in rows:
            mine = {**pairs, changed: value} if changed in pairs else pairs
            store.execute("XADD", HISTORY, entry_id, *(w for pair in mine.items() for w in pair))
        found = await problems(side)
        assert found, changed
        assert all(one.endswith("was altered") for one in found), (number, found)


async def test_what_is_not_ours_is_found(side: Running, store: Server) -> None:
    store.execute("XADD", HISTORY, "1-5", "hello", "world")
    assert await problems(side) == ["entry 1-5 was not written by Graygate"]


async def test_an_audit_that_was_tampered_with_is_found(side: Running, store: Server) -> None:
    for _ in range(3):
        await side.ask("PUT", PUT, {"weights": {"v2": 200}})
    await until(lambda: store.cli("XLEN gray:audit") == 3, "the refusals are recorded")
    assert await problems(side) == []
    store.cli("XDEL gray:audit 2-1")
    assert await problems(side) == [
        "entries between 1 and 3 are missing",
        "entry 3 does not follow the one before it",
    ]


async def test_a_history_from_before_the_hashes_is_told_as_such(store: Server) -> None:
    plant(store)
    async with running(redis_settings(store)) as side:
        await revision(side)
        [(_, pairs)] = store.cli(f"XRANGE {HISTORY} - +")
        old = [w for pair in pairs.items() if pair[0] not in ("prev", "chain") for w in pair]
        store.cli(f"DEL {HISTORY}")
        store.execute("XADD", HISTORY, "1-1", *old)
        await write(side, 20)
        assert await problems(side) == []
        [found, _] = await side.get("/api/v1/audit/verify?route=chat")
        assert (found["entries"], found["unchained"]) == (2, 1)


async def test_segments_are_exported_and_verified_too(side: Running, store: Server) -> None:
    for unit in ("alice", "bob"):
        await side.ask("POST", "/api/v1/segments/staff", {"add": [unit], "why": unit})
    answer = await side.ask("GET", "/api/v1/audit")
    *_, first, second = [json.loads(line) for line in answer.body.splitlines()]
    assert [(line["segment"], line["revision"], line["why"]) for line in (first, second)] == [
        ("staff", 1, "alice"), ("staff", 2, "bob"),
    ]  # fmt: skip
    assert second["prev"] == first["chain"] != ""
    _, found, _ = await side.get("/api/v1/audit/verify")
    assert (found["segment"], found["entries"], found["problems"]) == ("staff", 2, [])
    store.cli("XDEL gray:segment:staff:history 1-0 1-1")
    _, found, _ = await side.get("/api/v1/audit/verify")
    assert found["problems"] == ["what came before 2 was removed, and not by trimming"]

from __future__ import annotations

import pytest

from gateway.state import segments
from tests.admin.running import Running, plant, redis_settings, revision, running, until
from tests.servers import Server

STAFF = "/api/v1/segments/staff"
RULE = '{"when": {"segment": "staff"}, "version": "v2"}'


async def with_rule(side: Running, store: Server) -> None:
    store.execute("RPUSH", "gray:route:chat:rules", RULE)
    await until(lambda: "segment/staff" in side.store.snapshot.lists, "the segment is followed")


async def test_a_segment_has_revisions_of_its_own(side: Running, store: Server) -> None:
    made = await side.ask("POST", STAFF, {"add": ["alice", "bob"], "why": "us"})
    assert (made.json, made.headers["ETag"]) == ({"revision": 1, "changed": True}, '"1"')
    same = await side.ask("POST", STAFF, {"add": ["bob"]}, if_match='"1"')
    assert same.json == {"revision": 1, "changed": False}
    await side.ask("POST", STAFF, {"add": ["carol"], "remove": ["bob", "zoe"]})
    told = await side.get(STAFF)
    assert told == {"count": 2, "ids": ["alice", "carol"], "used_by": [], "revision": 2}
    assert (await side.get(f"{STAFF}?unit=alice")) == {"unit": "alice", "listed": True}
    late = await side.ask("POST", STAFF, {"add": ["dave"]}, if_match='"1"')
    assert (late.status, late.json["code"]) == (409, "revision_conflict")
    back = await side.ask("POST", f"{STAFF}/revert", {"revision": 1})
    assert back.json == {"revision": 3, "changed": True}
    assert (await side.get(STAFF))["ids"] == ["alice", "bob"]
    newest, *_ = await side.get(f"{STAFF}/history")
    assert (newest["why"], newest["lists"]) == ("back to revision 1", "segment/staff +1 -1")
    assert not side.store.snapshot.warnings, "its history is part of the contract"


async def test_all_segments_are_told_with_who_asks_for_them(side: Running, store: Server) -> None:
    await with_rule(side, store)
    store.cli("SADD gray:segment:beta a b c")
    store.cli("SET gray:segment:odd x")
    told = await side.get("/api/v1/segments")
    assert told["complete"] is True
    assert told["segments"] == {
        "beta": {"count": 3, "used_by": []},
        "odd": {"count": -1, "used_by": []},
        "staff": {"count": 0, "used_by": ["chat"]},
    }
    wrong = await side.ask("POST", "/api/v1/segments/odd", {"add": ["x"]})
    assert (wrong.status, "DEL gray:segment:odd" in wrong.json["detail"]) == (422, True)


async def test_what_is_done_by_hand_to_a_segment_in_use_is_recorded(
    side: Running, store: Server
) -> None:
    await with_rule(side, store)
    await side.ask("POST", STAFF, {"add": ["alice"]})
    await until(lambda: len(side.store.snapshot.lists["segment/staff"]) == 1, "alice is in")
    store.cli("SADD gray:segment:staff bob carol")
    await side.ask_until(200, "GET", STAFF)
    await until(lambda: store.cli("XLEN gray:segment:staff:history") == 4, "it is recorded")
    newest, first = await side.get(f"{STAFF}/history")
    assert (newest["via"], newest["lists"]) == ("redis", "segment/staff +2 -0")
    assert (first["via"], first["lists"]) == ("api", "segment/staff +1 -0")
    await side.ask("POST", f"{STAFF}/revert", {"revision": 1})
    assert store.cli("SMEMBERS gray:segment:staff") in ({"alice"}, ["alice"])
    await until(lambda: len(side.store.snapshot.lists["segment/staff"]) == 1, "it is in force")
    assert [row["via"] for row in await side.get(f"{STAFF}/history")] == ["api", "redis", "api"]


async def test_what_another_gateway_did_is_told_once(store: Server) -> None:
    plant(store)
    async with running(redis_settings(store)) as one, running(redis_settings(store)) as two:
        await revision(one)
        await revision(two)
        await with_rule(one, store)
        await with_rule(two, store)
        for number in range(20):
            side = one if number % 2 else two
            assert (await side.ask("POST", STAFF, {"add": [f"u{number}"]})).status == 200
        for side in (one, two):
            lists = side.store
            await until(lambda s=lists: len(s.snapshot.lists["segment/staff"]) == 20, "all seen")  # type: ignore[misc]
        rows = await one.get(f"{STAFF}/history")
        assert [row["via"] for row in rows] == ["api"] * 20


async def test_a_large_segment_is_deleted_in_steps_and_comes_back(
    side: Running, store: Server
) -> None:
    ids = [f"user-{number}" for number in range(50_000)]
    for start in range(0, 50_000, 20_000):
        await side.ask("POST", STAFF, {"add": ids[start : start + 20_000]})
    gone = await side.ask("DELETE", f"{STAFF}?why=old")
    assert gone.json == {"revision": 6, "changed": True}
    assert [row["op"] for row in await side.get(f"{STAFF}/history?most=3")] == [
        *("delete", "change", "change")
    ]
    assert store.cli("EXISTS gray:segment:staff") == 0
    back = await side.ask("POST", f"{STAFF}/revert", {"revision": 3})
    assert back.json["revision"] == 9
    assert store.cli("SCARD gray:segment:staff") == 50_000
    nothing = await side.ask("POST", f"{STAFF}/revert", {"revision": 6})
    assert nothing.status == 200
    assert store.cli("EXISTS gray:segment:staff") == 0


async def test_looking_for_segments_ends_in_a_store_of_very_many_keys(
    side: Running, store: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "LOOKING_SECONDS", -1.0)
    pairs = [word for number in range(3000) for word in (f"other:{number}", "x")]
    store.execute("MSET", *pairs)
    assert (await side.get("/api/v1/segments"))["complete"] is False

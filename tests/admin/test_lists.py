from __future__ import annotations

import pytest

from tests.admin.running import Running, until
from tests.servers import Server

WHITELIST = "/api/v1/routes/chat/whitelist/v2"
BLACKLIST = "/api/v1/routes/chat/blacklist"


@pytest.mark.parametrize(
    ("path", "key"),
    [
        (WHITELIST, "gray:route:chat:whitelist:v2"),
        (BLACKLIST, "gray:route:chat:blacklist"),
    ],
)
async def test_ids_come_and_go_in_one_step(
    side: Running, store: Server, path: str, key: str
) -> None:
    added = await side.ask("POST", path, {"add": ["alice", "bob", "Zoë"], "why": "testers"})
    assert added.json == {"revision": 2, "changed": True}
    changed = await side.ask("POST", path, {"add": ["carol"], "remove": ["bob"]})
    assert changed.json == {"revision": 3, "changed": True}
    assert set(store.cli(f"SMEMBERS {key}")) == {"alice", "carol", "Zoë"}
    told = await side.ask("GET", path)
    assert told.json == {"count": 3, "ids": ["Zoë", "alice", "carol"]}
    newest = (await side.get("/api/v1/routes/chat/history"))[0]
    assert newest["lists"].endswith(" +1 -1")


async def test_what_is_there_already_changes_nothing(side: Running) -> None:
    await side.ask("POST", WHITELIST, {"add": ["alice"]})
    again = await side.ask("POST", WHITELIST, {"add": ["alice"], "remove": ["nobody"]})
    assert again.json == {"revision": 2, "changed": False}
    nothing = await side.ask("POST", WHITELIST, {})
    assert nothing.json == {"revision": 2, "changed": False}


async def test_an_id_that_is_both_added_and_removed_is_added(side: Running) -> None:
    await side.ask("POST", WHITELIST, {"add": ["alice"], "remove": ["alice"]})
    assert (await side.get(WHITELIST))["ids"] == ["alice"]


async def test_many_ids_are_told_in_part_and_counted_whole(side: Running) -> None:
    many = [f"user-{number}" for number in range(5000)]
    answer = await side.ask("POST", WHITELIST, {"add": many, "remove": many})
    assert answer.status == 200
    told = await side.get(f"{WHITELIST}?most=10")
    assert told["count"] == 5000
    assert len(told["ids"]) == 10
    assert set(told["ids"]) <= set(many)


async def test_one_id_can_be_asked_for_as_it_is_in_force(side: Running) -> None:
    await side.ask("POST", WHITELIST, {"add": ["alice"]})
    await until(lambda: side.store.snapshot.routes["chat"].revision == 2, "it is in force")
    assert await side.get(f"{WHITELIST}?unit=alice") == {"unit": "alice", "listed": True}
    assert await side.get(f"{WHITELIST}?unit=bob") == {"unit": "bob", "listed": False}
    assert (await side.ask("GET", f"{WHITELIST}?unit=%ff")).status == 400


@pytest.mark.parametrize("query", ["most=0", "most=100001", "most=x", "most=-1", "most=%C2%B2"])
async def test_how_many_is_a_number_that_can_be_had(side: Running, query: str) -> None:
    answer = await side.ask("GET", f"{WHITELIST}?{query}")
    assert answer.status == 400
    assert answer.json["detail"] == "most takes a number from 1 to 100000."


async def test_a_version_that_is_none_has_no_whitelist(side: Running, store: Server) -> None:
    path = "/api/v1/routes/chat/whitelist/v9"
    shown = await side.ask("GET", path)
    assert shown.status == 404
    assert shown.json["detail"] == "'v9' is no version of this route; there are: v1, v2, v3."
    added = await side.ask("POST", path, {"add": ["alice"]})
    assert (added.status, added.json["code"]) == (422, "refused")
    assert "its versions are v1, v2, v3" in added.json["detail"]
    assert store.cli("EXISTS gray:route:chat:whitelist:v9") == 0


@pytest.mark.parametrize("unit", ["", "x" * 257])
async def test_an_id_of_no_use_is_refused(side: Running, unit: str) -> None:
    answer = await side.ask("POST", WHITELIST, {"add": ["alice", unit]})
    assert (answer.status, answer.json["code"]) == (422, "refused")
    assert (await side.get(WHITELIST))["count"] == 0


async def test_a_key_of_the_wrong_type_is_the_stores_fault_and_said_so(
    side: Running, store: Server
) -> None:
    store.cli("SET gray:route:chat:whitelist:v2 oops")
    answer = await side.ask("GET", WHITELIST)
    assert (answer.status, answer.json["code"]) == (503, "store_error")
    assert "remove it with: DEL gray:route:chat:" in answer.json["detail"]
    assert "Retry-After" not in answer.headers

from __future__ import annotations

import pytest

from gateway.state.history import Delta
from gateway.state.write import Author
from tests.admin.running import Running, until
from tests.servers import Server

HISTORY = "/api/v1/routes/chat/history"


async def test_the_newest_comes_first_with_who_why_and_what(side: Running) -> None:
    await side.ask(
        "PUT", "/api/v1/routes/chat/weights", {"weights": {"v2": 20}, "why": "more"},
        x_graygate_by="alice", x_graygate_client="cli",
    )  # fmt: skip
    newest, oldest = await side.get(HISTORY)
    assert newest.pop("at_ms") >= oldest["at_ms"] > 0
    assert newest == {
        "revision": 2,
        "by": "alice",
        "via": "cli",
        "from": "127.0.0.1",
        "why": "more",
        "op": "change",
        "changes": [{"part": "weights", "field": "v2", "before": "10", "after": "20"}],
        "lists": "",
    }
    assert (oldest["by"], oldest["via"]) == ("redis", "redis")
    assert {"part": "route", "field": "stable", "before": None, "after": "v1"} in oldest["changes"]


async def test_who_says_nothing_about_itself_is_the_admin_by_the_api(side: Running) -> None:
    await side.ask("POST", "/api/v1/routes/chat/blacklist", {"add": ["bob"]})
    newest = (await side.get(HISTORY))[0]
    assert (newest["by"], newest["via"], newest["lists"]) == (
        *("admin", "api"),
        "route/chat/blacklist +1 -0",
    )


async def test_a_client_cannot_pass_for_the_store_or_the_controller(side: Running) -> None:
    await side.ask(
        "POST", "/api/v1/routes/chat/blacklist", {"add": ["bob"]},
        x_graygate_client="redis", x_graygate_by="x" * 1000,
    )  # fmt: skip
    newest = (await side.get(HISTORY))[0]
    assert (newest["via"], newest["by"]) == ("api", "x" * 128)


async def test_an_author_of_strange_bytes_is_written_as_text(side: Running) -> None:
    body = b'{"add": ["bob"]}'
    answer = await side.raw(
        b"POST /api/v1/routes/chat/blacklist HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n"
        b"X-Graygate-By: b\xffb\r\n\r\n%s" % (len(body), body)
    )
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert (await side.get(HISTORY))[0]["by"] == "b?b"


async def test_only_so_many_are_told_and_the_last_one_knows_the_one_before(side: Running) -> None:
    for weight in (20, 30):
        await side.ask("PUT", "/api/v1/routes/chat/weights", {"weights": {"v2": weight}})
    newest, second = await side.get(f"{HISTORY}?most=2")
    assert newest["revision"] == 3
    assert second["changes"] == [{"part": "weights", "field": "v2", "before": "10", "after": "20"}]


async def test_changed_rules_are_told_before_and_after(side: Running, store: Server) -> None:
    store.execute("RPUSH", "gray:route:chat:rules", '{"when": {}, "version": "v2"}')
    await until(lambda: side.store.snapshot.routes["chat"].revision == 2, "the edit is recorded")
    await side.ask("POST", "/api/v1/routes/chat/revert", {"revision": 1})
    newest, by_hand, _ = await side.get(HISTORY)
    rule = ['{"when": {}, "version": "v2"}']
    assert newest["changes"] == [{"part": "rules", "field": "", "before": rule, "after": []}]
    assert by_hand["changes"] == [{"part": "rules", "field": "", "before": [], "after": rule}]


@pytest.mark.parametrize("query", ["most=0", "most=1001", "most=ten"])
async def test_how_many_is_a_number_that_can_be_had(side: Running, query: str) -> None:
    assert (await side.ask("GET", f"{HISTORY}?{query}")).status == 400


async def test_what_nobody_saw_is_called_unknown(side: Running) -> None:
    store, name = side.store, "route/chat/whitelist/v2"
    for delta in (Delta(is_unknown=True), Delta(frozenset([b"alice"]), is_unknown=True)):
        await store.writer.record(
            await store.writer.read("chat"), Author("redis", "redis"), {name: delta}
        )
    with_some, without = (await side.get(HISTORY))[:2]
    assert without["lists"] == f"{name} unknown"
    refused = await side.ask("POST", "/api/v1/routes/chat/revert", {"revision": 1})
    assert "changed the whitelist of v2 of chat in a way that nobody saw" in refused.json["detail"]
    assert with_some["revision"] == without["revision"] + 1

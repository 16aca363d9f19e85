from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from aiohttp import web

from gateway.admin import bulk
from tests.admin.running import (
    Answer,
    Running,
    Text,
    plant,
    redis_settings,
    revision,
    running,
    until,
)
from tests.servers import HOST, Server, valkey_binary

LIST = "/api/v1/routes/chat/whitelist/v2"
IDS = f"{LIST}/ids"
KEY = "gray:route:chat:whitelist:v2"
HEAD = b"%b /api/v1/routes/chat/whitelist/v2/ids HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture(autouse=True)
def small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "IDS_PER_REVISION", 10)


def text(first: int, beyond: int) -> Text:
    return Text("".join(f"user-{number:03}\n" for number in range(first, beyond)).encode())


def told(answer: Answer) -> list[Any]:
    assert answer.status == 200, answer
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    return [msgspec.json.decode(line) for line in answer.body.splitlines()]


def members(store: Server) -> set[str]:
    with store.client() as client:
        return {str(unit) for unit in client.smembers(KEY)}


async def history(side: Running) -> list[Any]:
    found: list[Any] = await side.get("/api/v1/routes/chat/history")
    return found


async def test_a_list_comes_in_portions_and_each_has_its_revision(
    side: Running, store: Server
) -> None:
    *steps, last = told(await side.ask("POST", f"{IDS}?why=testers", text(0, 25)))
    assert steps == [{"done": 10, "revision": 2}, {"done": 20, "revision": 3}]
    assert last == {"finished": True, "done": 25, "removed": 0, "revision": 4, "changed": True}
    assert len(members(store)) == 25
    entries = await history(side)
    assert [entry["why"] for entry in entries[:3]] == [
        f"testers (import, part {number})" for number in (3, 2, 1)
    ]
    assert entries[0]["lists"] == "route/chat/whitelist/v2 +5 -0"


async def test_what_fits_into_one_portion_is_an_ordinary_change(side: Running) -> None:
    (last,) = told(await side.ask("POST", f"{IDS}?why=testers", text(0, 10)))
    assert (last["done"], last["revision"]) == (10, 2)
    assert (await history(side))[0]["why"] == "testers"
    (again,) = told(await side.ask("POST", IDS, text(0, 10)))
    assert (again["changed"], again["revision"]) == (False, 2)


async def test_a_list_is_replaced_without_taking_off_anybody_who_stays(
    side: Running, store: Server
) -> None:
    await side.ask("POST", IDS, text(0, 40))
    *_, last = told(await side.ask("PUT", IDS, text(20, 50)))
    assert (last["done"], last["removed"], last["changed"]) == (30, 20, True)
    assert members(store) == {f"user-{number:03}" for number in range(20, 50)}
    lists = [entry["lists"] for entry in await history(side)]
    assert lists[:2] == ["route/chat/whitelist/v2 +0 -10"] * 2  # after all that were added
    assert lists[2] == "route/chat/whitelist/v2 +10 -0"
    # It can be undone.
    revision = (await history(side))[2]["revision"]
    await side.ask("POST", "/api/v1/routes/chat/revert", {"revision": revision})
    assert len(members(store)) == 50


async def test_a_large_list_is_in_force_after_all_and_the_history_tells_every_step(
    side: Running, store: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.state.listed.SMALL_IDS", 20)
    monkeypatch.setattr("gateway.state.large.MAX_OVERLAY_IDS", 15)
    await side.ask("POST", IDS, text(0, 400))
    *_, last = told(await side.ask("PUT", IDS, text(200, 600)))
    assert last["removed"] == 200
    lists = side.store._lists

    def is_settled() -> bool:
        members = side.store.snapshot.lists["route/chat/whitelist/v2"]
        return len(members) == 400 and lists.is_idle

    await until(is_settled, "it is in force and compared")
    entries = await side.get("/api/v1/routes/chat/history?most=1000")
    ours = [entry for entry in entries if entry["via"] == "api"]
    sums = [re.search(r"\+(\d+) -(\d+)", entry["lists"]) for entry in ours]
    assert sum(int(found[1]) for found in sums if found) == 600
    assert sum(int(found[2]) for found in sums if found) == 200


async def test_nobody_empties_a_list_by_accident(side: Running, store: Server) -> None:
    await side.ask("POST", IDS, text(0, 25))
    for method in ("PUT", "POST"):
        answer = await side.ask(method, IDS, Text(b"\n \n"))
        assert (answer.status, answer.json["code"]) == (400, "bad_body")
    assert len(members(store)) == 25
    *_, last = told(await side.ask("PUT", f"{IDS}?empty=yes", Text(b"")))
    assert (last["done"], last["removed"]) == (0, 25)
    assert members(store) == set()


async def test_what_is_wrong_at_once_is_a_problem_and_nothing_is_written(
    side: Running, store: Server
) -> None:
    for path, content, status, code, headers in (
        (IDS, Text(b"a\n\xff\n"), 400, "bad_request", {}),
        (IDS, Text(b"a\n" + b"x" * 300), 400, "bad_request", {}),
        (IDS, b"[]", 415, "unsupported_media_type", {}),
        (IDS, text(0, 1), 415, "unsupported_media_type", {"content_encoding": "gzip"}),
        (IDS, text(0, 1), 409, "revision_conflict", {"if_match": '"7"'}),
        (IDS.replace("v2", "v9"), text(0, 1), 422, "refused", {}),
        (IDS.replace("chat", "ghost"), text(0, 1), 404, "not_found", {}),
    ):
        answer = await side.ask("POST", path, content, **headers)
        assert (answer.status, answer.json["code"]) == (status, code), (path, answer)
    assert members(store) == set()


async def test_what_is_wrong_later_is_told_in_a_line_with_what_is_in(
    side: Running, store: Server
) -> None:
    reader, writer = await asyncio.open_connection(HOST, side.port)
    writer.write(HEAD % b"POST" + b"Content-Type: text/plain\r\nContent-Length: 227\r\n\r\n")
    writer.write(text(0, 25))
    await reader.readuntil(b'"revision":3}\n')
    writer.write(b"\xff\n")
    line = json.loads((await reader.readuntil(b'"revision":3}\n')).split(b"\r\n")[-1])
    writer.close()
    assert (line["done"], line["error"]["code"]) == (20, "bad_request")
    assert "line 26 is not valid UTF-8" in line["error"]["detail"]
    assert len(members(store)) == 20
    await until(lambda: store.cli("XLEN gray:audit") == 1, "the audit tells of it")
    fields = store.cli("XRANGE gray:audit - +")[0][1]
    assert (fields["op"], fields["code"]) == ("import_broken", "bad_request")
    assert fields["why"].startswith("after 20 ids, revision 3: ")


async def test_a_connection_that_breaks_leaves_whole_portions_and_says_so(
    side: Running, store: Server
) -> None:
    await side.ask("POST", IDS, Text(b"old\n"))
    reader, writer = await asyncio.open_connection(HOST, side.port)
    writer.write(HEAD % b"PUT" + b"Content-Type: text/plain\r\nContent-Length: 9999\r\n\r\n")
    writer.write(text(0, 25))
    await writer.drain()
    await reader.readuntil(b'"revision":4}')
    writer.close()
    await until(lambda: store.cli("XLEN gray:audit") == 1, "the audit tells of it")
    assert members(store) == {f"user-{number:03}" for number in range(20)} | {"old"}
    fields = store.cli("XRANGE gray:audit - +")[0][1]
    assert fields["op"] == "import_broken"
    assert fields["why"].startswith("after 20 ids, revision 4: The body ended")
    # Sent again, it is as if nothing had happened.
    *_, last = told(await side.ask("PUT", IDS, text(0, 25)))
    assert (last["removed"], len(members(store))) == (1, 25)


async def test_a_store_that_is_away_for_a_moment_is_waited_for(
    side: Running, store: Server
) -> None:
    reader, writer = await asyncio.open_connection(HOST, side.port)
    writer.write(HEAD % b"POST" + b"Content-Type: text/plain\r\nContent-Length: 225\r\n\r\n")
    writer.write(text(0, 15))
    await reader.readuntil(b'"revision":2}')
    with store.client() as client:
        client.client_kill_filter(_type="normal", skipme=True)
    writer.write(text(15, 25))
    await reader.readuntil(b'"finished":true')
    writer.close()
    assert len(members(store)) == 25


async def test_a_store_that_stays_away_ends_it_with_a_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bulk, "PATIENCE_SECONDS", 0.1)
    with Server(valkey_binary()) as own:
        plant(own)
        async with running(redis_settings(own)) as side:
            await revision(side)
            reader, writer = await asyncio.open_connection(HOST, side.port)
            writer.write(
                HEAD % b"POST" + b"Content-Type: text/plain\r\nContent-Length: 225\r\n\r\n"
            )
            writer.write(text(0, 15))
            await reader.readuntil(b'"revision":2}')
            own.kill()
            writer.write(text(15, 25))
            line = await reader.readuntil(b'"revision":2}')
            assert b'"code":"store_unavailable"' in line
            writer.close()


async def test_one_list_is_imported_once_at_a_time(side: Running) -> None:
    reader, writer = await asyncio.open_connection(HOST, side.port)
    writer.write(HEAD % b"POST" + b"Content-Type: text/plain\r\nContent-Length: 225\r\n\r\n")
    writer.write(text(0, 15))
    await reader.readuntil(b'"revision":2}')
    answer = await side.ask("POST", IDS, text(0, 1))
    assert (answer.status, answer.json["detail"]) == (
        409, "Ids are being imported into the whitelist of v2 of chat; wait for that to end.",
    )  # fmt: skip
    other = await side.ask("POST", "/api/v1/routes/chat/blacklist/ids", text(0, 1))
    assert other.status == 200
    writer.close()
    await side.ask_until(200, "POST", IDS, text(0, 1))


async def test_an_idempotency_key_is_not_needed_and_does_no_harm(side: Running) -> None:
    for _ in range(2):
        (last,) = told(await side.ask("POST", IDS, text(0, 5), idempotency_key="once"))
        assert last["revision"] == 2


async def test_a_list_goes_out_as_it_came_in(side: Running, store: Server) -> None:
    await side.ask("POST", IDS, text(0, 25))
    answer = await side.ask("GET", IDS)
    assert answer.headers["X-Graygate-Count"] == "25"
    assert sorted(answer.body.splitlines(keepends=True)) == text(0, 25).splitlines(keepends=True)
    head = await side.ask("HEAD", IDS)
    assert (head.status, head.body, head.headers["X-Graygate-Count"]) == (200, b"", "25")
    assert (await side.ask("GET", "/api/v1/routes/chat/blacklist/ids")).body == b""
    assert (await side.ask("GET", IDS.replace("v2", "v9"))).status == 404
    store.cli(f"DEL {KEY}")
    store.cli(f"SET {KEY} x")
    assert (await side.ask("GET", IDS)).json["code"] == "store_error"


async def test_members_are_found_by_a_part_of_them(side: Running) -> None:
    await side.ask("POST", IDS, Text(text(0, 25) + b"odd*one\nodd-two\n"))
    assert await side.get(f"{LIST}?prefix=user-02") == {
        "ids": [f"user-02{digit}" for digit in range(5)],
        "next": None,
    }
    assert (await side.get(f"{LIST}?contains=d*o"))["ids"] == ["odd*one"]
    assert (await side.get(f"{LIST}?contains=nobody"))["ids"] == []
    for query in ("prefix=a&contains=b", "prefix=a&next=x", "prefix=a&most=0"):
        assert (await side.ask("GET", f"{LIST}?{query}")).status == 400


async def test_a_search_is_bounded_and_goes_on_where_it_was(
    side: Running, store: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.execute("SADD", KEY, *(f"user-{number}" for number in range(5000)))
    found: set[str] = set()
    query = ""
    for _ in range(100):
        part = await side.get(f"{LIST}?prefix=user-&most=100{query}")
        found |= set(part["ids"])
        if part["next"] is None:
            break
        query = f"&next={part['next']}"
    assert len(found) == 5000
    assert query


@pytest.mark.parametrize("unit", ["a\nb", "a\x00", " a", "a ", "\ufeffa"])
async def test_an_id_that_would_come_back_as_another_one_is_refused(
    side: Running, store: Server, unit: str
) -> None:
    refused = await side.ask("POST", LIST, {"add": [unit]})
    assert (refused.status, refused.json["code"]) == (422, "refused")
    assert "so nothing was written" in refused.json["detail"]
    assert members(store) == set()


async def test_an_export_with_an_id_of_several_lines_is_refused_and_says_how_to_mend_it(
    side: Running, store: Server
) -> None:
    store.execute("SADD", KEY, "alice", "bob\neve")
    refused = await side.ask("GET", IDS)
    assert (refused.status, refused.json["code"]) == (422, "refused")
    assert f"{KEY} holds the id 'bob\\neve', which holds a line end" in refused.json["detail"]
    assert "Take it out with SREM first." in refused.json["detail"]
    assert (await side.ask("POST", LIST, {"remove": ["bob\neve"]})).status == 200
    assert (await side.ask("GET", IDS)).body == b"alice\n"


async def test_an_odd_id_far_into_an_export_breaks_it_off(
    side: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def walk(*_: object) -> AsyncIterator[tuple[str, list[bytes]]]:
        yield "1", [b"alice"]
        yield "0", [b"bob\neve"]

    monkeypatch.setattr(bulk, "FIRST_IDS", 0)
    monkeypatch.setattr(bulk, "walk", walk)
    half = await side.raw(HEAD % b"GET" + b"\r\n")
    assert half.startswith(b"HTTP/1.1 200 OK\r\n")
    assert not half.endswith(b"0\r\n\r\n")
    assert f"An export broke off: {KEY} holds the id" in caplog.text


async def test_who_leaves_an_export_early_is_no_error(
    side: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    gone: list[ConnectionError] = []
    write = web.StreamResponse.write

    async def walk(*_: object) -> AsyncIterator[tuple[str, list[bytes]]]:
        while True:
            yield "1", [b"x" * 200] * 1000
            await asyncio.sleep(0)

    async def noted(out: web.StreamResponse, data: bytes) -> None:
        try:
            await write(out, data)
        except ConnectionError as error:
            gone.append(error)
            raise

    monkeypatch.setattr(bulk, "walk", walk)
    monkeypatch.setattr(web.StreamResponse, "write", noted)
    reader, writer = await asyncio.open_connection(HOST, side.port)
    writer.write(HEAD % b"GET" + b"\r\n")
    assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
    writer.transport.abort()
    await until(lambda: bool(gone), "the export has noticed")
    await side.get("/api/v1/routes")
    assert "An admin request failed" not in caplog.text
    assert "broke off" not in caplog.text

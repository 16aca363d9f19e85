from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.admin import events
from gateway.admin.event_log import WAITING, Event, EventLog
from gateway.metrics.numbers import Counted
from gateway.metrics.standing import Standing
from tests.admin.running import Running, plant, redis_settings, revision, running, until
from tests.servers import HOST, Server

TOKEN = "correct horse"


class Stream:
    """A listener of a test: events as (kind, data), one after the other."""

    def __init__(self, lines: AsyncIterator[bytes]) -> None:
        self._lines = lines
        self.last_id = ""
        self.comments = 0

    async def next(self) -> tuple[str, dict[str, Any]]:
        kind = ""
        async for line in self._lines:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name == "id":
                self.last_id = value
            elif name == "event":
                kind = value
            elif name == "data":
                return kind, json.loads(value)
            elif name == "":
                self.comments += bool(value)
        return "", {}

    async def until(self, *kinds: str) -> tuple[str, dict[str, Any]]:
        async with asyncio.timeout(20):
            while True:
                kind, data = await self.next()
                assert kind, f"the stream ended before {kinds}"
                if kind in kinds:
                    return kind, data


@contextlib.asynccontextmanager
async def listening(side: Running, last_id: str = "", token: str = "") -> AsyncIterator[Stream]:
    headers = {"Last-Event-ID": last_id} if last_id else {}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    async with side.session.get(side.url + "/api/v1/events", headers=headers) as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        stream = Stream(aiter(response.content))
        assert (await stream.next())[0] == "hello"
        yield stream


async def looked(side: Running) -> None:
    """Returns when the gateway has looked around once, so that what follows is news."""
    log = side.admin._app[events.EVENTS]
    await until(lambda: log.newest > 0, "the gateway has looked around")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway looks around ten times a second."""
    monkeypatch.setattr("gateway.admin.lookout.LOOK_SECONDS", 0.1)
    monkeypatch.setattr("gateway.state.instances.BEAT_SECONDS", 0.2)


@pytest.fixture
async def seen(side: Running) -> Running:
    await looked(side)
    return side


async def test_a_change_is_told_with_its_revision_author_and_reason(seen: Running) -> None:
    async with listening(seen) as stream:
        content = {"weights": {"v2": 20}, "why": "looks good"}
        await seen.ask("PUT", "/api/v1/routes/chat/weights", content, X_Graygate_By="alice")
        _, told = await stream.until("route_changed")
        assert (told["route"], told["revision"], told["why"]) == ("chat", 2, "looks good")
        assert (told["by"], told["via"]) == ("alice", "api")


async def test_an_edit_by_hand_is_told_once_with_the_revision_it_got(
    seen: Running, store: Server
) -> None:
    async with listening(seen) as stream:
        store.cli("HSET gray:route:chat:weights v2 30")
        _, told = await stream.until("route_changed")
        assert (told["revision"], told["by"]) == (2, "redis")
        store.cli("HSET gray:route:chat:weights v2 oops")
        kind, told = await stream.next()
        assert (kind, told["key"]) == ("refused", "gray:route:chat:weights")
        store.cli("HSET gray:route:chat:weights v2 30")
        assert (await stream.next())[0] == "refused_over"


async def test_a_route_comes_and_goes(seen: Running, store: Server) -> None:
    async with listening(seen) as stream:
        store.cli("HSET gray:route:rank:versions v1 http://10.0.0.1:1")
        store.cli("HSET gray:route:rank stable v1 path /rank")
        store.cli("SADD gray:routes rank")
        _, told = await stream.until("route_changed")
        assert (told["route"], told["revision"]) == ("rank", 1)
        await seen.ask("DELETE", "/api/v1/routes/rank?why=over")
        _, told = await stream.until("route_deleted")
        assert (told["route"], told["revision"], told["why"]) == ("rank", 2, "over")


async def test_who_comes_back_gets_what_was_missed(seen: Running) -> None:
    async with listening(seen) as stream:
        await seen.ask("PUT", "/api/v1/routes/chat/weights", {"weights": {"v2": 20}})
        await stream.until("route_changed")
    await seen.ask("PUT", "/api/v1/routes/chat/weights", {"weights": {"v2": 21}})
    async with listening(seen, stream.last_id) as again:
        _, told = await again.until("route_changed", "gap")
        assert told["revision"] == 3


async def test_after_another_life_the_histories_tell(seen: Running) -> None:
    for weight in (20, 21):
        await seen.ask("PUT", "/api/v1/routes/chat/weights", {"weights": {"v2": weight}})
    await until(lambda: seen.store.snapshot.routes["chat"].revision == 3, "both are in force")
    at_ms = seen.store.snapshot.routes["chat"].changed_at_ms
    async with listening(seen, f"{at_ms}-another-77") as stream:
        assert (await stream.next())[0] == "gap"
        revisions: list[int] = []
        while revisions[-1:] != [3]:
            revisions.append((await stream.until("route_changed"))[1]["revision"])
        assert 2 in revisions
        await seen.ask("PUT", "/api/v1/routes/chat/weights", {"weights": {"v2": 22}})
        # What the log held of the same revisions is not told once more.
        assert (await stream.until("route_changed"))[1]["revision"] == 4
    async with listening(seen, "nonsense") as stream:
        kind, told = await stream.next()
        assert (kind, "no id of an event" in told["text"]) == ("gap", True)


async def test_endpoints_and_alarms_are_told(seen: Running) -> None:
    seen.standing = Standing(workers=0)
    async with listening(seen) as stream:
        seen.counted = Counted(endpoints={("chat", "v1", "http://10.0.0.1:1"): 0.5})
        _, told = await stream.until("endpoint_down")
        assert (told["route"], told["version"], told["up_for"]) == ("chat", "v1", 0.5)
        seen.standing = Standing(workers=0, looping=("worker 1",))
        _, told = await stream.until("alarm")
        assert (told["alarm"], told["about"]) == ("crash_loop", "worker 1")
        seen.standing = Standing(workers=0)
        await stream.until("alarm_over")


async def test_gateways_and_the_store_are_told(seen: Running, store: Server) -> None:
    async with listening(seen) as stream:
        at = int(store.cli("TIME")[0])
        entry = json.dumps({"at": at, "version": "9.9", "revisions": {}})
        store.execute("HSET", "gray:instances", "another", entry)
        _, told = await stream.until("instance_joined")
        assert told["instance"] == "another"
        store.cli("HDEL gray:instances another")
        assert (await stream.until("instance_left"))[1]["instance"] == "another"
        store.freeze()
        try:
            await stream.until("store_away")
        finally:
            store.thaw()
        await stream.until("store_connected")


async def test_a_token_for_some_routes_hears_of_no_other(store: Server) -> None:
    plant(store)
    store.cli("HSET gray:route:rank:versions v1 http://10.0.0.1:1 v2 http://10.0.0.2:1")
    store.cli("HSET gray:route:rank stable v1 path /rank")
    store.cli("SADD gray:routes rank")
    async with running(redis_settings(store), token=TOKEN) as side:
        await revision(side)
        await revision(side, "rank")
        await looked(side)
        made = await side.ask(
            "POST",
            "/api/v1/tokens",
            {"name": "ci", "role": "viewer", "routes": ["chat"]},
            authorization=f"Bearer {TOKEN}",
        )
        async with listening(side, "1-other-1", made.json["token"]) as stream:
            assert (await stream.next())[0] == "gap"
            heard = []
            _, told = await stream.until("route_changed")
            assert told["route"] == "chat"
            for route in ("rank", "chat"):
                await side.ask(
                    "PUT",
                    f"/api/v1/routes/{route}/weights",
                    {"weights": {"v2": 33}},
                    authorization=f"Bearer {TOKEN}",
                )
            while "chat" not in heard:
                _, told = await stream.until("route_changed", "instance_joined", "refused")
                heard.append(told.get("route", "?"))
            assert heard == ["chat"]
            # A token that is taken back ends what it opened.
            name = made.json["id"]
            await side.ask("DELETE", f"/api/v1/tokens/{name}", authorization=f"Bearer {TOKEN}")
            _, told = await stream.until("ended")
            assert told["text"] == "The token does not hold any more."


async def test_the_end_of_the_gateway_is_told(store: Server) -> None:
    plant(store)
    async with running(redis_settings(store)) as side:
        await revision(side)
        async with listening(side) as stream:
            ending = asyncio.create_task(side.admin.stop())
            assert (await stream.until("ended"))[1]["text"].startswith("The gateway ends")
            assert (await stream.next()) == ("", {})
            await ending


async def test_a_reader_that_is_slow_is_told_so_and_ended(
    seen: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    log: EventLog = seen.admin._app[events.EVENTS]
    async with listening(seen) as stream:
        for number in range(WAITING + 10):  # without a pause: nothing is taken in between
            log.publish(Event("alarm", data={"n": number}), 1)
        assert (await stream.until("dropped"))[1]["text"].startswith("You read too slowly")
        assert (await stream.next()) == ("", {})


async def test_a_reader_that_takes_nothing_at_all_is_cut_off(
    seen: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "STALL_SECONDS", 0.2)
    log: EventLog = seen.admin._app[events.EVENTS]
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((HOST, seen.port))
        client.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await until(lambda: len(log) == 1, "it listens")
        while len(log):
            log.publish(Event("alarm", data={"text": "x" * 100_000}), 1)
            await asyncio.sleep(0.01)
    assert len(log) == 0


async def test_a_sign_of_life_comes_when_nothing_happens(
    seen: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "BEAT_SECONDS", 0.0)
    monkeypatch.setattr(events, "LOOK_AGAIN_SECONDS", 0.01)
    reader, writer = await asyncio.open_connection(HOST, seen.port)
    writer.write(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    async with asyncio.timeout(20):
        await reader.readuntil(b"\n: alive\n\n")
    writer.close()
    await writer.wait_closed()


async def test_only_so_many_may_listen(seen: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MOST_LISTENERS", 1)
    async with listening(seen):
        answer = await seen.ask("GET", "/api/v1/events")
        assert (answer.status, answer.json["code"]) == (503, "too_many_listeners")


async def test_a_head_request_ends(seen: Running) -> None:
    async with asyncio.timeout(20):
        answer = await seen.ask("HEAD", "/api/v1/events")
    assert (answer.status, answer.body) == (200, b"")

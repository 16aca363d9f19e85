"""Releases of a whole gateway: real processes, real requests, answers that really fail."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector, web

from gateway.process.runfile import Running
from tests.process.harness import children_of
from tests.servers import HOST, Server
from tests.serving import served

RATE = 100  # requests per second
PLAN: dict[str, Any] = {
    "candidate": "v2",
    "mode": "automatic",
    # Proofs that a few hundred requests can give; the numbers of real plans take minutes.
    "harm_budget": 0.5,
    "stages": [
        {"weight": 20, "hold": 3, "minimum_requests": 20},
        {"weight": 100, "hold": 3, "minimum_requests": 20},
    ],
    "bake": {"duration": 3, "holdback": 10},
    "guardrails": {"latency": {"enabled": False}},
}


class Models:
    """Both versions of a model in a thread; the candidate can be broken while it runs."""

    def __init__(self) -> None:
        self.urls: dict[str, str] = {}
        self.is_broken = False
        self.failed_at: list[float] = []
        self._up = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),))

    async def _run(self) -> None:
        self._ends = asyncio.Event()
        async with contextlib.AsyncExitStack() as stack:
            for name in ("v1", "v2"):
                self.urls[name] = await stack.enter_async_context(self._served(name))
            self._up.set()
            await self._ends.wait()

    @contextlib.asynccontextmanager
    async def _served(self, name: str) -> AsyncIterator[str]:
        async def answer(_: web.Request) -> web.Response:
            if name == "v2" and self.is_broken:
                self.failed_at.append(time.time())
                return web.Response(status=500)
            return web.Response(text=name)

        app = web.Application()
        app.router.add_get("/{path:.*}", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, HOST, 0).start()
        try:
            yield f"http://{HOST}:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    def __enter__(self) -> Models:
        self._thread.start()
        assert self._up.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._ends.set)
        self._thread.join()
        self._loop.close()


async def send(url: str) -> None:
    """Requests of ever new users, for as long as nobody cancels it."""
    limit = ClientTimeout(total=10)
    async with (
        ClientSession(connector=TCPConnector(limit=50), timeout=limit) as session,
        asyncio.TaskGroup() as tasks,
    ):
        for number in range(10**9):
            tasks.create_task(_request(session, url, number))
            await asyncio.sleep(1 / RATE)


async def _request(session: ClientSession, url: str, number: int) -> None:
    with contextlib.suppress(ClientError, TimeoutError):
        async with session.get(url, headers={"x-user-id": f"user-{number}"}) as answer:
            await answer.read()


class Api:
    """The release of the route, asked of the gateway."""

    def __init__(self, session: ClientSession, running: Running) -> None:
        self._session = session
        self._url = f"{running.admin_url.rstrip('/')}/api/v1/routes/chat/release"

    async def start(self, **plan: Any) -> dict[str, Any]:
        async with self._session.post(self._url, json={"plan": {**PLAN, **plan}}) as answer:
            content: dict[str, Any] = await answer.json()
            assert answer.status == 200, content
            return content

    async def say(self, verb: str, kind: str = "commands") -> None:
        async with self._session.post(f"{self._url}/{kind}", json={"verb": verb}) as answer:
            content = await answer.json()
            assert (answer.status, content.get("taken")) == (200, True), content

    async def until(self, *phases: str, seconds: float = 60) -> dict[str, Any]:
        """The status of the release as soon as it is in one of these phases."""
        ends, step, found = time.monotonic() + seconds, 0, {}
        while time.monotonic() < ends:
            query = f"{self._url}/watch?after={step}&seconds=5"
            try:
                async with self._session.get(query) as answer:
                    found = await answer.json()
            except ClientError:  # a control that was killed, and is not back yet
                await asyncio.sleep(0.1)
                continue
            if found.get("status", 503) == 503:
                await asyncio.sleep(0.1)
                continue
            step = found["step"]
            if found["status"]["phase"] in phases:
                status: dict[str, Any] = found["status"]
                return status
        raise AssertionError(f"never {phases}: {json.dumps(found, indent=1)[-3000:]}")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, valkey: Server) -> Iterator[Any]:
    """A gateway with two workers in front of two versions of a model."""
    valkey.flush()
    with Models() as models:
        valkey.cli(f"HSET gray:route:chat:versions v1 {models.urls['v1']} v2 {models.urls['v2']}")
        valkey.cli("HSET gray:route:chat stable v1 path / failover off")
        valkey.cli("SADD gray:routes chat")
        with served(tmp_path_factory.mktemp("gateway"), valkey.url) as running:
            yield valkey, models, running


async def test_a_good_candidate_becomes_stable_and_one_that_breaks_is_at_zero_in_seconds(
    scene: Any,
) -> None:
    store, models, running = scene
    async with ClientSession() as session:
        api = Api(session, running)
        sending = asyncio.create_task(send(running.data_url))
        try:
            await api.start()
            status = await api.until("promoted")
            assert store.cli("HGET gray:route:chat stable") == "v2"
            weights = [decision["weight"] for decision in status["decisions"]]
            assert weights == sorted(weights)
            await api.say("rollback")
            await api.say("release-latch", "approvals")
            await api.start()
            await api.until("ramp")
            models.is_broken = True
            status = await api.until("quarantine", seconds=30)
            assert status["stopped_by"] == ["errors"]
            assert store.cli("HGET gray:route:chat:weights v2") == "0"
            # No limit on the time here: loaded machines are slow. What it takes is seconds.
            assert status["entered_at"] > models.failed_at[0]
        finally:
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sending


@pytest.mark.slow
async def test_a_release_goes_on_when_control_is_killed_in_the_middle_of_it(scene: Any) -> None:
    store, models, running = scene
    models.is_broken = False
    store.cli("DEL gray:route:chat:release gray:route:chat:weights")
    store.cli("HSET gray:route:chat stable v1")
    async with ClientSession() as session:
        api = Api(session, running)
        sending = asyncio.create_task(send(running.data_url))
        try:
            await api.start()
            begun = await api.until("ramp")
            (control,) = children_of(running.pid, "gateway.process.control")
            os.kill(control, signal.SIGKILL)
            await asyncio.sleep(1)
            status = await api.until("promoted")
            assert status["release_id"] == begun["release_id"]
            assert [d["kind"] for d in status["decisions"]].count("started") == 1
        finally:
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sending

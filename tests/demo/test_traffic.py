from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.demo.child import python_module
from gateway.demo.traffic import Traffic, is_loopback
from gateway.errors import UsageError
from tests.demo.processes import Parent, wait_gone
from tests.servers import free_port


class Recorder:
    """A gateway that notes what comes, and answers as badly as told."""

    def __init__(self) -> None:
        self.users: list[str] = []
        self.bodies: list[dict[str, Any]] = []
        self.status = 200
        self._came = asyncio.Condition()

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._take)
        return app

    async def wait_for(self, count: int) -> None:
        async with asyncio.timeout(20), self._came:
            await self._came.wait_for(lambda: len(self.users) >= count)

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.json()
        async with self._came:
            self.users.append(request.headers["x-user-id"])
            self.bodies.append(body)
            self._came.notify_all()
        if self.status == 0 and request.transport is not None:
            request.transport.abort()
        return web.Response(status=self.status or 200, text="x")


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
async def url(recorder: Recorder) -> AsyncIterator[str]:
    async with TestServer(recorder.app()) as server:
        yield f"http://127.0.0.1:{server.port}"


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the tests send faster than the demo may."""
    monkeypatch.setattr("gateway.demo.traffic.MAX_RATE", 1000.0)


async def stop(task: asyncio.Task[None]) -> None:
    assert not task.done(), "the traffic ended by itself"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.usefixtures("hurry")
class TestTraffic:
    async def test_many_users_chat_and_some_of_them_stream(
        self, recorder: Recorder, url: str
    ) -> None:
        task = asyncio.create_task(Traffic(url, rate=500, seed=1).run())
        await recorder.wait_for(60)
        await stop(task)
        assert {user.split("-")[0] for user in recorder.users} == {"user"}
        assert {int(user.split("-")[1]) for user in recorder.users} <= set(range(1, 201))
        assert len(set(recorder.users)) > 30
        assert {body["stream"] for body in recorder.bodies} == {True, False}
        assert all(body["messages"][0]["role"] == "user" for body in recorder.bodies)

    async def test_the_same_seed_sends_the_same(self) -> None:
        first, second = Traffic("http://127.0.0.1", seed=5), Traffic("http://127.0.0.1", seed=5)
        requests = [first._next_request() for _ in range(20)]
        assert requests == [second._next_request() for _ in range(20)]

    @pytest.mark.parametrize("status", [0, 404, 500])
    async def test_failures_do_not_stop_it(self, recorder: Recorder, url: str, status: int) -> None:
        recorder.status = status
        task = asyncio.create_task(Traffic(url, rate=500).run())
        await recorder.wait_for(20)
        await stop(task)

    async def test_it_waits_for_a_gateway_that_is_not_there_yet(self, recorder: Recorder) -> None:
        port = free_port()
        task = asyncio.create_task(Traffic(f"http://127.0.0.1:{port}", rate=500).run())
        await asyncio.sleep(0)
        async with TestServer(recorder.app(), port=port):
            await recorder.wait_for(5)
            await stop(task)

    async def test_a_gateway_that_hangs_gets_no_more_than_a_few(self) -> None:
        traffic = Traffic("http://127.0.0.1:1")
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as requests:
            for _ in range(100):  # without a turn of the loop, none of them can be answered
                traffic.start_one(session, requests)
            assert traffic.in_flight == 16
        assert traffic.in_flight == 0


class TestBounds:
    @pytest.mark.parametrize("rate", [0, -1, 5.1, 1e9, float("nan")])
    def test_it_takes_no_other_rate_than_a_small_one(self, rate: float) -> None:
        with pytest.raises(UsageError, match="at most 5 requests a second"):
            Traffic("http://127.0.0.1:8080", rate=rate)

    @pytest.mark.parametrize(
        ("url", "expected"),
        [
            ("http://127.0.0.1:8080", True),
            ("http://127.9.9.9", True),
            ("http://[::1]:8080", True),
            ("http://localhost:8080", True),
            ("http://10.0.0.1", False),
            ("http://0.0.0.0", False),
            ("http://localhost.example.com", False),
            ("http://127.0.0.1@example.com", False),
            ("http://[::1", False),
            ("nonsense", False),
        ],
    )
    def test_it_goes_to_loopback_only(self, url: str, expected: bool) -> None:
        assert is_loopback(url) is expected
        if not expected:
            with pytest.raises(UsageError, match="loopback only"):
                Traffic(url)


def start(url: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        python_module("gateway.demo.traffic", "--url", url, "--parent", str(os.getpid())),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


class TestProcess:
    async def test_it_prints_nothing_and_ends_when_told(self, recorder: Recorder, url: str) -> None:
        process = start(url)
        try:
            await recorder.wait_for(2)
        finally:
            process.send_signal(signal.SIGTERM)
            out, err = await asyncio.to_thread(process.communicate, timeout=20)
        assert (process.returncode, out, err) == (0, b"", b"")

    async def test_it_ends_with_its_parent(self, recorder: Recorder, url: str) -> None:
        program = f"""
import os, subprocess
argv = [sys.executable, "-P", "-m", "gateway.demo.traffic", "--url", {url!r}]
child = subprocess.Popen([*argv, "--parent", str(os.getpid())])
print(json.dumps({{"pid": child.pid}}))
"""
        with Parent(program) as dying:
            await recorder.wait_for(1)
            dying.kill()
            wait_gone(dying.said["pid"])

    def test_a_far_away_gateway_is_refused(self) -> None:
        done = subprocess.run(
            python_module("gateway.demo.traffic", "--url", "http://10.0.0.1"),
            capture_output=True,
            text=True,
            timeout=20,
        )
        assert done.returncode == 2
        assert done.stderr.endswith("demo traffic goes to loopback only, not to http://10.0.0.1\n")

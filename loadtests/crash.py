"""From a candidate's first failed answer to weight 0 in all workers: `python -m loadtests.crash`.

A release is at its first stage, users send a steady load, and from one moment on the candidate
fails every request. Times are from the first answer that failed to: the decision of the controller,
the weight in the store, and the first answer of each worker that is stable's although its user had
the candidate. Each run is a release of its own, and breaks at another part of the second.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from loadtests.gateway_under_test import Running, ask, connect_to_each, running_gateway

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BAD = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\nno"
USERS = 100_000
CONNECTIONS = 20
HOLD_SECONDS = 4


class Candidate:
    """Answers well until it is broken, and remembers when it first did not."""

    def __init__(self) -> None:
        self.url = ""
        self.is_broken = False
        self.failed_at: list[float] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                if self.is_broken:
                    self.failed_at.append(time.time())
                writer.write(BAD if self.is_broken else GOOD)
        writer.close()


class Load:
    """Requests at a steady rate from ever other users, on connections that stay open."""

    def __init__(self, port: int, rate: float) -> None:
        self.lucky = ""  # the last user that had the candidate
        self._port = port
        self._rate = rate

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self._send(n)) for n in range(CONNECTIONS)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _send(self, number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        loop, gap = asyncio.get_running_loop(), CONNECTIONS / self._rate
        due = loop.time() + gap * number / CONNECTIONS
        while True:
            await asyncio.sleep(max(0.0, due - loop.time()))
            due += gap
            user = f"user-{random.randrange(USERS)}"
            if await ask(reader, writer, user) == "v2":
                self.lucky = user


class Releases:
    """The release of the route, by the API."""

    def __init__(self, gateway: Running) -> None:
        self._url = f"{gateway.admin_url}/api/v1/routes/chat/release"

    async def start(self, weight: float) -> None:
        plan = {
            "candidate": "v2",
            "mode": "automatic",
            "stages": [
                {"weight": weight, "hold": HOLD_SECONDS, "minimum_requests": 10**9},
                {"weight": 100},
            ],
        }
        await self._call("", {"plan": plan})

    async def say(self, verb: str, kind: str) -> None:
        await self._call(f"/{kind}", {"verb": verb, "why": "measured"})

    async def status(self) -> dict[str, Any]:
        status: dict[str, Any] = (await self._call("", None))["status"]
        return status

    async def until(self, *phases: str) -> None:
        ends = time.monotonic() + 60
        while (status := await self.status())["phase"] not in phases:
            told = f"{status['phase']}, never {phases}: waits for {status['waiting_for']}"
            assert time.monotonic() < ends, told
            await asyncio.sleep(0.1)

    async def _call(self, path: str, content: dict[str, Any] | None) -> dict[str, Any]:
        request = urllib.request.Request(
            self._url + path,
            data=None if content is None else json.dumps(content).encode(),
            headers={"Content-Type": "application/json"},
        )

        def send() -> dict[str, Any]:
            try:
                with urllib.request.urlopen(request, timeout=20) as answer:
                    found: dict[str, Any] = json.loads(answer.read())
            except urllib.error.HTTPError as error:
                raise AssertionError(error.read().decode()) from None
            return found

        return await asyncio.to_thread(send)


async def measure(
    gateway: Running, candidate: Candidate, rate: float, weight: float, times: int
) -> dict[str, list[float]]:
    """Seconds since the first failed answer, by what had happened."""
    taken: dict[str, list[float]] = {
        "decision": [], "weight 0 in the store": [], "all workers": [],
        "from decision to all workers": [],
    }  # fmt: skip
    taken["failed requests"] = []
    releases, load = Releases(gateway), Load(gateway.data_port, rate)
    async with load.running():
        for number in range(times):
            # Another path, another endpoint: the old one is ejected for longer after each crash.
            endpoint = f"{candidate.url}/{weight:g}-{number}"
            await gateway.store.call("HSET", "gray:route:chat:versions", "v2", endpoint)
            await asyncio.sleep(0.5)
            connections = list((await connect_to_each(gateway)).values())
            await releases.start(weight)
            await releases.until("ramp")
            load.lucky = ""
            await asyncio.sleep(3 + random.random())
            while not load.lucky:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            lucky = load.lucky
            candidate.failed_at.clear()
            candidate.is_broken = True
            await _until_zero(gateway)
            stored = time.time()
            await asyncio.gather(*(_obeyed(*connection, lucky) for connection in connections))
            obeyed = time.time()
            failed = candidate.failed_at[0]
            status = await releases.status()
            decided = next(d["at"] for d in status["decisions"] if d["kind"] == "alarm")
            taken["decision"].append(decided - failed)
            taken["weight 0 in the store"].append(stored - failed)
            taken["all workers"].append(obeyed - failed)
            taken["from decision to all workers"].append(obeyed - decided)
            taken["failed requests"].append(len(candidate.failed_at))
            candidate.is_broken = False
            await releases.say("rollback", "commands")
            await releases.until("rolled-back")
            await releases.say("release-latch", "approvals")
            for _, writer in connections:
                writer.close()
    return taken


async def _until_zero(gateway: Running) -> None:
    ends = time.monotonic() + 120
    while await gateway.store.call("HGET", "gray:route:chat:weights", "v2") not in (b"0", None):
        assert time.monotonic() < ends, "nothing was decided"
        await asyncio.sleep(0.001)


async def _obeyed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, user: str) -> None:
    while await ask(reader, writer, user) != "v1":  # noqa: ASYNC110
        await asyncio.sleep(0.001)


def told(name: str, values: list[float]) -> str:
    ordered = sorted(values)
    late = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    cells = (ordered[0], ordered[len(ordered) // 2], late, ordered[-1])
    return f"{name:32s} " + " ".join(f"{cell:8.2f}" for cell in cells)


async def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--times", type=int, default=15)
    arguments.add_argument("--rate", type=float, default=200.0)
    arguments.add_argument("--weights", default="1,10", help="percent, one after the other")
    wanted = arguments.parse_args()
    candidate = Candidate()
    server = await asyncio.start_server(candidate.answer, "127.0.0.1", 0)
    candidate.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    patient = {"GRAYGATE_LIMITS__KEEPALIVE_REQUESTS": "1000000"}
    async with running_gateway(2, patient) as gateway:
        await gateway.store.call(
            "HSET", "gray:route:chat", "failover", "0", "unit", "header:x-user-id"
        )
        await asyncio.sleep(1)
        for weight in map(float, wanted.weights.split(",")):
            taken = await measure(gateway, candidate, wanted.rate, weight, wanted.times)
            print(f"\nCrash at {weight:g} % of {wanted.rate:g} requests/s, {wanted.times} releases")
            heads = " ".join(f"{head:>8s}" for head in ("min", "p50", "p95", "max"))
            print(f"{'seconds after the first failure':32s} {heads}")
            for name, values in taken.items():
                print(told(name, values), flush=True)
    server.close()


if __name__ == "__main__":
    asyncio.run(main())

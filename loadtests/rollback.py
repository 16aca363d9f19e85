"""From the word to roll back to the last worker that obeys: `python -m loadtests.rollback`.

The candidate has all users; then somebody brings the route back to the revision before, through the
API, or as a whole command line with the start of Python in it. Obeyed means: the first request that
every worker has answered by stable; that request's own time is in the figure.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
import urllib.request
from collections.abc import Callable, Coroutine

from loadtests.figures import HEADINGS, row
from loadtests.gateway_under_test import Running, ask, connect_to_each, running_gateway

Act = Callable[[Running, int], Coroutine[None, None, None]]


async def by_api(gateway: Running, revision: int) -> None:
    request = urllib.request.Request(
        f"{gateway.admin_url}/api/v1/routes/chat/revert",
        data=json.dumps({"revision": revision, "why": "measured"}).encode(),
        headers={"Content-Type": "application/json"},
        method="POST",
    )

    def send() -> None:
        with urllib.request.urlopen(request, timeout=10) as answer:
            answer.read()

    await asyncio.to_thread(send)


async def by_command(gateway: Running, revision: int) -> None:
    words = [sys.executable, "-m", "gateway.cli", "rollback", "chat", "--to", str(revision)]
    process = await asyncio.create_subprocess_exec(
        *words, "--yes", "--gateway", gateway.admin_url, stdout=asyncio.subprocess.DEVNULL
    )
    assert await process.wait() == 0


async def measure(gateway: Running, act: Act, times: int) -> list[float]:
    """Milliseconds from the start of the act to the obedience of all workers."""
    connections = list((await connect_to_each(gateway)).values())

    async def obeyed(wanted: str) -> None:
        for reader, writer in connections:
            while await ask(reader, writer) != wanted:  # noqa: ASYNC110
                await asyncio.sleep(0.001)

    taken = []
    for _ in range(times):
        await gateway.store.call("HSET", "gray:route:chat:weights", "v2", "0")
        await obeyed("v1")
        revision = await _recorded(gateway)
        await gateway.store.call("HSET", "gray:route:chat:weights", "v2", "100")
        await obeyed("v2")
        started = time.perf_counter()
        acting = asyncio.create_task(act(gateway, revision))
        await obeyed("v1")
        taken.append((time.perf_counter() - started) * 1000)
        await acting
    for _, writer in connections:
        writer.close()
    return taken


async def _recorded(gateway: Running) -> int:
    """The revision that holds the newest edit."""
    while True:
        newest = await gateway.store.call(
            "XREVRANGE", "gray:route:chat:history", "+", "-", "COUNT", "1"
        )
        if isinstance(newest, list) and newest:
            fields = newest[0][1]
            state = json.loads(dict(zip(fields[::2], fields[1::2], strict=True))[b"state"])
            if state["weights"] == {"v2": "0"}:
                return int(newest[0][0].partition(b"-")[0])
        await asyncio.sleep(0.05)


async def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--times", type=int, default=50)
    wanted = arguments.parse_args()
    # Thousands of questions go over one connection.
    patient = {"GRAYGATE_LIMITS__KEEPALIVE_REQUESTS": "1000000"}
    async with running_gateway(2, patient) as gateway:
        by_name = {
            "rollback by the API": await measure(gateway, by_api, wanted.times),
            "rollback by `graygate rollback`": await measure(gateway, by_command, wanted.times),
        }
    print(f"{wanted.times} rollbacks each, 2 workers; milliseconds until all obey")
    print(HEADINGS)
    for name, taken in by_name.items():
        print(row(name, taken))


if __name__ == "__main__":
    asyncio.run(main())

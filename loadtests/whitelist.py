"""A whitelist of a million ids: how soon it is in force, what it costs, and whom it makes wait.

    python -m loadtests.whitelist [--ids 1000000]

A real gateway with two workers serves requests all the time, one connection per worker, a request
every 2 ms. Reported: the slowest of these requests while lists are loaded (what a stalled loop
would show), the time until a change of the list by hand and one by our own API decides requests in
all workers, and the memory of the processes before and after.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
import urllib.request
from pathlib import Path

from loadtests.figures import HEADINGS, row
from loadtests.gateway_under_test import Running, ask, connect_to_each, running_gateway

KEY = "gray:route:chat:whitelist:v2"
PORTION = 10_000


async def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--ids", type=int, default=1_000_000)
    arguments.add_argument("--changes", type=int, default=5)
    wanted = arguments.parse_args()
    async with running_gateway(2) as gateway:
        await report(gateway, wanted.ids, wanted.changes)


async def report(gateway: Running, ids: int, changes: int) -> None:
    print(f"{ids:,} ids, 2 workers; milliseconds")
    print(HEADINGS)
    with_nothing = memory(gateway)
    async with Prober(gateway) as prober:
        await asyncio.sleep(2)
        print(row("requests before the list is there", prober.taken()))
        for start in range(0, ids, PORTION):
            names = (f"user-{number:08d}" for number in range(start, min(start + PORTION, ids)))
            await gateway.store.call("SADD", KEY, *names)
        print(row("requests while the list is filled by hand", prober.taken()))
        await prober.until(f"user-{ids - 1:08d}", "v2")
        prober.taken()
        await asyncio.sleep(5)
        by_hand, by_api, while_by_hand, while_by_api = [], [], [], []
        for number in range(changes):
            prober.taken()
            await gateway.store.call("SADD", KEY, f"hand-{number}")
            by_hand.append(await prober.until(f"hand-{number}", "v2"))
            while_by_hand += prober.taken()
            await asyncio.sleep(3)
            prober.taken()
            await asyncio.to_thread(add_by_api, gateway, f"tool-{number}")
            by_api.append(await prober.until(f"tool-{number}", "v2"))
            await asyncio.sleep(0.5)
            while_by_api += prober.taken()
    print(row("SADD by hand, in force in all workers", by_hand))
    print(row("  requests meanwhile", while_by_hand))
    print(row("added by the API, in force in all workers", by_api))
    print(row("  requests meanwhile", while_by_api))
    for name, megabytes in memory(gateway).items():
        print(f"{name}: {with_nothing[name]:.1f} MB before, {megabytes:.1f} MB with the list")
    for path, size in shared_tables(gateway).items():
        print(f"table shared by all workers: {size / 2**20:.1f} MiB in {path.name}")


class Prober:
    """Requests of somebody who is on no list, for ever, and their times in milliseconds."""

    def __init__(self, gateway: Running) -> None:
        self._gateway = gateway
        self._times: list[float] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._others: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def __aenter__(self) -> Prober:
        self._others = list((await connect_to_each(self._gateway)).values())
        for reader, writer in (await connect_to_each(self._gateway)).values():
            self._tasks.append(asyncio.create_task(self._probe(reader, writer)))
        return self

    async def __aexit__(self, *reason: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for _, writer in self._others:
            writer.close()

    def taken(self) -> list[float]:
        """The times since the last call."""
        times, self._times = self._times, []
        return times

    async def until(self, user: str, version: str) -> float:
        """Milliseconds until this user gets this version from every worker."""
        started = time.perf_counter()
        await asyncio.gather(*(_until(*one, user, version) for one in self._others))
        return (time.perf_counter() - started) * 1000

    async def _probe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                started = time.perf_counter()
                await ask(reader, writer, "stranger")
                self._times.append((time.perf_counter() - started) * 1000)
                await asyncio.sleep(0.002)
        finally:
            writer.close()


async def _until(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, user: str, version: str
) -> None:
    while await ask(reader, writer, user) != version:  # noqa: ASYNC110  # another process decides
        await asyncio.sleep(0.001)


def add_by_api(gateway: Running, unit: str) -> None:
    request = urllib.request.Request(
        f"{gateway.admin_url}/api/v1/routes/chat/whitelist/v2",
        json.dumps({"add": [unit], "why": "measuring"}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        answer.read()


def memory(gateway: Running) -> dict[str, float]:
    """Private memory of each worker: what is mapped by all of them does not count."""
    found = {}
    for worker, pid in gateway.workers.items():
        rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        kilobytes = sum(int(line.split()[1]) for line in rows if line.startswith("Private_"))
        found[f"worker {worker}, private"] = kilobytes / 1024
    return found


def shared_tables(gateway: Running) -> dict[Path, int]:
    """The list files that the workers have mapped, each once."""
    mapped: dict[Path, int] = {}
    for pid in gateway.workers.values():
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            if "list-" in line and ".table" in line:
                span, *_, path = line.replace(" (deleted)", "").split()
                first, last = (int(part, 16) for part in span.split("-"))
                mapped[Path(path)] = last - first
    return mapped


if __name__ == "__main__":
    asyncio.run(main())

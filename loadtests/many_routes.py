"""What a request costs beside many routes: `python -m loadtests.many_routes [--routes 1000]`.

Every route has three versions, weights and a whitelist; requests go to one of them.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path

from loadtests.clients import Job
from loadtests.contest import load
from loadtests.gateway_under_test import Running, running_gateway
from loadtests.meter import private_bytes
from loadtests.report import machine, spread, table

SAVED = Path(__file__).parent / "results" / "many_routes.md"
READY_SECONDS = 60.0


async def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--routes", type=int, default=1000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--seconds", type=float, default=3.0)
    wanted = arguments.parse_args()
    numbers = (0, wanted.routes)
    found: dict[int, list[tuple[float, float, float]]] = {number: [] for number in numbers}
    for _ in range(wanted.rounds):
        for number in numbers:
            async with running_gateway(1) as gateway:
                started = time.monotonic()
                await _plant(gateway, number)
                planted = time.monotonic() - started
                (worker,) = gateway.workers.values()
                job = Job("cpu", gateway.data_port, [worker], [], "post", wanted.seconds)
                outcome = await load(job)
                cost = outcome.workers_cpu / outcome.done * 1e6
                found[number].append((cost, private_bytes(worker) / 2**20, planted))
    text = _report(found)
    print(text)
    SAVED.write_text(text)


async def _plant(gateway: Running, number: int) -> None:
    """Returns when the worker routes by all of them."""
    versions = await gateway.store.call("HGET", "gray:route:chat:versions", "v1")
    assert isinstance(versions, bytes)
    url = versions.decode()
    for index in range(number):
        key = f"gray:route:other{index}"
        commands: list[tuple[str, ...]] = [
            ("HSET", f"{key}:versions", "v1", url, "v2", url, "v3", url),
            ("HSET", f"{key}:weights", "v2", "10", "v3", "5"),
            ("SADD", f"{key}:whitelist:v2", *(f"user-{n}" for n in range(20))),
            ("HSET", key, "stable", "v1", "path", f"/other/{index}"),
            ("SADD", "gray:routes", f"other{index}"),
        ]
        await gateway.store.pipeline(commands)
    ends = time.monotonic() + READY_SECONDS
    while True:
        state = await asyncio.to_thread(gateway.state)
        routes, workers = state["routes"], state["workers"]
        assert isinstance(routes, list | dict)
        assert isinstance(workers, list)
        if len(routes) > number and all(w["sequence"] == state["sequence"] for w in workers):
            return
        assert time.monotonic() < ends, "the routes never came into force"
        await asyncio.sleep(0.1)


def _report(found: dict[int, list[tuple[float, float, float]]]) -> str:
    rows = [
        [f"{number:,} more routes", *(spread(values) for values in zip(*measured, strict=True))]
        for number, measured in found.items()
    ]
    heads = ["", "µs of the worker per request", "MiB of the worker", "s until all were in force"]
    return "\n".join(
        [
            "# Many routes",
            "",
            f"Machine: {machine()}. POST of 1 KB with 20 headers to the route `chat`; the others "
            "have three versions, weights and a whitelist each. Least / median / most of the "
            "rounds. `python -m loadtests.many_routes` repeats it.",
            "",
            *table(heads, rows),
            "",
        ]
    )


if __name__ == "__main__":
    asyncio.run(main())

"""How long after its reply a HSET by another client decides requests, in all workers.

    python -m loadtests.propagation [--changes 1000] [--workers 2]

One connection per worker sends a request, waits for the answer, pauses, and so on. A change counts
as in force when the last of the workers has answered by it: the figures include that request's own
way through the gateway to a backend and back, so they are an upper bound. For comparison the same
requests without any change are timed too.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time

from loadtests.figures import HEADINGS, row
from loadtests.gateway_under_test import Running, ask, connect_to_each, running_gateway


async def measure(
    gateway: Running, changes: int, pause_seconds: float
) -> tuple[list[float], list[float]]:
    """Milliseconds from the reply to all workers, and milliseconds of a request alone."""
    connections = list((await connect_to_each(gateway)).values())
    delays: list[float] = []
    plain: list[float] = []
    for number in range(changes):
        for reader, writer in connections:
            started = time.perf_counter()
            await ask(reader, writer)
            plain.append((time.perf_counter() - started) * 1000)
        # Not in step with the poll of the store.
        await asyncio.sleep(random.uniform(0.005, 0.02))
        wanted, percent = ("v2", "100") if number % 2 == 0 else ("v1", "0")
        await gateway.store.call("HSET", "gray:route:chat:weights", "v2", percent)
        replied = time.perf_counter()

        async def first_decision(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wanted: str = wanted
        ) -> float:
            while await ask(reader, writer) != wanted:  # noqa: ASYNC110
                await asyncio.sleep(pause_seconds)
            return time.perf_counter()

        ends = await asyncio.gather(*(first_decision(r, w) for r, w in connections))
        delays.append((max(ends) - replied) * 1000)
    for _, writer in connections:
        writer.close()
    return delays, plain


async def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--changes", type=int, default=1000)
    arguments.add_argument("--workers", type=int, default=2)
    arguments.add_argument("--pause-ms", type=float, default=1.0, help="0 = saturate the workers")
    wanted = arguments.parse_args()
    kept = {"GRAYGATE_LIMITS__KEEPALIVE_REQUESTS": "1000000000"}  # asked on and on
    async with running_gateway(wanted.workers, kept) as gateway:
        delays, plain = await measure(gateway, wanted.changes, wanted.pause_ms / 1000)
    print(f"{wanted.changes} changes, {wanted.workers} workers; milliseconds")
    print(HEADINGS)
    print(row("HSET reply to decision in all workers", delays))
    print(row("a request alone", plain))


if __name__ == "__main__":
    asyncio.run(main())

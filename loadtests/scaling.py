"""What a request costs with one worker and with two: `python -m loadtests.scaling`.

Where cores are free for both, two workers do twice as much if a request costs the same; with the
load on the same cores only the cost can be seen. Connections come over the loopback, and the kernel
spreads them over the workers' sockets.
"""

from __future__ import annotations

import argparse
import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from loadtests.clients import Job, Outcome
from loadtests.contest import load
from loadtests.gateway_under_test import running_gateway
from loadtests.report import machine, spread, table

SAVED = Path(__file__).parent / "results" / "scaling.md"
CASE = "post"


async def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--workers", default="1,2")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--seconds", type=float, default=3.0)
    wanted = arguments.parse_args()
    numbers = [int(number) for number in wanted.workers.split(",")]
    found: dict[int, list[Outcome]] = {number: [] for number in numbers}
    for _ in range(wanted.rounds):
        for number in numbers:
            async with AsyncExitStack() as stack:
                gateway = await stack.enter_async_context(running_gateway(number))
                workers = list(gateway.workers.values())
                job = Job("cpu", gateway.data_port, workers, [], CASE, wanted.seconds)
                found[number].append(await load(job))
    text = _report(found)
    print(text)
    SAVED.write_text(text)


def _report(found: dict[int, list[Outcome]]) -> str:
    one = found[min(found)]
    rows = []
    for number, outcomes in found.items():
        costs = [_cost(outcome) for outcome in outcomes]
        capacity = [
            number / min(found) * _cost(first) / cost
            for first, cost in zip(one, costs, strict=True)
        ]
        rates = [outcome.done / outcome.seconds for outcome in outcomes]
        rows.append([str(number), spread(costs), spread(capacity), spread(rates)])
    heads = [
        "workers",
        "µs of all workers per request",
        "capacity, x one worker",
        "requests/s here",
    ]
    return "\n".join(
        [
            "# One worker and more",
            "",
            f"Machine: {machine()}. POST of 1 KB with 20 headers; load, backend and workers share "
            "the cores, so the rate is bounded by all of them together. Capacity is workers x cost "
            "with one / cost. Least / median / most of the rounds. "
            "`python -m loadtests.scaling` repeats it.",
            "",
            *table(heads, rows),
            "",
        ]
    )


def _cost(outcome: Outcome) -> float:
    return outcome.workers_cpu / outcome.done * 1e6


if __name__ == "__main__":
    asyncio.run(main())

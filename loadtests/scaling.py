"""What a request costs with two workers: `python -m loadtests.scaling`.

Where cores are free for both, two workers do twice as much as one if a request costs them the same.
On a machine whose cores the load shares, whatever is busy beside a worker makes it dearer: caches
are shared, and connections are spread over more processes. So two workers of one gateway are held
against two gateways with one each, beside each other and under the same load: they share nothing,
and what two workers cost more than these is what they cost each other. One gateway with one worker
and half of the load is shown as well.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from loadtests.clients import Job
from loadtests.contest import load
from loadtests.gateway_under_test import running_gateway
from loadtests.report import machine, spread, table

SAVED = Path(__file__).parent / "results" / "scaling.md"
CASE = "post"
LOADS = 2
# What is measured, and how many workers each of its gateways has.
SHAPES = {"one gateway, 1 worker": (1,), "two of them": (1, 1), "one gateway, 2 workers": (2,)}


async def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=float, default=3.0)
    wanted = arguments.parse_args()
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in SHAPES}
    for _ in range(wanted.rounds):
        for name, workers in SHAPES.items():
            found[name].append(await _measure(workers, wanted.seconds))
    text = _report(found)
    print(text)
    SAVED.write_text(text)


async def _measure(workers: Sequence[int], seconds: float) -> tuple[float, float]:
    """Processor time of a request in microseconds, and requests per second."""
    async with AsyncExitStack() as stack:
        gateways = [await stack.enter_async_context(running_gateway(n)) for n in workers]
        targets = gateways * (LOADS // len(gateways)) if sum(workers) > 1 else gateways
        # Of a gateway that has several loads the first one looks at the workers.
        jobs = [
            Job(
                "cpu",
                gateway.data_port,
                list(gateway.workers.values()) if place < len(gateways) else [],
                [],
                CASE,
                seconds,
            )
            for place, gateway in enumerate(targets)
        ]
        outcomes = await asyncio.gather(*map(load, jobs))
    done = sum(outcome.done for outcome in outcomes)
    cost = sum(outcome.workers_cpu for outcome in outcomes) / done * 1e6
    return cost, sum(outcome.done / outcome.seconds for outcome in outcomes)


def _report(found: dict[str, list[tuple[float, float]]]) -> str:
    beside = [cost for cost, _ in found["two of them"]]
    rows = []
    for name, figures in found.items():
        capacity = [
            sum(SHAPES[name]) * alone / cost
            for alone, (cost, _) in zip(beside, figures, strict=True)
        ]
        is_two = sum(SHAPES[name]) > 1
        rows.append(
            [
                name,
                spread([cost for cost, _ in figures]),
                spread(capacity) if is_two else "-",
                spread([rate for _, rate in figures]),
            ]
        )
    heads = ["", "µs of workers per request", "capacity, x one worker", "requests/s here"]
    return "\n".join(
        [
            "# One worker and two",
            "",
            f"Machine: {machine()}. POST of 1 KB with 20 headers; load, backends and workers share "
            "the cores, so the rate is bounded by all of them together. Two loads, but one for the "
            "single worker. Capacity is 2 x the cost with two gateways of one worker each, which "
            "share nothing, / the cost. Least / median / most of the rounds. "
            "`python -m loadtests.scaling` repeats it.",
            "",
            *table(heads, rows),
            "",
        ]
    )


if __name__ == "__main__":
    asyncio.run(main())

"""What a proxy adds to the time of a request, under load that does not wait for answers.

    python -m loadtests.latency [--peers graygate,nginx,traefik] [--share 0.7] [--rounds 3]

All proxies get the same rate: a share of what the gateway can do on its core at most. Requests come
at random times; a delay counts from when a request was due, so nothing slow is left out. What is
added is the difference to the same load without a proxy, in the same round.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median

from loadtests.clients import Job, Outcome
from loadtests.contest import backend, job_for, load, present, started, turned
from loadtests.plot import lines
from loadtests.report import NO_PROXY, OURS, machine, spread, table

SHARES = (0.5, 0.9, 0.99, 0.999)
CASE = "post"
RESULTS = Path(__file__).parent / "results"


async def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--peers", default=f"{OURS},nginx,traefik")
    arguments.add_argument("--share", type=float, default=0.7)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--seconds", type=float, default=5.0)
    wanted = arguments.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[0]})
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    names = [*present([NO_PROXY, *wanted.peers.split(",")])]
    found: dict[str, list[list[float]]] = {name: [] for name in names}
    async with AsyncExitStack() as stack:
        origins = await stack.enter_async_context(backend())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        folder.chmod(0o755)
        proxies = {
            name: await stack.enter_async_context(started(name, folder, origins, cores[-1]))
            for name in names
        }
        most = await load(job_for("cpu", proxies[OURS], CASE, 2.0))
        rate = wanted.share * most.done / most.seconds
        print(f"{rate:,.0f} requests/s, {wanted.share:.0%} of the gateway's most", file=sys.stderr)
        for number in range(wanted.rounds):
            for name in turned(names, number):
                running = proxies[name]
                job = Job("open", running.port, running.workers, running.rest, CASE)
                job.seconds, job.rate = wanted.seconds, rate
                outcome = await load(job)
                found[name].append(_told(name, number, outcome))
    text = _report(found, rate, wanted.share)
    print(text)
    (RESULTS / "latency.md").write_text(text)
    (RESULTS / "latency.svg").write_text(_plot(found, rate))


def _told(name: str, number: int, outcome: Outcome) -> list[float]:
    """The delays at each of SHARES."""
    ordered = sorted(outcome.delays)
    delays = [ordered[min(len(ordered) - 1, int(share * len(ordered)))] for share in SHARES]
    words = " / ".join(f"{delay:.2f}" for delay in delays)
    failed = f", {outcome.failed} FAILED {outcome.complaint}" if outcome.failed else ""
    print(f"round {number + 1}, {name}: {words} ms{failed}", file=sys.stderr)
    return delays


def _report(found: dict[str, list[list[float]]], rate: float, share: float) -> str:
    heads = ["", *(f"p{100 * share:g} ms" for share in SHARES), "p50 added", "p99 added"]
    rows = []
    for name, rounds in found.items():
        row = [name, *(spread([delays[i] for delays in rounds]) for i in range(len(SHARES)))]
        for at in (0, 2):
            direct = found[NO_PROXY]
            added = [ours[at] - none[at] for ours, none in zip(rounds, direct, strict=True)]
            row.append("-" if name == NO_PROXY else spread(added))
        rows.append(row)
    return "\n".join(
        [
            "# What a proxy adds to the time of a request",
            "",
            f"Machine: {machine()}. POST of 1 KB with 20 headers, {rate:,.0f} requests/s at random "
            f"times: {share:.0%} of what the gateway can do at most on one core. Each proxy has a "
            "core, load and backend have the other. Least / median / most of the rounds. "
            "`python -m loadtests.latency` repeats it.",
            "",
            *table(heads, rows),
            "",
        ]
    )


def _plot(found: dict[str, list[list[float]]], rate: float) -> str:
    series = {
        name: [
            (1 / (1 - share), median(delays[i] for delays in rounds))
            for i, share in enumerate(SHARES)
        ]
        for name, rounds in found.items()
    }
    title = f"Delay of the slowest one in N requests, at {rate:,.0f} requests/s"
    return lines(title, "N", "ms", series, log_y=True)


if __name__ == "__main__":
    asyncio.run(main())

"""Where a worker under load spends its time: Python by py-spy, the rest by perf."""

from __future__ import annotations

import asyncio
import subprocess
from collections import Counter
from collections.abc import Coroutine, Iterable
from pathlib import Path

from loadtests.clients import Outcome
from loadtests.peers.program import Absent, find

_SECONDS = 4
_RATE = 500
_SHOWN = 30
_LEAD_SECONDS = 1.5  # the load's own start and warm-up


async def profile(pid: int, load: Coroutine[object, object, Outcome], folder: Path) -> str:
    """A table of functions; the load should run for at least six seconds."""
    running = asyncio.create_task(load)
    await asyncio.sleep(_LEAD_SECONDS)
    shown = [await _by_py_spy(pid, folder)]
    shown.append(await _by_perf(pid, folder))
    outcome = await running
    if outcome.done:
        shown.append(f"{outcome.workers_cpu / outcome.done * 1e6:.1f} µs each, watched")
    return "\n\n".join(shown)


async def _by_py_spy(pid: int, folder: Path) -> str:
    try:
        program = find("py-spy", "pip install py-spy")
    except Absent as absent:
        return str(absent)
    stacks = folder / "stacks"
    watch = [program, "record", "--nonblocking", "--format", "raw", "--rate", str(_RATE)]
    await _run([*watch, "--duration", str(_SECONDS), "--pid", str(pid), "--output", str(stacks)])
    return summary(stacks.read_text().splitlines()) if stacks.exists() else "py-spy saw nothing"


async def _by_perf(pid: int, folder: Path) -> str:
    try:
        program = find("perf", "Debian: apt-get install linux-perf")
    except Absent as absent:
        return str(absent)
    data = str(folder / "perf.data")
    await _run([program, "record", "-F", "997", "-p", str(pid), "-o", data, "sleep", str(_SECONDS)])
    report = [program, "report", "-i", data, "--stdio", "--percent-limit", "0.7"]
    return (await _run([*report, "--sort", "dso,symbol"])).strip()


async def _run(command: list[str]) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    told, _ = await process.communicate()
    return told.decode(errors="replace")


def summary(stacks: Iterable[str]) -> str:
    """Share of the samples of each function: on top of the stack, and anywhere in it."""
    on_top: Counter[str] = Counter()
    anywhere: Counter[str] = Counter()
    total = 0
    for line in stacks:
        stack, _, samples = line.rpartition(" ")
        frames = stack.split(";")
        total += int(samples)
        on_top[frames[-1]] += int(samples)
        anywhere.update(dict.fromkeys(frames, int(samples)))
    rows = [
        f"{on_top[frame] / total:7.1%} {share / total:9.1%}  {frame}"
        for frame, share in anywhere.most_common(_SHOWN)
    ]
    return "\n".join([f"{'on top':>7s} {'anywhere':>9s}  function", *rows])

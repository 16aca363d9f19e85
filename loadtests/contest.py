"""What every comparison needs: the backend, a proxy on its core, and load from another process."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from loadtests.clients import Job, Outcome
from loadtests.peers import all_peers
from loadtests.peers.program import Absent, Place, Running

_JOB_SECONDS = 300.0
_READY_SECONDS = 20.0


def present(names: Sequence[str]) -> dict[str, str]:
    """The versions of those that are here; the others are said to be absent."""
    found = {}
    for name in names:
        try:
            found[name] = all_peers()[name].version()
        except Absent as absent:
            print(f"{name} is left out: {absent}", file=sys.stderr)
    return found


@asynccontextmanager
async def backend() -> AsyncIterator[tuple[int, int]]:
    """On the core of the load, which it takes over from us."""
    command = [sys.executable, "-m", "loadtests.backend"]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        v1, v2 = (await process.stdout.readline()).split()
        yield int(v1), int(v2)
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def started(
    name: str, folder: Path, origins: tuple[int, int], core: int
) -> AsyncIterator[Running]:
    own = folder / name
    own.mkdir(exist_ok=True)
    async with all_peers()[name].running(Place(own, core, origins)) as running:
        await _ready(name, running)
        yield running


async def _ready(name: str, running: Running) -> None:
    """A port may be open before the routes behind it are known."""
    ends = time.monotonic() + _READY_SECONDS
    while (outcome := await load(job_for("cpu", running, "post", 1 / 100))).failed:
        if time.monotonic() > ends:
            raise RuntimeError(f"{name} does not serve: {outcome.complaint}")


def turned(names: list[str], number: int) -> list[str]:
    return names if number % 2 == 0 else names[::-1]


def job_for(kind: str, proxy: Running, case: str = "", seconds: float = 0.0) -> Job:
    return Job(kind, proxy.port, proxy.workers, proxy.rest, case, seconds)


async def load(job: Job) -> Outcome:
    """Carries the job out in another process."""
    command = [sys.executable, "-m", "loadtests.clients"]
    pipe = subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        async with asyncio.timeout(_JOB_SECONDS):
            told, complaints = await process.communicate(msgspec.json.encode(job))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    try:
        return msgspec.json.decode(told, type=Outcome)
    except msgspec.DecodeError as error:
        words = (complaints.decode().strip() or "no complaint").splitlines()[-1]
        code = process.returncode
        raise RuntimeError(f"the load ended with {code}, {len(told)} bytes: {words}") from error

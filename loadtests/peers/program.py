"""Starting a proxy on one core and ending it."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

HOST = "127.0.0.1"
# Where `make` puts them: beside the environment that we run in, so that all have the same Python.
BENCH_VENV = Path(f"{sys.prefix}-bench")
_START_SECONDS = 60.0
_STOP_SECONDS = 10.0

# Runs before the program, in its process: one core, and an end by the kernel if we are killed. Not
# by SIGKILL: the program has children to end.
_PREPARE = (
    "import ctypes, os, signal, sys\n"
    "ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0)\n"
    "os.sched_setaffinity(0, {int(sys.argv[1])})\n"
    "os.execv(sys.argv[2], sys.argv[2:])\n"
)


class Absent(Exception):
    """This proxy is not on this machine; the text says how to get it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a proxy is to run."""

    folder: Path
    core: int
    origins: tuple[int, int]  # the ports of version 1 and version 2


@dataclass(frozen=True, slots=True)
class Running:
    port: int
    workers: list[int]  # the processes that do the work
    rest: list[int]  # what stands around them


class Peer(Protocol):
    name: str
    without: frozenset[str]  # cases that it cannot carry

    def version(self) -> str:
        """Raises Absent."""

    def running(self, place: Place) -> AbstractAsyncContextManager[Running]: ...


def find(program: str, hint: str) -> str:
    """Its path; programs of the comparison's own environment come first. Raises Absent."""
    places = os.pathsep.join((str(BENCH_VENV / "bin"), os.environ["PATH"], "/usr/sbin"))
    found = shutil.which(program, path=places)
    if found is None:
        raise Absent(f"{program} is not here ({hint})")
    return found


def said(command: Sequence[str]) -> str:
    """What a program prints, on both of its outputs."""
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return (ended.stdout + ended.stderr).strip()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def started(
    command: Sequence[str], place: Place, port: int
) -> AsyncIterator[subprocess.Popen[bytes]]:
    """The program, from when it takes connections until the block is left."""
    log = place.folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: ASYNC220  # nothing else runs yet
            [sys.executable, "-c", _PREPARE, str(place.core), *command],
            cwd=place.folder,
            env={**os.environ, "HOME": str(place.folder)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        ends = time.monotonic() + _START_SECONDS
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > ends:
                tail = log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{command[0]} does not start:\n{tail}")
            await asyncio.sleep(0.05)
        yield process
    finally:
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, _STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            await asyncio.to_thread(process.wait)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0

"""Our gateway, started by `graygate serve` over a store of its own."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.compiled import build
from loadtests.gateway_under_test import ACCESS_LOG, ask, running_gateway
from loadtests.gateway_under_test import Running as UnderTest
from loadtests.meter import children, parent, pin
from loadtests.peers.program import HOST, Absent, Place, Running, said

# Where `make` puts the compiled gateway: beside the environment that we run in, with its Python.
COMPILED = Path(f"{sys.prefix}-compiled", "bin", "python")
_TAKES_SECONDS = 10.0
_USERS = 64
_ROOM = ("max_requests", "8192", "max_connections", "8192")  # for thousands of held streams


class Gateway:
    """With everything on, or without its access log: the other proxies write none."""

    without: frozenset[str] = frozenset()

    def __init__(
        self, name: str, *, writes_log: bool = True, python: Path = Path(sys.executable)
    ) -> None:
        self.name = name
        self._variables = {} if writes_log else {ACCESS_LOG: ""}
        self._python = python

    def version(self) -> str:
        if not self._python.exists():
            raise Absent("it needs a C compiler, or was not compiled yet (make bench does)")
        says = said([str(self._python), "-P", "-m", "gateway.cli", "--version"])
        kind = "compiled" if self._python == COMPILED else build()
        if not says.endswith(f" {kind}"):
            raise Absent(f"{self._python} should have a {kind} gateway and has {says!r}")
        return says.removeprefix("graygate ")

    @asynccontextmanager
    async def running(self, place: Place) -> AsyncIterator[Running]:
        async with running_gateway(1, self._variables, python=self._python) as under_test:
            v1, v2 = (f"http://{HOST}:{port}" for port in place.origins)
            for words in (
                ("HSET", "gray:route:chat", "unit", "header:x-user-id", *_ROOM),
                ("HSET", "gray:route:chat:versions", "v1", v1, "v2", v2),
                ("HSET", "gray:route:chat:weights", "v2", "50"),
            ):
                await under_test.store.call(*words)
            await _split_in_force(under_test)
            workers = list(under_test.workers.values())
            supervisor = parent(workers[0])
            around = [pid for pid in (supervisor, *children(supervisor)) if pid not in workers]
            pin([*workers, *around], place.core)
            beside = [pid for pid in children(os.getpid()) if pid not in workers + around]
            stores = [pid for pid in beside if _is_store(pid)]
            yield Running(under_test.data_port, workers, around + stores)


def _is_store(pid: int) -> bool:
    try:
        return "valkey" in os.readlink(f"/proc/{pid}/exe")  # noqa: PTH115
    except OSError:
        return False


async def _split_in_force(under_test: UnderTest) -> None:
    """Returns when the two versions share the users."""
    ends = time.monotonic() + _TAKES_SECONDS
    reader, writer = await asyncio.open_connection(HOST, under_test.data_port)
    while {await ask(reader, writer, f"user-{n}") for n in range(_USERS)} != {"v1", "v2"}:
        assert time.monotonic() < ends, "the weights never came into force"
        await asyncio.sleep(0.05)
    writer.close()

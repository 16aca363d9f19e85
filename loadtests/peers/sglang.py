"""sglang-router: a model router in Rust; it takes chat completions only, so GET is left out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from loadtests.meter import children
from loadtests.peers.program import BENCH_VENV, Place, Running, find, free_port, said, started


class SglangRouter:
    name = "sglang-router"
    without = frozenset({"get"})

    def version(self) -> str:
        self._program()
        command = "import importlib.metadata as m; print(m.version('sglang-router'))"
        return said([str(BENCH_VENV / "bin" / "python"), "-c", command])

    @asynccontextmanager
    async def running(self, place: Place) -> AsyncIterator[Running]:
        port, metrics = free_port(), free_port()
        urls = [f"http://127.0.0.1:{origin}" for origin in place.origins]
        command = [self._program(), "launch", "--host", "127.0.0.1", "--port", str(port)]
        # Its default policy keeps a tree of all prompts; the random one is the cheapest it has.
        command += ["--worker-urls", *urls, "--policy", "random", "--log-level", "error"]
        command += ["--prometheus-host", "127.0.0.1", "--prometheus-port", str(metrics)]
        command += ["--max-concurrent-requests", "8192"]
        async with started(command, place, port) as process:
            yield Running(port, [process.pid, *children(process.pid)], [])

    def _program(self) -> str:
        return find("smg", "pip install sglang-router")

"""A real gateway with its own store and a backend that costs nothing, for measuring."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from gateway.config.settings import Redis
from gateway.demo.store import EmbeddedStore
from gateway.state.address import open_link
from gateway.state.link import Link

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
START_SECONDS = 20.0
ACCESS_LOG = "GRAYGATE_ACCESS_LOG__PATH"


@dataclass(frozen=True, slots=True)
class Running:
    """Where everything is."""

    data_port: int
    admin_url: str
    store: Link  # the operator's connection
    workers: dict[int, int]  # worker -> process id

    def state(self) -> dict[str, object]:
        with urllib.request.urlopen(f"{self.admin_url}/api/v1/state", timeout=10) as answer:
            state: dict[str, object] = json.loads(answer.read())
        return state


@asynccontextmanager
async def running_gateway(
    workers: int,
    variables: Mapping[str, str] | None = None,
    program: str = "gateway.cli",
    python: Path = Path(sys.executable),
) -> AsyncIterator[Running]:
    """A gateway with the route `chat` (v1 stable, v2 at 0 %), ended with everything it started.

    It writes its access log to a file, unless the environment variables given say otherwise.
    """
    own_task = asyncio.current_task()
    assert own_task is not None
    # Ended from outside, a measurement must still end what it started.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, own_task.cancel)
    backend = await asyncio.start_server(_answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{backend.sockets[0].getsockname()[1]}"
    with tempfile.TemporaryDirectory(prefix="graygate-") as folder:
        store = EmbeddedStore(Path(folder) / "store", port=0)
        store.start()
        link = await open_link(Redis(url=store.url, timeout_seconds=30.0))
        for words in (
            ("HSET", "gray:route:chat:versions", "v1", url, "v2", url),
            ("HSET", "gray:route:chat:weights", "v2", "0"),
            ("HSET", "gray:route:chat", "stable", "v1"),
            ("SADD", "gray:routes", "chat"),
        ):
            await link.call(*words)
        command = [str(python), "-m", program, "serve", "--redis", store.url]
        command += ["--port", "0", "--admin-port", "0", "--workers", str(workers)]
        log = (Path(folder) / "log").open("wb")
        environment = {**os.environ, ACCESS_LOG: "access.log", **(variables or {})}
        process = subprocess.Popen(  # noqa: ASYNC220  # nothing else runs yet
            command, cwd=folder, env=environment, stderr=log, start_new_session=True
        )
        try:
            data_port, admin_url = await _addresses(Path(folder))
            yield await _ready(data_port, admin_url, link, workers)
        finally:
            process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(process.wait, 60)
            link.close()
            await link.wait_closed()
            store.stop()
            backend.close()


async def connect_to_each(
    gateway: Running,
) -> dict[int, tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """One keep-alive connection to every worker; the kernel picks, so try until each has one."""
    found: dict[int, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}
    ends = time.monotonic() + START_SECONDS
    while len(found) < len(gateway.workers):
        assert time.monotonic() < ends, "the kernel gives no connection to some worker"
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.data_port)
        await ask(reader, writer)
        worker = _owner(writer.get_extra_info("sockname")[1], gateway)
        if worker is None or worker in found:
            writer.close()
        else:
            found[worker] = (reader, writer)
    return found


async def ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, user: str = "user-1"
) -> str:
    """One request; returns the version that it was sent to."""
    writer.write(f"GET /x HTTP/1.1\r\nHost: x\r\nX-User-Id: {user}\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    await reader.readexactly(int(length.group(1)) if length else 0)
    version = re.search(rb"(?i)x-graygate-version: *(\S+)", head)
    assert version, head
    return version.group(1).decode()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError, asyncio.IncompleteReadError):
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(ANSWER)
    writer.close()


async def _addresses(folder: Path) -> tuple[int, str]:
    """The ports, from the file that the gateway writes when it is up."""
    ends = time.monotonic() + START_SECONDS
    file = folder / ".graygate" / "run.json"
    while not file.exists():
        assert time.monotonic() < ends, (folder / "log").read_text()
        await asyncio.sleep(0.02)
    told = json.loads(file.read_text())
    return int(told["data_url"].rpartition(":")[2].rstrip("/")), told["admin_url"].rstrip("/")


async def _ready(data_port: int, admin_url: str, link: Link, workers: int) -> Running:
    ends = time.monotonic() + START_SECONDS
    while True:
        running = Running(data_port, admin_url, link, {})
        state = await asyncio.to_thread(running.state)
        seen = state["workers"]
        assert isinstance(seen, list)
        if len(seen) == workers and all(worker["sequence"] for worker in seen):
            return Running(data_port, admin_url, link, {w["worker"]: w["pid"] for w in seen})
        assert time.monotonic() < ends, "the workers never got a table"
        await asyncio.sleep(0.05)


def _owner(client_port: int, gateway: Running) -> int | None:
    """Which worker has the other end of a connection of ours, by the kernel's tables."""
    local = f"{gateway.data_port:04X}"
    remote = f"{client_port:04X}"
    inode = ""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[1].endswith(f":{local}") and fields[2].endswith(f":{remote}"):
                inode = f"socket:[{fields[9]}]"
    for worker, pid in gateway.workers.items():
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                if str(os.readlink(descriptor)) == inode:  # noqa: PTH115  # a socket is no path
                    return worker
    return None

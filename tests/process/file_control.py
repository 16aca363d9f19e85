"""A control process whose store is a JSON file; everything else in it is the product's.

The file named by GRAYGATE_TEST_STORE holds {"sequence", "routes", "members"}; `members` ids called
user-0, user-1 and so on are whitelisted for v2 of the route `chat` in one large list.
GRAYGATE_TEST_LATE is how many seconds it takes to start, as on a machine with much else to do.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from gateway.process.control import Health, Parts, run_control
from gateway.process.feed import Feed
from gateway.process.handover import ControlBoot
from gateway.routing.spec import RouteSpec
from gateway.state.snapshot import MemberList, Snapshot
from tests.process.snapshots import WHITELIST, packed, snapshot

VARIABLE = "GRAYGATE_TEST_STORE"
LATE = "GRAYGATE_TEST_LATE"


class Content(msgspec.Struct):
    sequence: int
    routes: list[RouteSpec] = []
    members: int = 0


class FileStore:
    """Tells subscribers what the file holds, whenever that is something new; no file: nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._subscribers: list[Callable[[Snapshot], None]] = []
        self._known = b""

    def subscribe(self, callback: Callable[[Snapshot], None]) -> None:
        self._subscribers.append(callback)

    async def run(self) -> None:
        while True:
            self._look()
            await asyncio.sleep(0.01)

    def _look(self) -> None:
        content = self._path.read_bytes() if self._path.exists() else b""
        if content == self._known:
            return
        self._known = content
        found = msgspec.json.decode(content, type=Content)
        lists = []
        if found.members:
            lists.append(MemberList(WHITELIST, packed(found.members), found.members))
        for callback in self._subscribers:
            callback(snapshot(found.sequence, found.routes, lists))


class LineAdmin:
    """Answers each connection on the admin port with one JSON line about the control process."""

    def __init__(self, boot: ControlBoot, feed: Feed, health: Health) -> None:
        self._boot = boot
        self._feed = feed
        self._health = health
        self._server: asyncio.Server | None = None

    async def start(self, sock: socket.socket) -> None:
        self._server = await asyncio.start_server(self._answer, sock=sock)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _answer(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        about = {
            "pid": os.getpid(),
            "draining": self._health.standing.is_draining,
            "workers": [[one.pid, one.sequence] for one in self._feed.workers],
            "decisions": [[*key, count] for key, count in self._feed.ledger.decisions().items()],
            "password": self._boot.settings.redis.password.reveal(),
            "level": self._boot.settings.log.level,
            "standing": self._health.standing,
        }
        writer.write(msgspec.json.encode(about) + b"\n")
        writer.close()


def build(boot: ControlBoot, feed: Feed, health: Health) -> Parts:
    store = FileStore(Path(os.environ[VARIABLE]))
    return Parts(store, LineAdmin(boot, feed, health))


if __name__ == "__main__":
    time.sleep(float(os.environ.get(LATE, "0")))
    run_control(build)

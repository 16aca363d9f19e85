"""The operator's side of a gateway in a thread of its own, for commands that speak to one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from click.testing import CliRunner, Result

from gateway.cli.entry import graygate
from gateway.config.settings import Redis
from gateway.state.snapshot import HeldRoute
from tests.admin.running import SECONDS, Running, running
from tests.servers import wait_until


class Live:
    """What the tests of commands see of it."""

    def __init__(self, side: Running, loop: asyncio.AbstractEventLoop) -> None:
        self.side = side
        self.loop = loop  # that the API runs in
        self.url = side.url

    def run(self, *arguments: str, stdin: str | bytes | None = None, **env: str) -> Result:
        """Runs a command that speaks to this gateway."""
        told = {"GRAYGATE_GATEWAY": self.url, "USER": "alice", **env}
        return CliRunner().invoke(graygate, arguments, input=stdin, env=told)

    def out(self, *arguments: str) -> str:
        """What a command prints that must succeed."""
        done = self.run(*arguments)
        assert (done.exit_code, done.stderr) == (0, ""), done.output
        return done.stdout

    def held(self, route: str = "chat") -> HeldRoute | None:
        return self.side.store.snapshot.routes.get(route)

    def wait_revision(self, revision: int, route: str = "chat") -> None:
        """Returns when the route is in force at this revision or a later one."""
        wait_until(
            lambda: (held := self.held(route)) is not None and held.revision >= revision,
            f"{route} stands at revision {revision}",
        )


@contextmanager
def live(redis: Redis, *, token: str = "", **admin: Any) -> Iterator[Live]:
    """Runs the API in a thread until the block ends."""
    sides: list[Running] = []
    must_end = asyncio.Event()
    is_up = threading.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        async with running(redis, token=token, **admin) as side:
            sides.append(side)
            loops.append(asyncio.get_running_loop())
            is_up.set()
            await must_end.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert is_up.wait(SECONDS), "the API is up"
        yield Live(sides[0], loops[0])
    finally:
        if loops:
            loops[0].call_soon_threadsafe(must_end.set)
        thread.join(SECONDS)

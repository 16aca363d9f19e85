"""A worker process: routes and proxies requests, by the tables that control sends.

It starts to accept connections when it holds a table; until then they wait in the socket. When no
table comes for a while, it accepts all the same and says so to each client, unless it is to take
over from a worker that does hold one.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
import time

import uvloop

from gateway.errors import GraygateError
from gateway.process import log
from gateway.process.channel import Hello, Totals, Update
from gateway.process.counting import totals_of
from gateway.process.handover import READY, TABLE, Lifeline, WorkerBoot, receive_boot
from gateway.process.identity import identity_of
from gateway.process.link import Link
from gateway.process.picture import Picture
from gateway.proxy.plane import DataPlane

_log = logging.getLogger(__name__)

_FIRST_TABLE_SECONDS = 2.0


class Worker:
    """Connects the parts of one worker and owns its tasks."""

    def __init__(self, boot: WorkerBoot, lifeline: Lifeline) -> None:
        self._boot = boot
        self._lifeline = lifeline
        self._picture = Picture(identity_of(boot.settings.routing))
        self._plane = DataPlane(boot.settings)
        self._has_table = asyncio.Event()
        self._must_end = asyncio.Event()
        hello = Hello(worker=boot.index, pid=os.getpid(), born=time.monotonic_ns())
        self._link = Link(boot.channel_path, hello, self._take, self._count)

    def __repr__(self) -> str:
        return f"<Worker {self._boot.index} with {self._plane.table!r}>"

    async def run(self) -> None:
        """Works until it is told to end and its requests are finished."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)
        self._lifeline.start(lambda _word: None)
        async with asyncio.TaskGroup() as tasks:
            helpers = [tasks.create_task(self._link.run()), tasks.create_task(self._watch())]
            if await self._may_accept():
                await self._plane.start(socket.socket(fileno=self._boot.data_fd))
                self._lifeline.say(READY)
                # What is alive now stays: the collector need not look at it again and again.
                gc.collect()
                gc.freeze()
                await self._must_end.wait()
                await self._plane.drain(self._boot.settings.process.drain_seconds)
            for helper in helpers:
                helper.cancel()
        self._lifeline.close()

    def _take(self, update: Update) -> None:
        self._plane.table = self._picture.apply(update)
        if not self._has_table.is_set():
            self._has_table.set()
            self._lifeline.say(TABLE)

    def _count(self) -> Totals:
        return totals_of(self._plane)

    async def _may_accept(self) -> bool:
        """Waits for the first table; False when the worker must end before it accepted anything."""
        waiting = [asyncio.create_task(one.wait()) for one in (self._has_table, self._must_end)]
        patience = None if self._boot.must_hold_table else _FIRST_TABLE_SECONDS
        await asyncio.wait(waiting, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        if not self._has_table.is_set() and not self._must_end.is_set():
            _log.warning("There is no table to route by yet; clients get 503 until there is one.")
        return not self._must_end.is_set()

    async def _watch(self) -> None:
        await self._lifeline.supervisor_gone.wait()
        _log.warning("The supervisor is gone; finishing the running requests.")
        self._must_end.set()

    def _end(self) -> None:
        if self._must_end.is_set():
            os._exit(1)  # told twice: at once
        self._must_end.set()


async def _run(boot: WorkerBoot, end: socket.socket) -> None:
    await Worker(boot, Lifeline(end)).run()


def main() -> None:
    end = socket.socket(fileno=int(sys.argv[1]))
    try:
        boot = receive_boot(end, WorkerBoot)
        log.configure(boot.settings.log, f"worker {boot.index}")
        uvloop.run(_run(boot, end))
    except GraygateError as error:
        sys.exit(str(error))
    except Exception:
        _log.exception("The worker failed.")
        sys.exit(1)


if __name__ == "__main__":
    main()

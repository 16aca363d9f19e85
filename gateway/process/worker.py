"""A worker process: routes and proxies requests, by the tables that control sends.

It starts to accept connections when it holds a table; until then they wait in the socket. When
control is at work and no table comes for a while, it accepts all the same and says so to each
client, unless it is to take over from a worker that does hold one.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import signal
import socket
import sys
import time

import uvloop

from gateway.config.secret import secrets_in
from gateway.errors import GraygateError
from gateway.process import log
from gateway.process.channel import Hello, Strata, Totals, Update
from gateway.process.collector import calm_collector
from gateway.process.counting import totals_of
from gateway.process.handover import (
    ALIVE,
    READY,
    RETIRE,
    TABLE,
    Lifeline,
    WorkerBoot,
    receive_boot,
)
from gateway.process.identity import identity_of
from gateway.process.link import Link
from gateway.process.outlet import Outlet
from gateway.process.picture import Picture
from gateway.process.second import WORKERS_SEND_AFTER, seconds_until
from gateway.process.sockets import turn_away
from gateway.process.vitals import Meter, Pulse
from gateway.proxy.plane import DataPlane

_log = logging.getLogger(__name__)

_CONTROL_SECONDS = 15.0  # for control to be at work, on a machine that has much else to do
_FIRST_TABLE_SECONDS = 2.0  # after that, to find a table in the store or on disk
_LAST_CALL_SECONDS = 0.2  # for handshakes that are under way when no more are begun


class Worker:
    """Connects the parts of one worker and owns its tasks."""

    def __init__(self, boot: WorkerBoot, lifeline: Lifeline) -> None:
        self._boot = boot
        self._lifeline = lifeline
        self._picture = Picture(identity_of(boot.settings.routing))
        self._plane = DataPlane(boot.settings)
        self._has_table = asyncio.Event()
        self._must_end = asyncio.Event()
        self._is_replaced = False
        self._is_told = False
        self._meter = Meter(time.time())
        self._pulse = Pulse(lambda: lifeline.say(ALIVE))
        born = time.monotonic_ns()
        hello = Hello(worker=boot.index, pid=os.getpid(), born=born, knows_heard=True)
        self._link = Link(boot.channel_path, hello, self._take, self._count)
        self._outlet = Outlet(self._link)
        self._plane.on_pair = self._outlet.tell_pair

    def __repr__(self) -> str:
        return f"<Worker {self._boot.index} with {self._plane.table!r}>"

    async def run(self) -> None:
        """Works until it is told to end and its requests are finished."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)
        self._lifeline.start(self._hear)
        async with asyncio.TaskGroup() as tasks:
            helpers = [
                tasks.create_task(self._link.run()),
                tasks.create_task(self._pulse.run()),
                tasks.create_task(self._watch()),
                tasks.create_task(self._measure()),
            ]
            has_accepted = await self._may_accept()
            if has_accepted:
                await self._serve(socket.socket(fileno=self._boot.data_fd))
            for helper in helpers:
                helper.cancel()
        # Without a supervisor control ends as well: nobody is left who would hear it.
        if has_accepted and not self._lifeline.supervisor_gone.is_set():
            self._say_strata()
            await self._link.finish()
        self._lifeline.close()

    async def _serve(self, listening: socket.socket) -> None:
        await self._plane.start(listening)
        self._lifeline.say(READY)
        calm_collector()
        await self._must_end.wait()
        # Another worker, or the next gateway, has the same socket: it takes what waits in there.
        is_last = self._boot.owns_queue and not self._is_replaced
        await self._plane.drain(
            self._boot.settings.process.drain_seconds,
            last_call_seconds=_LAST_CALL_SECONDS if is_last and turn_away(listening) else 0.0,
            keeps_idle=lambda: self._is_replaced and not self._is_told,
        )

    def _take(self, update: Update) -> None:
        self._plane.table = self._picture.apply(update)
        if not self._has_table.is_set():
            self._has_table.set()
            self._lifeline.say(TABLE)

    def _count(self) -> Totals:
        dropped = {"strata": self._link.dropped} if self._link.dropped else {}
        dropped |= self._outlet.dropped(self._plane.answered.dropped)
        return totals_of(self._plane, self._meter.vitals(self._pulse.lag_seconds), dropped)

    async def _measure(self) -> None:
        while True:
            await asyncio.sleep(seconds_until(time.time(), WORKERS_SEND_AFTER))
            self._say_strata()

    def _say_strata(self) -> None:
        now = int(time.time())
        answers = self._plane.answered.take()
        if answers:
            self._outlet.tell_answers(answers)
        cells, events, sketches = self._plane.strata.take(now)
        if cells or events:
            self._link.say(
                Strata(sent=now, cells=tuple(cells), events=tuple(events), sketches=tuple(sketches))
            )

    async def _may_accept(self) -> bool:
        """Waits for the first table; False when the worker must end before it accepted anything."""
        decided = (self._has_table, self._must_end)
        if self._boot.must_hold_table:
            await _first_of(*decided)
        else:
            await _first_of(*decided, self._link.was_heard, seconds=_CONTROL_SECONDS)
            await _first_of(*decided, seconds=_FIRST_TABLE_SECONDS)
        if not self._has_table.is_set() and not self._must_end.is_set():
            _log.warning("There is no table to route by yet; clients get 503 until there is one.")
        return not self._must_end.is_set()

    async def _watch(self) -> None:
        await self._lifeline.supervisor_gone.wait()
        _log.warning("The supervisor is gone; finishing the running requests.")
        self._must_end.set()

    def _hear(self, word: str) -> None:
        if word == RETIRE:
            self._is_replaced = True
            self._must_end.set()

    def _end(self) -> None:
        if self._is_told:
            os._exit(1)  # told twice: at once
        self._is_told = True
        self._must_end.set()


async def _first_of(*events: asyncio.Event, seconds: float | None = None) -> None:
    """Waits until one of them is set, or for so many seconds."""
    waiting = [asyncio.create_task(one.wait()) for one in events]
    await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def _run(boot: WorkerBoot, end: socket.socket) -> None:
    await Worker(boot, Lifeline(end)).run()


def main() -> None:
    faulthandler.enable()  # a worker that hangs is ended by SIGABRT, and tells where it was
    end = socket.socket(fileno=int(sys.argv[1]))
    try:
        boot = receive_boot(end, WorkerBoot)
        settings = boot.settings
        role = f"worker {boot.index}"
        log.configure(settings.log, role, secrets=secrets_in(settings))
        uvloop.run(_run(boot, end))
    except GraygateError as error:
        sys.exit(str(error))
    except Exception:
        _log.exception("The worker failed.")
        sys.exit(1)


if __name__ == "__main__":
    main()

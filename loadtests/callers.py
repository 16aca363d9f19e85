"""Clients on keep-alive connections, each with one request at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import cast

from loadtests.cases import Case

OK = b"HTTP/1.1 200 "
_OPENED_AT_ONCE = 100


class Load:
    """So many requests over so many connections, the next one when the last is answered."""

    def __init__(self, port: int, case: Case) -> None:
        self.requests = case.requests()
        self.least = case.answer_bytes
        self.usual = -1  # bytes of a whole answer; most answers are as long as the first
        self.failed = 0
        self.complaint = ""
        self.left = 0
        self._port = port
        self._connections = case.connections
        self._active = case.active or case.connections
        self._callers: list[Caller] = []
        self._resting: deque[Caller] = deque()
        self._busy = 0
        self._connecting: set[asyncio.Task[None]] = set()

    async def run(self, count: int) -> None:
        if not self._callers:
            self._callers = [Caller(self) for _ in range(self._connections)]
            for start in range(0, self._connections, _OPENED_AT_ONCE):
                some = self._callers[start : start + _OPENED_AT_ONCE]
                await asyncio.gather(*(self.connect(caller) for caller in some))
        self.left = count
        self._busy = self._active
        self._finished = asyncio.get_running_loop().create_future()
        self._resting.extend(self._callers[self._active :])
        for caller in self._callers[: self._active]:
            caller.next()
        await self._finished
        self._resting.clear()

    def relieve(self, caller: Caller) -> Caller:
        """Who has the next request: the one who rested longest, where some rest."""
        if not self._resting:
            return caller
        self._resting.append(caller)
        return self._resting.popleft()

    async def connect(self, caller: Caller) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: caller, "127.0.0.1", self._port)

    def reconnect(self, caller: Caller) -> None:
        task = asyncio.create_task(self._connect_and_go_on(caller))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect_and_go_on(self, caller: Caller) -> None:
        try:
            await self.connect(caller)
        except OSError as error:
            self._finished.set_exception(error)
        else:
            caller.next()

    def stopped(self) -> None:
        self._busy -= 1
        if self._busy == 0:
            self._finished.set_result(None)

    def close(self) -> None:
        for caller in self._callers:
            caller.close()


class Caller(asyncio.Protocol):
    """One keep-alive connection of a client; it may be made anew."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._missing = 0  # bytes of a long answer whose head is here
        self._received = b""
        self._is_waiting = False
        self._closes = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def next(self) -> None:
        load = self._load
        if load.left <= 0:
            self._is_waiting = False
            load.stopped()
        elif self._transport is None:
            load.reconnect(self)
        else:
            load.left -= 1
            self._is_waiting = True
            self._transport.write(next(load.requests))

    def data_received(self, data: bytes) -> None:
        if len(data) == self._load.usual and data.startswith(OK):
            self._is_waiting = False
            self._load.relieve(self).next()
        elif self._missing > 0:
            self._missing -= len(data)
            if self._missing <= 0:
                self._answered()
        else:
            self._look(self._received + data)

    def _look(self, received: bytes) -> None:
        """A first, a long, a cut or an unusual answer."""
        self._received = received
        end = received.find(b"\r\n\r\n")
        if end == -1:
            return
        head = received[:end].lower()
        _, named, value = head.partition(b"\r\ncontent-length:")
        length = end + 4 + int(value.partition(b"\r\n")[0]) if named else -1
        if not named and not received.endswith(b"0\r\n\r\n"):
            return
        self._received = b""
        self._closes = b"\r\nconnection: close" in head
        if not received.startswith(OK) or 0 < length < self._load.least:
            self._load.failed += 1
            self._load.complaint = self._load.complaint or repr(received[-400:])
        self._missing = length - len(received) if named else 0
        if self._missing <= 0:
            if named and not self._closes:
                self._load.usual = len(received)
            self._answered()

    def _answered(self) -> None:
        self._missing = 0
        if not self._closes:  # else it goes on when the other side has closed
            self._is_waiting = False
            self._load.relieve(self).next()

    def connection_lost(self, reason: Exception | None) -> None:
        self._transport = None
        if self._is_waiting:
            self._load.failed += not self._closes
            self._closes, self._missing, self._received = False, 0, b""
            self.next()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

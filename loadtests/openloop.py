"""Load that does not wait for answers: a request is due when its time has come, as with users.

What a request waits because the others before it are late counts as its own delay. A client that
sends the next request when the last one is answered would leave out just those that are slow.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from typing import cast

from loadtests.cases import Case

OK = b"HTTP/1.1 200 "
_TICK_SECONDS = 0.001
_PATIENCE_SECONDS = 30.0


class OpenLoop:
    """Sends `rate` requests a second over kept connections; times are in milliseconds."""

    def __init__(self, port: int, case: Case, rate: float, connections: int) -> None:
        self.delays: list[float] = []  # from when a request was due to the end of its answer
        self.failed = 0
        self.complaint = ""
        self._requests = case.requests()
        self._port = port
        self._rate = rate
        self._idle: deque[_Connection] = deque()
        self._connections = connections
        self._due: deque[float] = deque()  # requests that found no connection free
        self._open = 0

    async def run(self, seconds: float) -> None:
        """Returns when all are answered."""
        loop = asyncio.get_running_loop()
        while len(self._idle) < self._connections:
            made = _Connection(self)
            await loop.create_connection(lambda made=made: made, "127.0.0.1", self._port)  # type: ignore[misc]
            self._idle.append(made)
        started = due = time.perf_counter()
        while due < started + seconds:
            now = time.perf_counter()
            while due <= now:
                self._send(due)
                due += random.expovariate(self._rate)
            await asyncio.sleep(_TICK_SECONDS)
        await self._all_answered()

    async def _all_answered(self) -> None:
        ends = time.perf_counter() + _PATIENCE_SECONDS
        while time.perf_counter() < ends:
            if not (self._open or self._due):
                return
            await asyncio.sleep(_TICK_SECONDS)
        self.fail(f"{self._open + len(self._due)} requests never had an answer")

    def forget(self) -> None:
        self.delays, self.failed, self.complaint = [], 0, ""

    def close(self) -> None:
        for connection in self._idle:
            connection.close()

    def answered(self, connection: _Connection, due: float) -> None:
        self._open -= 1
        self.delays.append((time.perf_counter() - due) * 1000)
        self._idle.append(connection)
        if self._due:
            self._send(self._due.popleft())

    def fail(self, words: str) -> None:
        self.failed += 1
        self.complaint = self.complaint or words

    def _send(self, due: float) -> None:
        if not self._idle:
            self._due.append(due)
            return
        self._open += 1
        # First in, first out: all connections stay warm.
        self._idle.popleft().send(next(self._requests), due)


class _Connection(asyncio.Protocol):
    """One request at a time; answers have a known length."""

    def __init__(self, load: OpenLoop) -> None:
        self._load = load
        self._received = b""
        self._due = 0.0
        self._is_closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def send(self, request: bytes, due: float) -> None:
        self._due = due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        received = self._received + data
        end = received.find(b"\r\n\r\n")
        _, named, value = received[:end].lower().partition(b"\r\ncontent-length:")
        if end == -1 or not named or len(received) - end - 4 < int(value.partition(b"\r\n")[0]):
            self._received = received
            return
        self._received = b""
        if not received.startswith(OK):
            self._load.fail(repr(received[:200]))
        self._load.answered(self, self._due)

    def connection_lost(self, reason: Exception | None) -> None:
        if not self._is_closed:
            self._load.fail(f"a connection ended before it should ({reason})")

    def close(self) -> None:
        self._is_closed = True
        self._transport.close()

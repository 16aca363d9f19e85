"""Keep-alive connections that have had one answer and wait for their next request."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import cast

_OK = b"HTTP/1.1 200 "
_AT_ONCE = 100
_PATIENCE_SECONDS = 30.0
# Connections of one source address: the kernel has some 28,000 ports for each, and those that were
# closed keep theirs for a minute. On Linux all of 127.0.0.0/8 is the loopback.
_PER_ADDRESS = 5000
_ADDRESSES = 200


class Held:
    """Counts what is wrong with them: answers that are no 200 or never come, connections lost."""

    def __init__(self, port: int, requests: Iterator[bytes]) -> None:
        self.failed = 0
        self.lost = 0
        self.complaint = ""  # about the first of them
        self._port = port
        self._requests = requests
        self._made = 0
        self._connections: list[_Connection] = []

    def __len__(self) -> int:
        return len(self._connections)

    async def open(self, count: int) -> None:
        """Returns when each of so many more has had its answer."""
        for start in range(0, count, _AT_ONCE):
            some = [_Connection(self) for _ in range(min(_AT_ONCE, count - start))]
            await asyncio.gather(*(self._connect(connection) for connection in some))
            self._connections += some
            await self._ask(some)

    async def ask_all(self) -> None:
        """One more request on each: who has been lost cannot answer."""
        for start in range(0, len(self._connections), _AT_ONCE):
            await self._ask(self._connections[start : start + _AT_ONCE])

    async def _connect(self, connection: _Connection) -> None:
        source = f"127.0.0.{2 + self._made // _PER_ADDRESS % _ADDRESSES}"
        self._made += 1
        loop = asyncio.get_running_loop()
        await loop.create_connection(
            lambda: connection, "127.0.0.1", self._port, local_addr=(source, 0)
        )

    async def _ask(self, connections: list[_Connection]) -> None:
        answers = [connection.ask(next(self._requests)) for connection in connections]
        _, late = await asyncio.wait(answers, timeout=_PATIENCE_SECONDS)
        if late:
            self.fail(f"{len(late)} requests never had an answer", len(late))

    def fail(self, words: str, count: int = 1) -> None:
        self.failed += count
        self.complaint = self.complaint or words

    def lose(self, words: str) -> None:
        self.lost += 1
        self.complaint = self.complaint or words

    def close(self) -> None:
        for connection in self._connections:
            connection.close()
        self._connections = []


class _Connection(asyncio.Protocol):
    """One request at a time; answers have a known length."""

    def __init__(self, held: Held) -> None:
        self._held = held
        self._received = b""
        self._is_closed = False
        self._answer: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def ask(self, request: bytes) -> asyncio.Future[None]:
        """Done when it has its answer, or never will."""
        self._answer = answer = asyncio.get_running_loop().create_future()
        if self._is_closed:
            self._held.fail("a request for a connection that was lost")
            self._answered()
        else:
            self._transport.write(request)
        return answer

    def data_received(self, data: bytes) -> None:
        received = self._received + data
        end = received.find(b"\r\n\r\n")
        _, named, value = received[:end].lower().partition(b"\r\ncontent-length:")
        if end == -1 or not named or len(received) - end - 4 < int(value.partition(b"\r\n")[0]):
            self._received = received
            return
        self._received = b""
        if not received.startswith(_OK):
            self._held.fail(repr(received[:200]))
        self._answered()

    def _answered(self) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(None)

    def connection_lost(self, reason: Exception | None) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self._held.lose(f"a connection ended before it should ({reason})")
        if self._answer is not None and not self._answer.done():
            self._held.fail("a connection ended before its answer")
            self._answered()

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._transport.close()

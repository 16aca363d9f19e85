"""One end of a raw connection: keeps every byte that came, sends exactly what it is told."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import Callable
from enum import Enum
from typing import cast

SECONDS = 10.0  # the deadline of every wait


class Ending(Enum):
    """How the other side ended the connection."""

    FIN = "fin"
    RESET = "reset"


async def until(condition: Callable[[], bool], what: str, seconds: float = SECONDS) -> None:
    """Waits for something that tells nobody when it happens."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"within {seconds:g} s: {what}"
        await asyncio.sleep(0.001)


class Link(asyncio.Protocol):
    """Stays open for writing when the other side has said its last."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.pieces = 0  # in how many reads it came
        self.ending: Ending | None = None
        self.is_full = False  # what is sent waits here
        self._taken = 0  # of `received`, by whoever reads
        self._changed = asyncio.Event()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.ending}, {bytes(self.rest[:200])!r}>"

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.socket: socket.socket = transport.get_extra_info("socket")
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        self.received += data
        self.pieces += 1
        self._changed.set()

    def eof_received(self) -> bool:
        self.ending = Ending.FIN
        self._changed.set()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        if self.ending is None:
            self.ending = Ending.RESET
        self._changed.set()

    def pause_writing(self) -> None:
        self.is_full = True

    def resume_writing(self) -> None:
        self.is_full = False
        self._changed.set()

    # Reading.

    @property
    def rest(self) -> bytes:
        """What came and was not read yet."""
        return bytes(self.received[self._taken :])

    @property
    def taken(self) -> int:
        """How many bytes were read."""
        return self._taken

    @property
    def has_more(self) -> bool:
        """Whether there is something to read, be it the end."""
        return self._taken < len(self.received) or self.ending is not None

    async def when(
        self, condition: Callable[[], bool], what: str, seconds: float | None = SECONDS
    ) -> None:
        """Waits for something that only what comes on this connection can bring about."""
        try:
            async with asyncio.timeout(seconds):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"within {seconds} s: {what}; there is {self!r}") from None

    async def exactly(self, count: int) -> bytes:
        end = self._taken + count
        await self.when(lambda: self._has(end), f"{count} bytes")
        assert len(self.received) >= end, f"ended before {count} bytes: {self!r}"
        return self._take(end)

    async def through(self, marker: bytes) -> bytes:
        """All up to the marker and the marker itself."""
        found = -1
        start = self._taken

        def has_it() -> bool:
            nonlocal found, start
            found = self.received.find(marker, start)
            start = max(self._taken, len(self.received) - len(marker))
            return found >= 0 or self.ending is not None

        await self.when(has_it, f"{marker!r}")
        assert found >= 0, f"ended before {marker!r}: {self!r}"
        return self._take(found + len(marker))

    async def to_end(self, ending: Ending | None = Ending.FIN) -> bytes:
        """All that still comes; the end must be of this kind, unless None."""
        await self.when(lambda: self.ending is not None, "the end of the connection")
        assert ending in (None, self.ending), f"not ended by {ending}: {self!r}"
        return self._take(len(self.received))

    def _has(self, end: int) -> bool:
        return len(self.received) >= end or self.ending is not None

    def _take(self, end: int) -> bytes:
        data = bytes(self.received[self._taken : end])
        self._taken = end
        return data

    def hold(self) -> None:
        """Reads nothing more, so that the other side cannot send for ever."""
        self.transport.pause_reading()

    def go_on(self) -> None:
        self.transport.resume_reading()

    # Sending.

    def send(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(data)

    async def flush(self) -> None:
        """Waits until the kernel has all of it, or nobody wants it any more."""

        def is_out() -> bool:
            return self.transport.is_closing() or not self.transport.get_write_buffer_size()

        await until(is_out, "all is sent")

    async def drip(self, data: bytes) -> None:
        """Sends byte by byte, each in a segment of its own, until the other side is gone."""
        for byte in data:
            if self.transport.is_closing() or self.ending is not None:
                return
            self.transport.write(bytes((byte,)))
            await asyncio.sleep(0)  # the write leaves
            await asyncio.sleep(0)  # the other side, in this loop, reads it

    def finish(self) -> None:
        """Says its last, and goes on reading."""
        self.transport.write_eof()

    def close(self) -> None:
        self.transport.close()

    def reset(self) -> None:
        """Ends the connection the hard way; what waits to be sent is lost."""
        with contextlib.suppress(OSError, ValueError):  # it may be closed already
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

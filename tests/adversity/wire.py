"""A TCP proxy that does to a connection what networks do: it stands between any two parts."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

_READ_BYTES = 64 * 1024
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER of no time: close() sends RST


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to the bytes of one direction; nothing by default."""

    name: str = "none"
    delay_seconds: float = 0.0  # before each piece
    piece_bytes: int = _READ_BYTES  # how much goes on at once
    after_bytes: int | None = None  # of a connection, that pass before `ending` or `corrupts`
    ending: str = ""  # cut, reset, half_close, blackhole
    corrupts: bool = False  # one bit of the byte behind those


@dataclass(slots=True)
class Faults:
    """What the wire does at present, to each direction."""

    there: Fault = field(default_factory=Fault)  # from who connects to whom it connects to
    back: Fault = field(default_factory=Fault)


class Wire:
    """Listens on a port of its own and passes on to `target`; new connections meet `faults`."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.faults = Faults()
        self.port = 0
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="wire")
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._listen)
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._end)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def inflict(self, *, there: Fault | None = None, back: Fault | None = None) -> None:
        """The connections that are open now end; those that follow meet these faults."""
        self.faults = Faults(there or Fault(), back or Fault())
        self.break_all()

    def mend(self) -> None:
        self.inflict()

    def break_all(self) -> None:
        """Resets every open connection."""
        self._do(self._break)

    def refuse(self) -> None:
        """Nobody listens any more, and what is open is reset."""
        self._do(self._close)

    def listen(self) -> None:
        """Takes connections again, on the same port."""
        self._do(self._listen)

    def _do(self, work: Callable[[], object]) -> None:
        async def run() -> None:
            result = work()
            if asyncio.iscoroutine(result):
                await result

        asyncio.run_coroutine_threadsafe(run(), self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        # Closed at once, asyncio would lose connections that it has taken just now, and leave them
        # open: first nothing more is taken, until all that were are among the tasks.
        for listening in self._server.sockets:
            self._loop.remove_reader(listening.fileno())
        for _ in range(3):
            await asyncio.sleep(0)
        self._server.close()
        await self._break()

    async def _end(self) -> None:
        await self._close()
        await self._server.wait_closed()

    async def _break(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._carry(reader, writer, self.faults))
        self._tasks.add(task)

        def end(task: asyncio.Task[None]) -> None:
            """Also of one that was cancelled before its first step, or while it connected."""
            self._tasks.discard(task)
            if not writer.is_closing():
                _abort(writer)

        task.add_done_callback(end)

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, faults: Faults
    ) -> None:
        try:
            their_reader, their_writer = await asyncio.open_connection(*self._target)
        except OSError:
            return
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pass_on(reader, their_writer, faults.there))
                both.create_task(_pass_on(their_reader, writer, faults.back))
        except* (_Broken, OSError):
            pass
        except* asyncio.CancelledError:
            pass
        finally:
            is_cut = "cut" in (faults.there.ending, faults.back.ending)
            for end in (writer, their_writer):
                end.close() if is_cut else _abort(end)


class _Broken(Exception):
    """The connection ends here, in both directions."""


async def _pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fault: Fault
) -> None:
    passed = 0
    while data := await reader.read(fault.piece_bytes):
        if fault.delay_seconds:
            await asyncio.sleep(fault.delay_seconds)
        room = None if fault.after_bytes is None else fault.after_bytes - passed
        if room is not None and len(data) > room >= 0:
            if fault.corrupts:
                data = data[:room] + bytes([data[room] ^ 1]) + data[room + 1 :]
            elif fault.ending:
                writer.write(data[:room])
                await writer.drain()
                await _end_as(fault.ending, reader, writer)
                return
        passed += len(data)
        writer.write(data)
        await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()


async def _end_as(ending: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    if ending == "half_close":
        writer.write_eof()
    elif ending != "blackhole":
        raise _Broken
    while await reader.read(_READ_BYTES):
        pass  # taken, and never passed on
    if ending == "blackhole":
        await asyncio.Event().wait()  # not even the end


def _abort(writer: asyncio.StreamWriter) -> None:
    sock: socket.socket | None = writer.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()

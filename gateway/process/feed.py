"""Control's end of the channel: brings every worker to the newest snapshot, and hears their counts.

Each worker is served by a task of its own that knows what was sent to it last. A slow worker only
keeps itself waiting; when it is ready again it gets the difference to the newest snapshot, and
never sees what was in between.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import ChannelError
from gateway.process.books import Books
from gateway.process.channel import (
    PROTOCOL,
    Answers,
    Ends,
    FrameReader,
    Heard,
    Hello,
    Holds,
    Kept,
    Pairs,
    Strata,
    ToControl,
    Totals,
    decode_for_control,
    encode,
)
from gateway.process.publish import ListFiles, difference
from gateway.process.strata import StrataSums
from gateway.proxy.pair import Pair
from gateway.state.snapshot import Snapshot

_log = logging.getLogger(__name__)

_READ_BYTES = 64 * 1024
_HELLO_SECONDS = 5.0
_TRY_AGAIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class WorkerState:
    """What a connected worker routes by."""

    worker: int
    pid: int
    sequence: int | None  # None = nothing yet


class _Link:
    """One connected worker: what was sent to it, and what it has said that it holds."""

    def __init__(self, hello: Hello, writer: asyncio.StreamWriter) -> None:
        self.hello = hello
        self.writer = writer
        self.held: int | None = None
        self.sent: Snapshot | None = None  # the newest one it was sent
        self.unconfirmed: list[Snapshot] = []
        self.wake = asyncio.Event()
        self.is_ending = False  # it has said its last counts, and needs no table

    def confirm(self, sequence: int) -> None:
        self.held = sequence
        self.unconfirmed = [one for one in self.unconfirmed if one.sequence > sequence]


class Feed:
    """The server of the channel; `publish` may be called at any time, `run` must be running."""

    def __init__(self, listening: socket.socket, folder: Path) -> None:
        self._books = Books(folder)
        self.ledger = self._books.read()
        self.strata = StrataSums()
        self.on_pairs: Callable[[tuple[Pair, ...]], None] = _let_go
        self.on_answers: Callable[[Answers], None] = _let_go
        self._listening = listening
        self._files = ListFiles(folder)
        self._links: set[_Link] = set()
        self._wanted: Snapshot | None = None
        self._preparing: Snapshot | None = None  # its files are being written
        self._current: Snapshot | None = None  # its files are there
        self._changed = asyncio.Event()
        self._encoded: tuple[Snapshot | None, Snapshot, bytes] | None = None

    def __repr__(self) -> str:
        sequence = None if self._current is None else self._current.sequence
        return f"<Feed of {len(self._links)} workers at {sequence}>"

    @property
    def workers(self) -> tuple[WorkerState, ...]:
        """The connected workers, by place and age."""
        links = sorted(self._links, key=lambda link: (link.hello.worker, link.hello.born))
        return tuple(WorkerState(one.hello.worker, one.hello.pid, one.held) for one in links)

    def publish(self, snapshot: Snapshot) -> None:
        """From now on this is what all workers must hold; call it only with what is known."""
        self._wanted = snapshot
        self._changed.set()

    async def run(self) -> None:
        """Serves until it is cancelled, and closes the listening socket then."""
        loop = asyncio.get_running_loop()
        self._listening.setblocking(False)
        self._files.sweep_leftovers()
        with self._listening:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keep_current())
                while True:
                    try:
                        connection, _ = await loop.sock_accept(self._listening)
                    except OSError as error:  # no descriptors left, most likely
                        _log.error("No worker can connect to control: %s.", error.strerror)
                        await asyncio.sleep(_TRY_AGAIN_SECONDS)
                        continue
                    tasks.create_task(self._serve(connection))

    async def _keep_current(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            wanted = self._wanted
            if wanted is not None and wanted is not self._current:
                await self._prepare(wanted)

    async def _prepare(self, wanted: Snapshot) -> None:
        self._preparing = wanted
        try:
            current = self._current
            is_same = current is not None and wanted.lists is current.lists
            if not is_same and self._files.is_missing_any(wanted):
                await asyncio.to_thread(self._files.write_missing, wanted)
        except OSError as error:
            _log.error("Workers stay behind: a list cannot be written (%s).", error.strerror)
            await asyncio.sleep(_TRY_AGAIN_SECONDS)
            self._changed.set()
            return
        self._current = wanted
        self._sweep()
        for link in self._links:
            link.wake.set()

    def _sweep(self) -> None:
        needed = [one for link in self._links for one in link.unconfirmed]
        needed += [one for one in (self._current, self._preparing) if one is not None]
        self._files.keep_only(needed)

    async def _serve(self, connection: socket.socket) -> None:
        reader, writer = await asyncio.open_unix_connection(sock=connection)
        try:
            await self._talk(reader, writer)
        except* ChannelError as group:
            for error in group.exceptions:
                _log.error("The channel to a worker was closed: %s", error)
        except* (OSError, TimeoutError):
            pass  # the worker is gone; whoever lives connects again
        finally:
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        frames = FrameReader()
        async with asyncio.timeout(_HELLO_SECONDS):
            bodies = await _read(reader, frames)
        if not bodies:
            return
        link = _Link(_hello(bodies.pop(0)), writer)
        self._links.add(link)
        if link.hello.knows_heard:
            writer.write(encode(Heard()))
        if self.ledger.join(link.hello.worker, link.hello.born):
            self._books.settle(self.ledger)
        try:
            async with asyncio.TaskGroup() as tasks:
                sending = tasks.create_task(self._send(link))
                while True:
                    for body in bodies:
                        self._take(link, decode_for_control(body))
                    if not (bodies := await _read(reader, frames)):
                        break
                sending.cancel()
        finally:
            self._links.discard(link)
            if self.ledger.leave(link.hello.worker, link.hello.born):
                self._books.settle(self.ledger)
            self._sweep()

    def _take(self, link: _Link, message: ToControl) -> None:
        match message:
            case Holds(sequence=sequence):
                link.confirm(sequence)
                self._sweep()
            case Totals():
                if self.ledger.put(link.hello.worker, link.hello.born, message):
                    self._books.keep(link.hello.worker, link.hello.born, message)
            case Strata():
                self.strata.put(message)
            case Pairs(pairs=pairs):
                self.on_pairs(pairs)
            case Answers():
                self.on_answers(message)
            case Ends():
                link.is_ending = True
                link.writer.write(encode(Kept()))
            case Hello():
                raise ChannelError("it introduced itself twice")

    async def _send(self, link: _Link) -> None:
        # A worker that ends takes nothing any more, but its last words may still be unread.
        with contextlib.suppress(OSError):
            await self._keep_sending(link)

    async def _keep_sending(self, link: _Link) -> None:
        while not link.is_ending:
            current = self._current
            if current is not None and current is not link.sent:
                frame = self._frame(link.sent, current)
                link.sent = current
                link.unconfirmed.append(current)
                link.writer.write(frame)
                await link.writer.drain()
            else:
                link.wake.clear()
                await link.wake.wait()

    def _frame(self, held: Snapshot | None, wanted: Snapshot) -> bytes:
        # Most of the time all workers take the same step.
        if self._encoded is not None and self._encoded[0] is held and self._encoded[1] is wanted:
            return self._encoded[2]
        frame = encode(difference(held, wanted, self._files))
        self._encoded = (held, wanted, frame)
        return frame


def _let_go(_: object) -> None:
    """Nobody wants it."""


def _hello(body: bytes) -> Hello:
    message = decode_for_control(body)
    if not isinstance(message, Hello) or message.protocol != PROTOCOL:
        raise ChannelError("it speaks another release's language; send SIGHUP to replace it")
    return message


async def _read(reader: asyncio.StreamReader, frames: FrameReader) -> list[bytes]:
    """The next complete messages; none at all when the other side is gone."""
    bodies: list[bytes] = []
    while not bodies:
        data = await reader.read(_READ_BYTES)
        if not data:
            return []
        bodies = frames.feed(data)
    return bodies

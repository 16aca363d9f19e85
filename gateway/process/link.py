"""A worker's end of the channel: follows control, and connects again for ever."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable

from gateway.errors import ChannelError
from gateway.process.channel import (
    Ends,
    FrameReader,
    Heard,
    Hello,
    Holds,
    Kept,
    Strata,
    Totals,
    Update,
    decode_for_worker,
    encode,
)

_log = logging.getLogger(__name__)

_READ_BYTES = 256 * 1024
_TOTALS_SECONDS = 1.0
_FINISH_SECONDS = 3.0  # longer than it takes to replace a control that was killed
_LEAST_PAUSE_SECONDS = 0.05
_MOST_PAUSE_SECONDS = 1.0
_MOST_WAITING = 120  # strata while control is away: as many seconds
_MOST_OFFERED_BYTES = 256 * 1024  # unread: beyond that nothing is offered that may be lost
_MOST_UNREAD_BYTES = 1024 * 1024  # of a control that stands still, which is as good as away


class Link:
    """Hands every update to `take`, and sends what `count` says once a second.

    `take` raises ChannelError for an update that it cannot follow; the connection is made anew
    then, and the next update is a full one. While control is away the worker works with what it
    has: the supervisor holds the listening socket, so a new control finds the worker waiting.
    """

    def __init__(
        self, path: str, hello: Hello, take: Callable[[Update], None], count: Callable[[], Totals]
    ) -> None:
        self._path = path
        self._hello = hello
        self._take = take
        self._count = count
        self._is_connected = False
        self.was_heard = asyncio.Event()  # once control is at work, and for good
        self._writer: asyncio.StreamWriter | None = None
        self._waiting: deque[bytes] = deque()
        self.dropped = 0  # strata that control did not take in time

    def __repr__(self) -> str:
        return f"<Link of worker {self._hello.worker}, connected: {self._is_connected}>"

    async def run(self) -> None:
        """Follows control until it is cancelled."""
        pause = _LEAST_PAUSE_SECONDS
        while True:
            try:
                reader, writer = await asyncio.open_unix_connection(self._path)
            except OSError:
                pass
            else:
                self._is_connected = True
                if await self._follow(reader, writer):
                    pause = _LEAST_PAUSE_SECONDS
                self._is_connected = False
            await asyncio.sleep(pause)
            pause = min(pause * 2, _MOST_PAUSE_SECONDS)

    async def _follow(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """True when control said something that could be followed."""
        frames = FrameReader()
        has_followed = False
        writer.write(encode(self._hello))
        self._writer = writer
        self._send_waiting()
        counting = asyncio.create_task(self._send_totals(writer))
        try:
            while data := await reader.read(_READ_BYTES):
                for body in frames.feed(data):
                    update = decode_for_worker(body)
                    if isinstance(update, Kept):
                        continue
                    if isinstance(update, Heard):
                        self.was_heard.set()
                        continue
                    self._take(update)
                    has_followed = True
                    writer.write(encode(Holds(sequence=update.sequence)))
        except ChannelError as error:
            _log.error("Asking control for everything again: %s", error)
            has_followed = False
        except OSError:
            pass  # control is gone
        finally:
            self._writer = None
            try:
                await _cancel(counting)
            finally:
                writer.close()
        return has_followed

    def say(self, strata: Strata) -> None:
        """Tells control now, or as soon as it is there.

        Nothing is told twice: what was on its way to a control that was killed is lost.
        """
        self._waiting.append(encode(strata))
        self._send_waiting()
        while len(self._waiting) > _MOST_WAITING:
            self._waiting.popleft()
            self.dropped += 1

    def offer(self, frame: bytes) -> bool:
        """Tells control now or never; strata and totals have the room first."""
        writer = self._writer
        if writer is None or writer.is_closing():
            return False
        if writer.transport.get_write_buffer_size() >= _MOST_OFFERED_BYTES:
            return False
        writer.write(frame)
        return True

    def _send_waiting(self) -> None:
        writer = self._writer
        if writer is None or writer.is_closing():
            return
        if writer.transport.get_write_buffer_size() < _MOST_UNREAD_BYTES:
            writer.writelines(self._waiting)
            self._waiting.clear()

    async def finish(self) -> None:
        """Says the last counts, when `run` has been cancelled and nothing more is counted.

        On a connection of its own, and again until control says that it has them: one that is being
        replaced accepts a connection and ends without having read it. Counts may be heard twice;
        strata must not, so they stand at the end, just before what control confirms.
        """
        strata = b"".join(self._waiting)
        farewell = encode(self._hello) + encode(self._count()) + strata + encode(Ends())
        self._waiting.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FINISH_SECONDS):
                await self._say_farewell(farewell)

    async def _say_farewell(self, farewell: bytes) -> None:
        while True:
            if await self._has_heard(farewell):
                return
            await asyncio.sleep(_LEAST_PAUSE_SECONDS)

    async def _has_heard(self, farewell: bytes) -> bool:
        """Whether the control that is there now confirms it."""
        try:
            reader, writer = await asyncio.open_unix_connection(self._path)
        except OSError:
            return False
        try:
            writer.write(farewell)
            return await _is_confirmed(reader)
        except (OSError, ChannelError):
            return False
        finally:
            writer.close()

    async def _send_totals(self, writer: asyncio.StreamWriter) -> None:
        while True:
            await asyncio.sleep(_TOTALS_SECONDS)
            writer.write(encode(self._count()))
            await writer.drain()


async def _is_confirmed(reader: asyncio.StreamReader) -> bool:
    """Reads until control says that it has everything, or ends."""
    frames = FrameReader()
    while data := await reader.read(_READ_BYTES):
        if any(isinstance(decode_for_worker(body), Kept) for body in frames.feed(data)):
            return True
    return False


async def _cancel(task: asyncio.Task[None]) -> None:
    """Ends `task`; what it raises but for OSError is raised."""
    task.cancel()
    # Awaiting the task itself would mix up its cancellation with our own: a worker that must end
    # just when control goes would then never do so.
    await asyncio.wait([task])
    error = None if task.cancelled() else task.exception()
    if error is not None and not isinstance(error, OSError):
        raise error

"""The bytes of one connection: commands out, replies and pushes in, and what ends it.

Rules. Replies come in the order of the commands. Push frames may stand between any two of them
and answer nothing. One wrong byte ends the connection, because the order can no longer be trusted.
Whatever ends it fails everybody who waits, at once and with the same reason.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import cast

import hiredis

from gateway.errors import StoreError, StoreUnavailable, UsageError
from gateway.state.reply import error_of

Argument = bytes | str | int | float
Command = Sequence[Argument]
# Called with the kind of the push and what it carries: the keys of an `invalidate` (None = all).
OnPush = Callable[[bytes, list[object] | None], None]

CHUNK_BYTES = 64 * 1024
TLS_ALERT = b"\x15\x03"
_INCOMPLETE = object()


class _Batch:
    """Commands written together; `replies` is full when the last one is answered."""

    __slots__ = ("count", "future", "replies")

    def __init__(self, count: int, future: asyncio.Future[list[object]]) -> None:
        self.count = count
        self.future = future
        self.replies: list[object] = []


class Wire(asyncio.Protocol):
    """One connection to a store; dead for good after its first failure."""

    def __init__(self, name: str, on_push: OnPush | None) -> None:
        self.failure: StoreUnavailable | None = None
        self.is_closed = False
        self.is_cut = False  # closed by the other side, not by us
        self._name = name
        self._on_push = on_push
        self._reader = hiredis.Reader(replyError=error_of, notEnoughData=_INCOMPLETE)
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[_Batch] = deque()
        self._sending = asyncio.Lock()
        self._writable = asyncio.Event()
        self._writable.set()
        self._lost = asyncio.Event()

    # -- for the link ----------------------------------------------------------

    async def request(self, commands: Sequence[Command], seconds: float) -> list[object]:
        """Write all commands and return their replies, errors among them as values.

        Raises StoreUnavailable when the connection ends first, or when `seconds` pass: then the
        connection is ended too, as a late reply would answer the next command.
        """
        if not commands:
            return []
        try:
            async with asyncio.timeout(seconds):
                return await self._exchange(commands)
        except TimeoutError:
            text = f"the store at {self._name} did not answer within {seconds:g} s"
            self.end(StoreUnavailable(text))
            raise self._reason() from None

    def end(self, failure: StoreUnavailable | None = None) -> None:
        """Close at once; may be called again, only the first reason counts."""
        if self.is_closed:
            return
        self.is_closed = True
        self.failure = failure
        while self._waiting:
            future = self._waiting.popleft().future
            if not future.done():
                future.set_exception(self._reason())
        self._writable.set()
        if self._transport is None:
            self._lost.set()
        else:
            # Not close(): that waits for a peer that may be frozen, under TLS up to 30 s.
            self._transport.abort()

    async def wait_lost(self) -> None:
        """Return when the socket is closed."""
        await self._lost.wait()

    def _reason(self) -> StoreUnavailable:
        """The reason anew for everybody who waits: an exception collects its raiser's traceback."""
        if self.failure is None:
            return StoreUnavailable(f"the connection to the store at {self._name} was closed")
        return StoreUnavailable(str(self.failure), self.failure.reply)

    # -- sending -----------------------------------------------------------------

    async def _exchange(self, commands: Sequence[Command]) -> list[object]:
        pieces = await _pack(commands)
        async with self._sending:
            await self._writable.wait()
            if self.is_closed:
                raise self._reason()
            future: asyncio.Future[list[object]] = asyncio.get_running_loop().create_future()
            self._waiting.append(_Batch(len(commands), future))
            await self._send(pieces, future)
        return await future

    async def _send(self, pieces: list[bytes], future: asyncio.Future[list[object]]) -> None:
        """Write the pieces, each when the one before has left; half of them is the end."""
        unsent = len(pieces)
        try:
            for piece in pieces:
                await self._writable.wait()
                if self.is_closed or self._transport is None:
                    return  # `future` knows why
                self._transport.write(piece)
                unsent -= 1
        finally:
            if unsent:
                future.cancel()
                text = (
                    f"the store at {self._name} reads too slowly; a command was given up half sent"
                )
                self.end(StoreUnavailable(text))

    # -- protocol interface ------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # cast: uvloop's transports have the methods but not the base class.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._waiting and not self._reader.has_data() and data.startswith(TLS_ALERT):
            text = f"the store at {self._name} speaks TLS; use a rediss:// URL"
            self.end(StoreUnavailable(text))
            return
        self._reader.feed(data)
        while not self.is_closed:
            try:
                reply = self._reader.gets()
            # Beside its own errors the reader lets through those of building the value: a list as
            # a key of a map, a length that no memory holds.
            except (hiredis.HiredisError, TypeError, ValueError, MemoryError) as error:
                self._end_by_nonsense(str(error) or type(error).__name__)
                return
            if reply is _INCOMPLETE:
                return
            self._take(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._lost.set()
        self.is_cut = not self.is_closed
        how = f" ({system_words(exc)})" if exc else ""
        when = " in the middle of a reply" if self._reader.has_data() else ""
        text = f"the store at {self._name} closed the connection{when}{how}"
        self.end(StoreUnavailable(text))

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # -- receiving ---------------------------------------------------------------

    def _take(self, reply: object) -> None:
        if isinstance(reply, hiredis.PushNotification):
            self._take_push(reply)
        elif self._waiting:
            batch = self._waiting[0]
            batch.replies.append(reply)
            if len(batch.replies) == batch.count:
                self._waiting.popleft()
                if not batch.future.done():  # else its caller was cancelled: nobody wants these
                    batch.future.set_result(batch.replies)
        elif isinstance(reply, StoreError):
            self.end(StoreUnavailable(f"the store at {self._name} says: {reply}", reply.reply))
        else:
            self._end_by_nonsense("a reply that nobody asked for")

    def _take_push(self, push: list[object]) -> None:
        match push:
            case [b"invalidate", list() | None as keys]:
                self._pass_on(b"invalidate", keys)
            case [bytes() as kind, *rest] if kind != b"invalidate":
                self._pass_on(kind, rest)
            case _:
                self._end_by_nonsense("a push of unknown form")

    def _pass_on(self, kind: bytes, carried: list[object] | None) -> None:
        if self._on_push is not None:
            self._on_push(kind, carried)

    def _end_by_nonsense(self, what: str) -> None:
        text = f"the store at {self._name} does not speak the Redis protocol ({what[:80]})"
        self.end(StoreUnavailable(text))


async def _pack(commands: Sequence[Command]) -> list[bytes]:
    """The commands as pieces of about CHUNK_BYTES; lets others run after each of them."""
    pieces: list[bytes] = []
    piece = bytearray()
    for command in commands:
        try:
            piece += hiredis.pack_command(tuple(command))  # type: ignore[arg-type]  # stub: 1-tuple
        except UnicodeEncodeError:
            raise UsageError("half a surrogate pair is no text and cannot be stored") from None
        if len(piece) >= CHUNK_BYTES:
            pieces.append(bytes(piece))
            piece.clear()
            await asyncio.sleep(0)
    if piece:
        pieces.append(bytes(piece))
    return pieces


def system_words(error: Exception) -> str:
    """What the system says of an error, without its number and without the address."""
    if isinstance(error, OSError) and error.errno and not isinstance(error, socket.gaierror):
        return os.strerror(error.errno)
    return str(getattr(error, "strerror", None) or error or type(error).__name__)

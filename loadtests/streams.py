"""Clients of server-sent events: many streams, when their chunks come, and how long that took."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import cast

OPEN_SECONDS = 30.0
_OK = b"HTTP/1.1 200 "
_EVENT_END = b"\n\n"
_SENT = b'"sent":"'
_DIGITS = 20


class Streams:
    """Streams of one load; each asks for events without end, and is closed by us."""

    def __init__(self, port: int, requests: Iterator[bytes]) -> None:
        self.chunks = 0
        self.failed = 0
        self.complaint = ""  # about the first of them
        self.first_chunks: list[float] = []  # milliseconds, all three
        self.ways: list[float] = []
        self.gaps: list[float] = []
        self._port = port
        self._requests = requests
        self._streams: list[Stream] = []

    async def open(self, count: int, at_once: int) -> None:
        """Returns when each stream has had its first chunk."""
        for start in range(0, count, at_once):
            made = [Stream(self, next(self._requests)) for _ in range(min(at_once, count - start))]
            self._streams += made
            async with asyncio.timeout(OPEN_SECONDS):
                await asyncio.gather(*(self._open(stream) for stream in made))

    async def _open(self, stream: Stream) -> None:
        loop = asyncio.get_running_loop()
        stream.has_begun = loop.create_future()
        await loop.create_connection(lambda: stream, "127.0.0.1", self._port)
        await stream.has_begun

    def forget(self) -> None:
        """From now on is what counts."""
        self.chunks = 0
        self.ways, self.gaps = [], []

    def close(self) -> None:
        for stream in self._streams:
            stream.close()


class Stream(asyncio.Protocol):
    def __init__(self, all_streams: Streams, request: bytes) -> None:
        self._all = all_streams
        self._request = request
        self._last = 0.0
        self._is_answered = False
        self._is_ours_to_close = False
        self.has_begun: asyncio.Future[None]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._asked = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if not self._is_answered:
            self._is_answered = True
            if not data.startswith(_OK):
                self._fail(f"a stream was refused: {data[:60]!r}")
        events = data.count(_EVENT_END)
        if not events:
            return
        now = time.perf_counter()
        streams = self._all
        streams.chunks += events
        if self._last:
            streams.gaps.append((now - self._last) * 1000)
        else:
            self._begin(now)
        self._last = now
        at = data.find(_SENT) + len(_SENT)
        sent = data[at : at + _DIGITS]
        if len(sent) == _DIGITS and at >= len(_SENT):
            streams.ways.append((time.monotonic_ns() - int(sent)) / 1e6)

    def _begin(self, now: float) -> None:
        self._all.first_chunks.append((now - self._asked) * 1000)
        if not self.has_begun.done():
            self.has_begun.set_result(None)

    def _fail(self, words: str) -> None:
        self._all.failed += 1
        self._all.complaint = self._all.complaint or words
        if not self.has_begun.done():
            self.has_begun.set_exception(ConnectionError(words))

    def connection_lost(self, reason: Exception | None) -> None:
        if not self._is_ours_to_close:
            self._fail(f"a stream ended before it should ({reason})")

    def close(self) -> None:
        self._is_ours_to_close = True
        self._transport.close()

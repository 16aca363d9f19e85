"""A TCP relay that counts the connections clients open, whatever library they use."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Self
from urllib.parse import urlsplit

from tests.clients.loop_thread import LoopThread


class Relay:
    """Passes bytes between its clients and one address."""

    def __init__(self, thread: LoopThread, url: str) -> None:
        target = urlsplit(url)
        self.connections = 0
        self.url = ""
        self._target = (target.hostname or "", target.port or 0)
        self._thread = thread
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    def __enter__(self) -> Self:
        self._thread.run(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.run(self._stop())

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _stop(self) -> None:
        """Ends all connections, and returns when their sockets are closed."""
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.connections += 1
        theirs, ours = await asyncio.open_connection(*self._target)
        self._writers += (ours, writer)
        await asyncio.gather(_copy(reader, ours), _copy(theirs, writer))
        for one in (ours, writer):
            one.close()
            with contextlib.suppress(ConnectionError):
                await one.wait_closed()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while part := await source.read(65536):
            sink.write(part)
            await sink.drain()
        if not sink.is_closing():
            sink.write_eof()

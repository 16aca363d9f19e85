"""Models that answer well, late, in drips or not at all, and users of them: on one loop, beside."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Self

from tests.servers import HOST

_PIECES = 4
_PIECE = b"6\r\npiece\n\r\n"


@dataclass
class Model:
    """One endpoint; its behaviour may be changed while it runs."""

    url: str = ""
    delay_seconds: float = 0.0  # until the first byte
    gap_seconds: float = 0.002  # between two pieces of an answer
    fails_every: int = 0  # so many requests get a 500 in place of each last one; 0 = none
    served: Iterator[int] = field(default_factory=itertools.count)

    def is_failure(self) -> bool:
        return self.fails_every > 0 and next(self.served) % self.fails_every == 0


class Stage:
    """A thread with a loop on which models answer and users ask."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._servers: dict[str, asyncio.Server] = {}  # by URL
        self._clients: dict[str, set[asyncio.StreamWriter]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._end()).result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def model(self) -> Model:
        """A model that answers from now on."""
        model = Model()
        clients: set[asyncio.StreamWriter] = set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._tasks.add(task)
            clients.add(writer)
            try:
                await _serve(model, reader, writer)
            finally:
                self._tasks.discard(task)
                clients.discard(writer)
                writer.close()

        async def start() -> asyncio.Server:
            return await asyncio.start_server(serve, HOST, 0, backlog=1024)

        server = self._run(start()).result(20)
        model.url = f"http://{HOST}:{server.sockets[0].getsockname()[1]}"
        self._servers[model.url] = server
        self._clients[model.url] = clients
        return model

    def kill(self, model: Model) -> None:
        """Its port refuses connections from now on, and those that stand are cut."""

        async def cut() -> None:
            self._servers[model.url].close()
            for client in self._clients[model.url]:
                client.transport.abort()

        self._run(cut()).result(20)

    def users(self, data_url: str, route: str, per_second: float) -> None:
        """Asks a route from now on, each time as another user; whatever comes back is fine."""

        async def begin() -> None:
            self._tasks.add(asyncio.create_task(_ask_forever(data_url, route, per_second)))

        self._run(begin()).result(20)

    def _run(self, work: Coroutine[Any, Any, Any]) -> Future[Any]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _end(self) -> None:
        for server in self._servers.values():
            server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _serve(model: Model, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(model.delay_seconds)
            if model.is_failure():
                writer.write(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n")
                continue
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(_PIECES):
                writer.write(_PIECE)
                await asyncio.sleep(model.gap_seconds)
            writer.write(b"0\r\n\r\n")


async def _ask_forever(data_url: str, route: str, per_second: float) -> None:
    host, _, port = data_url.removeprefix("http://").partition(":")
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    under_way: set[asyncio.Task[None]] = set()

    async def ask(user: int) -> None:
        # Whoever is turned away or cut off asks again soon enough.
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = idle.pop() if idle else await asyncio.open_connection(host, port)
            try:
                head = f"GET /{route}/x HTTP/1.1\r\nHost: h\r\nX-User-Id: {route}-{user}\r\n\r\n"
                writer.write(head.encode())
                answer = await reader.readuntil(b"\r\n\r\n")
                if b"\r\ncontent-length:" in answer.lower():
                    length = answer.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
                    await reader.readexactly(int(length))
                else:
                    await reader.readuntil(b"0\r\n\r\n")
                if b"connection: close" in answer.lower():
                    writer.close()
                else:
                    idle.append((reader, writer))
            except BaseException:
                writer.close()
                raise

    try:
        for user in itertools.count():
            task = asyncio.create_task(ask(user))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            await asyncio.sleep(1 / per_second)
    finally:
        for task in list(under_way):
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        for _, writer in idle:
            writer.close()

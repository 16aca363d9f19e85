"""A model server as real ones are: the usual APIs of AI backends, and all that HTTP can do.

It runs in a thread of the test's process and records every request. A request that carries
`X-Stream: ID` gets its answer in steps: the next event leaves the server only when the test has
confirmed that the client got the one before. Whoever buffers in between waits for ever.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Self

from aiohttp import web

from tests.clients.loop_thread import SECONDS, LoopThread
from tests.clients.seen import SeenRequest

MAX_BODY = 64 * 1024 * 1024

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Stream:
    """One exchange that the test drives step by step."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.gone = threading.Event()  # the other side has closed before the answer was complete
        self.begun = threading.Event()
        self.attempts = 0
        self.close_code: int | None = None  # of a WebSocket, as the model was told it
        self._loop = loop
        self._confirmed = asyncio.Semaphore(0)
        self._arrived = threading.Semaphore(0)

    def confirm(self) -> None:
        """The client has the last event; the next may leave."""
        self._loop.call_soon_threadsafe(self._confirmed.release)

    def wait_arrived(self) -> None:
        """Until the model has one more piece of the request's body."""
        assert self._arrived.acquire(timeout=SECONDS), "no more of the upload reached the model"

    def note_arrived(self) -> None:
        self._arrived.release()

    async def confirmed(self) -> None:
        await self._confirmed.acquire()


class ModelServer:
    """Serves the APIs it is given on a loopback port."""

    def __init__(self, thread: LoopThread, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.url = ""
        self.requests: list[SeenRequest] = []
        self.errors: list[BaseException] = []
        self._thread = thread
        self._streams: dict[str, Stream] = {}
        self._lock = threading.Lock()

    def start(self, *apis: Callable[[ModelServer], Iterable[web.RouteDef]]) -> Self:
        self._thread.run(self._start([one for api in apis for one in api(self)]))
        return self

    def stop(self) -> None:
        self._thread.run(self._runner.cleanup())
        assert not self.errors, f"the model server failed: {self.errors}"

    async def _start(self, routes: list[web.RouteDef]) -> None:
        app = web.Application(client_max_size=MAX_BODY, middlewares=[self._noting])
        app.add_routes(routes)
        self._runner = web.AppRunner(
            app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    def stream(self, name: str) -> Stream:
        """The stream of this name; the same one for the test and for the server."""
        with self._lock:
            return self._streams.setdefault(name, Stream(self._thread.loop))

    def stream_of(self, request: web.Request) -> Stream | None:
        name = request.headers.get("X-Stream")
        return None if name is None else self.stream(name)

    def note(self, request: web.Request, body: bytes) -> None:
        headers = tuple(
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in request.raw_headers
        )
        self.requests.append(SeenRequest(request.method, request.raw_path, headers, body))

    @web.middleware
    async def _noting(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Notes what comes, and who goes before the answer is complete."""
        stream = self.stream_of(request)
        try:
            return await handler(request)
        except web.HTTPException:
            raise
        except (asyncio.CancelledError, ConnectionError):
            if stream is not None:
                stream.gone.set()
            raise
        except Exception as error:
            self.errors.append(error)
            raise

    async def send(
        self,
        request: web.Request,
        events: Iterable[bytes],
        content_type: str = "text/event-stream",
    ) -> web.StreamResponse:
        """Answers with events, each in a write of its own and, if asked, each on confirmation."""
        stream = self.stream_of(request)
        headers = {"Content-Type": content_type, "Cache-Control": "no-cache", "X-Model": self.name}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        if stream is not None:
            stream.begun.set()
        for number, event in enumerate(events):
            if stream is not None and number:
                await stream.confirmed()
            await response.write(event)
        await response.write_eof()
        return response

"""A model and its clients in one thread, for tests that pull plugs under load.

The load is open: a request begins when its time has come, whatever became of those before it, as
users do. A client that waited for each answer would stop asking just when something goes wrong.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

T = TypeVar("T")

SECONDS = 40.0
EVENT = b"data: {}\n\n"
LAST_EVENT = b"data: [DONE]\n\n"
_THINKING_SECONDS = 0.02  # what the model needs for an answer: so there are always some in flight
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none"
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)


@dataclass(slots=True)
class Outcome:
    """What became of one request; times by the monotonic clock."""

    started: float
    is_fresh: bool  # on a connection of its own
    connected: float = 0.0
    ended: float = 0.0
    status: int = 0
    error: str = ""

    @property
    def is_good(self) -> bool:
        return self.status == 200 and not self.error

    @property
    def is_refused(self) -> bool:
        """Whether it was told at once that nobody listens."""
        return self.error == "ConnectionRefusedError"


@dataclass(slots=True)
class Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def is_usable(self) -> bool:
        return not (self.reader.at_eof() or self.writer.is_closing())


@dataclass(slots=True)
class Ask:
    """What one batch of clients does."""

    host: str
    port: int
    outcomes: list[Outcome] = field(default_factory=list)
    idle: list[Connection] = field(default_factory=list)
    under_way: set[asyncio.Task[None]] = field(default_factory=set)
    must_stop: bool = False


class Load:
    """Runs a model server at `url`; `ask` and `stream` put load on a gateway before it."""

    def __init__(self) -> None:
        self.url = ""
        self.streamed: list[bytes | None] = []  # what each stream brought; None = it was cut off
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._may_end = asyncio.Event()
        self._begun = 0
        self._streams: list[asyncio.Task[None]] = []
        self._served: set[asyncio.Task[Any]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        self.url = self._run(self._serve())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(SECONDS)

    # The model

    async def _serve(self) -> str:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0, backlog=1000)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._served.add(asyncio.current_task())  # type: ignore[arg-type]  # it runs in one
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                if head.startswith(b"GET /stream "):
                    await self._stream_out(writer)
                else:
                    await asyncio.sleep(_THINKING_SECONDS)
                    writer.write(_ANSWER)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the gateway has ended the connection, or the test is over
        finally:
            writer.transport.abort()

    async def _stream_out(self, writer: asyncio.StreamWriter) -> None:
        writer.write(_STREAM_HEAD)
        while not self._may_end.is_set():
            writer.write(b"%x\r\n%s\r\n" % (len(EVENT), EVENT))
            await writer.drain()
            await asyncio.sleep(0.1)
        writer.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(LAST_EVENT), LAST_EVENT))

    # The clients

    def ask(self, host: str, port: int, per_second: float) -> Asking:
        """Requests begin from now on, every other one on a connection that was used before."""
        batch = Ask(host, port)
        running = asyncio.run_coroutine_threadsafe(self._ask_on(batch, per_second), self._loop)

        def stop() -> list[Outcome]:
            batch.must_stop = True
            running.result(SECONDS)
            return batch.outcomes

        return Asking(batch.outcomes, stop)

    async def _ask_on(self, batch: Ask, per_second: float) -> None:
        due = self._loop.time()
        number = 0
        while not batch.must_stop:
            task = asyncio.create_task(self._ask_one(batch, is_fresh=number % 2 == 0))
            batch.under_way.add(task)
            task.add_done_callback(batch.under_way.discard)
            number += 1
            due += 1 / per_second
            await asyncio.sleep(max(0.0, due - self._loop.time()))
        await asyncio.gather(*batch.under_way)
        for connection in batch.idle:
            connection.writer.transport.abort()

    async def _ask_one(self, batch: Ask, *, is_fresh: bool) -> None:
        outcome = Outcome(time.monotonic(), is_fresh)
        batch.outcomes.append(outcome)
        connection = None
        keep = False
        try:
            async with asyncio.timeout(SECONDS / 2):
                connection = None if is_fresh else _idle(batch)
                if connection is None:
                    outcome.is_fresh = True
                    connection = Connection(*await asyncio.open_connection(batch.host, batch.port))
                outcome.connected = time.monotonic()
                keep = await _request(connection, outcome)
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            outcome.error = type(error).__name__
        if connection is not None:
            if keep and not is_fresh:
                batch.idle.append(connection)
            else:
                connection.writer.transport.abort()
        outcome.ended = time.monotonic()

    def stream(self, host: str, port: int, count: int) -> None:
        """Opens event streams and returns when each has brought something."""
        self._run(self._open_streams(host, port, count))

    async def _open_streams(self, host: str, port: int, count: int) -> None:
        begun = asyncio.Semaphore(0)
        self._streams += [
            asyncio.create_task(self._read_stream(host, port, begun)) for _ in range(count)
        ]
        for _ in range(count):
            await begun.acquire()

    async def _read_stream(self, host: str, port: int, begun: asyncio.Semaphore) -> None:
        body = b""
        try:
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
                body += (await reader.readexactly(size + 2))[:-2]
                begun.release()
            await reader.readexactly(2)
            writer.close()
            self.streamed.append(body)
        except (OSError, ValueError, asyncio.IncompleteReadError):
            self.streamed.append(None)
            begun.release()

    def end_streams(self) -> list[bytes | None]:
        """The model comes to the end of all streams; returns what the clients have got."""
        self._run(self._end_streams())
        return self.streamed

    async def _end_streams(self) -> None:
        self._may_end.set()
        await asyncio.gather(*self._streams)

    async def _end(self) -> None:
        await self._end_streams()
        self._server.close()
        for task in self._served:
            task.cancel()
        await asyncio.gather(*self._served, return_exceptions=True)
        await asyncio.sleep(0)  # what was aborted is closed in the loop's next turn


@dataclass(frozen=True, slots=True)
class Asking:
    """Clients at work; `stop` waits for the answers that are under way."""

    outcomes: list[Outcome]
    stop: Any


def _idle(batch: Ask) -> Connection | None:
    while batch.idle:
        connection = batch.idle.pop()
        if connection.is_usable:
            return connection
        connection.writer.transport.abort()
    return None


async def _request(connection: Connection, outcome: Outcome) -> bool:
    """Asks and reads the answer; True when the connection may be used again."""
    connection.writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    head = (await connection.reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    body = await connection.reader.readexactly(length)
    outcome.status = int(head.split()[1])
    if outcome.status == 200 and body != b"one":
        outcome.error = "wrong body"
    return b"connection: close" not in head


def is_whole(body: bytes | None) -> bool:
    """Whether a stream came to its own end, with every event as it was sent."""
    if body is None or not body.endswith(LAST_EVENT):
        return False
    return body.removesuffix(LAST_EVENT).replace(EVENT, b"") == b""

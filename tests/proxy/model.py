"""A model server that does what it is told with raw bytes, and keeps every byte it is sent."""

from __future__ import annotations

import asyncio
import dataclasses
import ssl
from collections.abc import Awaitable, Callable

from tests.proxy.link import SECONDS, Link
from tests.proxy.message import Request, parse_request, read_body

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CLOSING = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"


class ModelLink(Link):
    """The model's end of one connection."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self._model = model

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._model.begin(self)

    async def head(self) -> Request:
        """The head of the next request."""
        request = parse_request(await self.through(b"\r\n\r\n"))
        self._model.heads.append(request)
        return request

    async def body(self, request: Request) -> bytes:
        """The body of the request whose head was read last; the request is complete then."""
        body, trailer = await read_body(self, request)
        self._model.requests.append(dataclasses.replace(request, body=body, trailer=trailer))
        return body


# Called with the head read and the body not; must read the body if there is to be a next request.
Script = Callable[[ModelLink, Request], Awaitable[None]]


class Model:
    """Answers with `answer`: raw bytes once the request is complete, or what a script does.

    `serve` may be replaced to do something else with whole connections. What the gateway sends must
    be canonical to the letter; when it is not, the test fails at its end.
    """

    def __init__(self) -> None:
        self.answer: bytes | Script = OK
        self.serve: Callable[[ModelLink], Awaitable[None]] = self._serve
        self.heads: list[Request] = []
        self.requests: list[Request] = []
        self.links: list[ModelLink] = []
        self.problems: list[str] = []
        self.url = ""
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: ModelLink(self), "127.0.0.1", 0, ssl=tls)
        self.port: int = self._server.sockets[0].getsockname()[1]
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"

    async def close(self) -> None:
        self._server.close()
        await self.drop()
        async with asyncio.timeout(SECONDS):
            await self._server.wait_closed()
        assert not self.problems, self.problems

    async def drop(self) -> None:
        """Resets all connections; the port stays open."""
        for link in self.links:
            link.transport.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def last(self) -> Request:
        return self.heads[-1]

    @property
    def received(self) -> bytes:
        """All that came, on whatever connections."""
        return b"".join(bytes(link.received) for link in self.links)

    @property
    def targets(self) -> list[str]:
        return [request.target for request in self.requests]

    def begin(self, link: ModelLink) -> None:
        self.links.append(link)
        task = asyncio.get_running_loop().create_task(self._run(link))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, link: ModelLink) -> None:
        try:
            await self.serve(link)
        except AssertionError as error:
            # That the gateway goes away in the middle of something is none of our business here.
            if link.ending is None or "ended before" not in str(error):
                self.problems.append(str(error))

    async def _serve(self, link: ModelLink) -> None:
        while True:
            await link.when(lambda: link.has_more, "a request", None)
            if not link.rest:
                link.close()
                return
            request = await link.head()
            if isinstance(self.answer, bytes):
                await link.body(request)
                answer = self.answer
                link.send(answer)
                if b"connection: close" in answer.lower():
                    link.close()
            else:
                await self.answer(link, request)
            if link.transport.is_closing():
                return

"""A raw client on one side of the plane and a model that records what it sees on the other."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Awaitable, Callable

import msgspec

from gateway.config.settings import Listen, Routing, Settings
from gateway.proxy.interim import InterimPlane
from gateway.routing.lists import whitelist_name
from gateway.routing.spec import RouteSpec, VersionSpec
from gateway.routing.table import Identity, Table, compile_route

KEY = b"key of the testers"
PLAIN_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Model:
    """Records each request's head and body, and answers with raw bytes or as a function says."""

    def __init__(self) -> None:
        self.answer: bytes | Answer = PLAIN_ANSWER
        self.heads: list[str] = []
        self.bodies: list[bytes] = []
        self.gone = asyncio.Event()  # the gateway has closed a connection
        self.url = ""
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def fields(self) -> list[tuple[str, str]]:
        """The header fields of the last request, names in lower case."""
        lines = self.heads[-1].split("\r\n")[1:]
        pairs = [line.split(": ", 1) for line in lines if line]
        return [(name.lower(), value) for name, value in pairs]

    def field(self, name: str) -> list[str]:
        return [value for known, value in self.fields if known == name]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode("latin-1"))
                if not isinstance(self.answer, bytes):
                    await self.answer(reader, writer)
                    break
                self.bodies.append(await self._body(reader))
                writer.write(self.answer)
                await writer.drain()
                if b"connection: close" in self.answer.lower():
                    break
        self.gone.set()
        writer.close()

    async def _body(self, reader: asyncio.StreamReader) -> bytes:
        if lengths := self.field("content-length"):
            return await reader.readexactly(int(lengths[0]))
        body = b""
        if self.field("transfer-encoding"):
            while size := int(await reader.readuntil(b"\r\n"), 16):
                body += await reader.readexactly(size)
                await reader.readexactly(2)
            await reader.readuntil(b"\r\n")
        return body


class Side:
    """The client's side: the plane and a way to talk to it."""

    def __init__(self, model: Model, routing: Routing) -> None:
        self.model = model
        self.plane = InterimPlane(Settings(listen=Listen(backlog=16), routing=routing))

    async def start(self) -> None:
        listening = socket.create_server(("127.0.0.1", 0))
        self.port = listening.getsockname()[1]
        await self.plane.start(listening)
        self.use(self.spec())

    def spec(self, **changes: object) -> RouteSpec:
        version = VersionSpec(urls=(self.model.url,))
        route = RouteSpec(
            name="chat", stable="v1", versions={"v1": version, "v2": version}, salt="chat"
        )
        return msgspec.structs.replace(route, **changes)

    def use(self, *specs: RouteSpec, **lists: frozenset[bytes]) -> None:
        members = {whitelist_name("chat", version): ids for version, ids in lists.items()}
        identity = Identity(override_key=KEY)
        self.plane.table = Table(compile_route(spec, members, identity) for spec in specs)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def ask(
        self, path: str = "/", body: bytes = b"", method: str = "GET", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """One request on a connection of its own; header names with _ for -."""
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if body or method == "POST":
            lines.append(f"Content-Length: {len(body)}")
        head = "\r\n".join([f"{method} {path} HTTP/1.1", "Host: front.example", *lines])
        return await self.send(head.encode() + b"\r\nConnection: close\r\n\r\n" + body)

    async def send(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        reader, writer = await self.connect()
        writer.write(request)
        async with asyncio.timeout(10):
            answer = await reader.read()
        writer.close()
        head, _, body = answer.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines)
        return int(status.split()[1]), {k.lower(): v for k, v in fields.items()}, body


def code(body: bytes) -> str:
    found: str = json.loads(body)["code"]
    return found

"""The client's side: a plane, and raw clients that talk to it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from gateway.config.secret import Secret
from gateway.config.settings import Settings
from gateway.proxy.plane import DataPlane
from gateway.routing.lists import blacklist_name, whitelist_name
from gateway.routing.spec import RouteSpec, VersionSpec
from gateway.routing.table import Identity, Table, compile_route
from tests.proxy.link import SECONDS, Ending, Link
from tests.proxy.message import Answer, read_answer
from tests.proxy.model import Model

KEY = b"key of the testers"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"

Sections = Mapping[str, Mapping[str, object]]


def settings_of(sections: Sections) -> Settings:
    """Settings with these sections; what is no setting fails the test."""
    wanted: dict[str, Mapping[str, object]] = {
        "routing": {"override_key": Secret(KEY.decode())},
        "access_log": {"path": ""},
        **sections,
    }
    kinds = {field.name: field.type for field in msgspec.structs.fields(Settings)}
    made: dict[str, Any] = {name: kinds[name](**values) for name, values in wanted.items()}
    return Settings(**made)


class Client(Link):
    """The client's end of a connection."""

    async def answer(self, method: str = "GET") -> Answer:
        """The next answer, read strictly."""
        return await read_answer(self, method)

    async def ask(self, request: bytes = GET, method: str = "GET") -> Answer:
        self.send(request)
        return await self.answer(method)


# How a client sends: all at once, or byte by byte.
Feed = Callable[[Client, bytes], Awaitable[None]]


async def whole(client: Client, data: bytes) -> None:
    client.send(data)


async def bytewise(client: Client, data: bytes) -> None:
    await client.drip(data)


class Side:
    """A plane in front of a model."""

    def __init__(self, model: Model, sections: Sections) -> None:
        self.model = model
        self.plane = DataPlane(settings_of(sections))
        self.clients: list[Client] = []

    async def start(self, host: str = "127.0.0.1") -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, 0), family=family)
        self.host, self.port = listening.getsockname()[:2]
        await self.plane.start(listening)

    async def stop(self) -> None:
        for client in self.clients:
            client.transport.abort()
        await self.drain(0)

    async def drain(self, seconds: float) -> None:
        """Drains the plane; one that hangs fails the test, which no signal could end on uvloop."""
        async with asyncio.timeout(seconds + SECONDS):
            await self.plane.drain(seconds)

    # What is routed where.

    def spec(self, **changes: object) -> RouteSpec:
        version = VersionSpec(urls=(self.model.url,))
        route = RouteSpec(
            name="chat", stable="v1", versions={"v1": version, "v2": version}, salt="chat"
        )
        return msgspec.structs.replace(route, **changes)

    def use(self, *specs: RouteSpec, **lists: frozenset[bytes]) -> None:
        """Routes by these; lists are whitelists by version, or `blacklist`."""
        members = {
            blacklist_name("chat") if name == "blacklist" else whitelist_name("chat", name): ids
            for name, ids in lists.items()
        }
        identity = Identity(override_key=KEY)
        self.plane.table = Table(compile_route(spec, members, identity) for spec in specs)

    def use_urls(self, *urls: str, **changes: object) -> None:
        """One version at these endpoints."""
        self.use(self.spec(versions={"v1": VersionSpec(urls=urls)}, **changes))

    # Clients.

    async def dial(self, receive_buffer: int = 0) -> Client:
        """A new connection; a small receive buffer makes a client that takes little at once."""
        loop = asyncio.get_running_loop()
        link = socket.socket(socket.AF_INET6 if ":" in self.host else socket.AF_INET)
        link.setblocking(False)
        if receive_buffer:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            await loop.sock_connect(link, (self.host, self.port))
        except OSError:
            link.close()
            raise
        _, client = await loop.create_connection(Client, sock=link)
        self.clients.append(client)
        return client

    async def ask(
        self, path: str = "/", body: bytes = b"", method: str = "GET", **headers: str
    ) -> Answer:
        """One request on a connection of its own; header names with _ for -."""
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if body or method == "POST":
            lines.append(f"Content-Length: {len(body)}")
        head = "\r\n".join([f"{method} {path} HTTP/1.1", "Host: front.example", *lines])
        return await self.once(head.encode() + b"\r\nConnection: close\r\n\r\n" + body, method)

    async def once(self, request: bytes, method: str = "GET", feed: Feed = whole) -> Answer:
        """One request on a connection of its own, which the client ends when it is answered."""
        client = await self.dial()
        await feed(client, request)
        answer = await client.answer(method)
        client.close()
        return answer

    async def refuses(self, request: bytes, status: int, code: str, feed: Feed = whole) -> Answer:
        """The request gets this error, the connection ends, and no model sees a byte."""
        seen = len(self.model.received)
        client = await self.dial()
        await feed(client, request)
        answer = await client.answer()
        assert (answer.status, answer.code) == (status, code), answer
        assert answer.closes, answer
        assert await client.to_end(None) == b""
        client.close()
        assert len(self.model.received) == seen, self.model.received
        return answer

    # What the plane counted.

    def codes(self, version: str = "v1", route: str = "chat") -> dict[int, int]:
        numbers = self.plane.numbers.get((route, version))
        return {} if numbers is None else dict(numbers.codes)

    def errors(self, version: str = "v1", route: str = "chat") -> dict[str, int]:
        numbers = self.plane.numbers.get((route, version))
        return {} if numbers is None else dict(numbers.errors)

    def in_flight(self) -> int:
        return sum(numbers.in_flight for numbers in self.plane.numbers.values())


def closed_port() -> int:
    """A port of loopback where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port: int = nobody.getsockname()[1]
    return port


__all__ = ["GET", "KEY", "Client", "Ending", "Feed", "Side", "bytewise", "closed_port", "whole"]

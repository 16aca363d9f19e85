"""What notifications are sent to: an HTTP server and an SMTP server, both real."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from email.policy import default
from typing import Any

import msgspec
from aiohttp import web

from gateway.config.channel import Channel
from gateway.config.secret import Secret
from gateway.release.conduct.notify.notice import Notice

HOST = "127.0.0.1"
NOTICE = Notice(
    id="r1-7",
    event="rollback",
    route="chat",
    release="r1",
    candidate="v2",
    stable="v1",
    text="errors: 12 of 40 requests <failed> & more",
    at=1_700_000_000.0,
)


@dataclass(slots=True)
class Got:
    """One request that came in."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


@dataclass(slots=True)
class Hooks:
    """Takes whatever is posted; `answers` are given in turn, then 200 with `{}` for ever."""

    port: int = 0
    got: list[Got] = field(default_factory=list)
    answers: list[tuple[int, str]] = field(default_factory=list)
    hangs: bool = False

    def url(self, path: str = "/hook") -> Secret:
        return Secret(f"http://{HOST}:{self.port}{path}")


@contextlib.asynccontextmanager
async def hooks() -> AsyncIterator[Hooks]:
    side = Hooks()
    ends = asyncio.Event()

    async def take(request: web.Request) -> web.Response:
        body = await request.read()
        side.got.append(Got(request.path, dict(request.query), dict(request.headers), body))
        if side.hangs:
            await ends.wait()
        status, text = side.answers.pop(0) if side.answers else (200, "{}")
        return web.Response(status=status, text=text)

    app = web.Application()
    app.router.add_post("/{path:.*}", take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, HOST, 0)
    await site.start()
    side.port = runner.addresses[0][1]
    try:
        yield side
    finally:
        ends.set()
        await runner.cleanup()


@dataclass(slots=True)
class Mailbox:
    """An SMTP server without TLS; `refuses` makes it turn every recipient down."""

    port: int = 0
    got: list[Message] = field(default_factory=list)
    refuses: bool = False


@contextlib.asynccontextmanager
async def mailbox() -> AsyncIterator[Mailbox]:
    side = Mailbox()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def say(line: str) -> None:
            writer.write(f"{line}\r\n".encode())
            await writer.drain()

        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await say("220 here")
            while line := await reader.readline():
                verb = line.split()[0].upper() if line.split() else b""
                if verb == b"DATA":
                    await say("354 go on")
                    raw = await reader.readuntil(b"\r\n.\r\n")
                    side.got.append(message_from_bytes(raw[:-5], policy=default))
                    await say("250 taken")
                elif verb == b"RCPT" and side.refuses:
                    await say("550 nobody here")
                elif verb == b"QUIT":
                    await say("221 bye")
                    break
                else:
                    await say("250 yes")
        writer.close()

    server = await asyncio.start_server(serve, HOST, 0)
    side.port = server.sockets[0].getsockname()[1]
    try:
        yield side
    finally:
        server.close()
        await server.wait_closed()


def channel(hook: Hooks, kind: str = "webhook", name: str = "team", **fields: Any) -> Channel:
    return Channel(name=name, kind=kind, **{"url": hook.url(), **fields})  # type: ignore[arg-type]  # a kind


def mail(box: Mailbox) -> Channel:
    return Channel(
        name="mail", kind="email", host=HOST, port=box.port, security="none",
        sender="graygate@example.com", to=("a@example.com", "b@example.com"),
    )  # fmt: skip


async def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        await asyncio.sleep(0.005)

"""What models do, ready to be told: `model.answer = cut(b"...", Ending.RESET)`."""

from __future__ import annotations

import asyncio

from tests.proxy.link import Ending
from tests.proxy.message import Request
from tests.proxy.model import ModelLink, Script

EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


async def silent(link: ModelLink, request: Request) -> None:
    """Takes the request and says nothing until the gateway goes."""
    await link.body(request)
    await link.when(lambda: link.ending is not None, "the gateway goes", None)
    link.close()


async def echo(link: ModelLink, request: Request) -> None:
    """Sends the body back."""
    body = await link.body(request)
    link.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def cut(data: bytes, ending: Ending, may_end: asyncio.Event | None = None) -> Script:
    """Answers with this and ends the connection so, when it may."""

    async def script(link: ModelLink, request: Request) -> None:
        await link.body(request)
        link.send(data)
        await link.flush()
        if may_end is not None:
            await may_end.wait()
        link.close() if ending is Ending.FIN else link.reset()

    return script


def early(data: bytes) -> Script:
    """Answers before it has read anything of the body, and reads nothing more."""

    async def script(link: ModelLink, request: Request) -> None:
        link.hold()
        link.send(data)
        await until_gone(link)

    return script


async def until_gone(link: ModelLink) -> None:
    """Waits until the gateway ends the connection, also while nothing is read from it."""
    while link.ending is None:
        link.go_on()
        await asyncio.sleep(0)
        if link.ending is None:
            link.received.clear()
        await asyncio.sleep(0.001)

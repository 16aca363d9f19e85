"""A store that says exactly what a test tells it to say, byte for byte."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from gateway.state.link import Link
from gateway.state.url import Address
from gateway.state.wire import OnPush
from tests.servers import HOST

HELLO = (
    b"%4\r\n$6\r\nserver\r\n$4\r\nfake\r\n$5\r\nproto\r\n:3\r\n"
    b"$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"
)


class Guest:
    """One connection as the fake store sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def hear(self) -> list[bytes]:
        """The next command; an empty list when the client has gone."""
        first = await self._reader.readline()
        words = []
        for _ in range(int(first[1:] or 0)):
            size = int((await self._reader.readline())[1:])
            words.append((await self._reader.readexactly(size + 2))[:-2])
        return words

    async def welcome(self) -> None:
        """Answer HELLO as a store of today does."""
        assert (await self.hear())[0] == b"HELLO"
        await self.say(HELLO)

    async def say(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def say_slowly(self, data: bytes) -> None:
        """Every byte in a segment of its own."""
        for position in range(len(data)):
            await self.say(data[position : position + 1])
            await asyncio.sleep(0)

    async def until_gone(self) -> None:
        """Say nothing any more until the client closes."""
        while await self._reader.read(65536):
            pass


Story = Callable[[Guest], Awaitable[None]]


@asynccontextmanager
async def fake_store(story: Story) -> AsyncIterator[Address]:
    """Tell `story` to everybody who connects; the connection closes where the story ends."""
    tasks: set[asyncio.Task[None]] = set()

    async def host(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await story(Guest(reader, writer))
        except (ConnectionError, asyncio.CancelledError):
            pass  # the client left early, or the test is over
        finally:
            writer.close()

    server = await asyncio.start_server(host, HOST, 0)
    try:
        yield Address(HOST, server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


@asynccontextmanager
async def told(
    story: Story, *, on_push: OnPush | None = None, timeout_seconds: float = 5.0
) -> AsyncIterator[Link]:
    """A link to a fake store that welcomes it and then goes on with `story`."""

    async def whole(guest: Guest) -> None:
        await guest.welcome()
        await story(guest)

    async with (
        fake_store(whole) as address,
        await Link.connect(address, timeout_seconds=timeout_seconds, on_push=on_push) as link,
    ):
        yield link

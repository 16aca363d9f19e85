from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import repeat

import pytest

from loadtests import held
from loadtests.held import Held

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BAD = b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"
REQUEST = b"GET / HTTP/1.1\r\n\r\n"


class Server:
    """Answers request n of connection m with `answers(m, n)`, byte by byte; nothing = the end."""

    def __init__(self, answers: Callable[[int, int], bytes]) -> None:
        self.port = 0
        self.sources: set[str] = set()
        self.requests: list[int] = []  # of each connection
        self._answers = answers

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.sources.add(writer.get_extra_info("peername")[0])
        number = len(self.requests)
        self.requests.append(0)
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                self.requests[number] += 1
                answer = self._answers(number, self.requests[number])
                if not answer:
                    break
                for start in range(len(answer)):
                    writer.write(answer[start : start + 1])
                    await asyncio.sleep(0)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()


@asynccontextmanager
async def serving(answers: Callable[[int, int], bytes]) -> AsyncIterator[Server]:
    script = Server(answers)
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    script.port = server.sockets[0].getsockname()[1]
    try:
        yield script
    finally:
        server.close()


async def test_each_connection_has_one_answer_and_stays_until_it_is_closed() -> None:
    async with serving(lambda m, n: GOOD) as server:
        some = Held(server.port, repeat(REQUEST))
        await some.open(120)
        assert server.requests == [1] * 120
        await some.ask_all()
        assert server.requests == [2] * 120
        some.close()
        assert (len(some), some.failed, some.lost, some.complaint) == (0, 0, 0, "")


async def test_a_connection_that_the_other_side_ends_is_lost_and_cannot_answer() -> None:
    async with serving(lambda m, n: GOOD if m or n == 1 else b"") as server:
        some = Held(server.port, repeat(REQUEST))
        await some.open(3)
        await some.ask_all()
        assert (some.failed, some.lost) == (1, 1)
        assert "ended before it should" in some.complaint
        await some.ask_all()
        assert (some.failed, some.lost) == (2, 1)
        some.close()


async def test_an_answer_that_is_no_200_is_a_failure() -> None:
    async with serving(lambda m, n: BAD if m == 1 else GOOD) as server:
        some = Held(server.port, repeat(REQUEST))
        await some.open(3)
        assert (some.failed, some.lost) == (1, 0)
        assert "503" in some.complaint
        some.close()


async def test_an_answer_that_never_comes_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "_PATIENCE_SECONDS", 0.2)
    async with serving(lambda m, n: GOOD if m else GOOD[:-1]) as server:
        some = Held(server.port, repeat(REQUEST))
        await some.open(3)
        assert (some.failed, some.lost) == (1, 0)
        assert "never had an answer" in some.complaint
        some.close()


async def test_they_come_from_several_addresses_where_one_has_not_ports_enough(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(held, "_PER_ADDRESS", 10)
    async with serving(lambda m, n: GOOD) as server:
        some = Held(server.port, repeat(REQUEST))
        for _ in range(3):
            await some.open(10)
            some.close()  # their ports stay taken for a while
        assert server.sources == {"127.0.0.2", "127.0.0.3", "127.0.0.4"}

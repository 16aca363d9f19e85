from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import repeat

import pytest

from loadtests.callers import Load
from loadtests.cases import Case, all_cases

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LAST = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
BAD = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 3\r\n\r\nbad"
REQUEST = b"GET / HTTP/1.1\r\n\r\n"

Answers = Callable[[int], bytes]


def case(connections: int = 2, answer_bytes: int = 0) -> Case:
    return Case(
        "c", "", lambda: repeat(REQUEST), connections=connections, answer_bytes=answer_bytes
    )


class Scripted:
    """A server that answers request n, of all its connections, with `answers(n)`."""

    def __init__(self, answers: Answers) -> None:
        self.port = 0
        self.requests = 0
        self.connections = 0
        self.by_connection: list[int] = []
        self._answers = answers

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = self.connections
        self.connections += 1
        self.by_connection.append(0)
        while True:
            try:
                await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                break
            self.requests += 1
            self.by_connection[number] += 1
            answer = self._answers(self.requests)
            for start in range(0, len(answer), 30):
                writer.write(answer[start : start + 30])
                await asyncio.sleep(0)
            if not answer or b"close" in answer:
                break
        writer.close()


@asynccontextmanager
async def scripted(answers: Answers) -> AsyncIterator[Scripted]:
    script = Scripted(answers)
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    script.port = server.sockets[0].getsockname()[1]
    try:
        yield script
    finally:
        server.close()


@asynccontextmanager
async def loaded(port: int, of: Case, count: int) -> AsyncIterator[Load]:
    load = Load(port, of)
    try:
        async with asyncio.timeout(20):
            await load.run(count)
        yield load
    finally:
        load.close()


@pytest.mark.parametrize("name", ["get", "post", "fresh", "upload", "download"])
async def test_a_load_has_all_its_requests_answered(port: int, name: str) -> None:
    async with loaded(port, all_cases()[name], 100) as load:
        assert (load.failed, load.left) == (0, 0)


@pytest.mark.parametrize("answer", [GOOD, CHUNKED])
async def test_exactly_the_wanted_number_is_sent_and_connections_are_kept(answer: bytes) -> None:
    async with scripted(lambda _: answer) as script, loaded(script.port, case(), 25) as load:
        await load.run(25)
        assert (script.requests, script.connections, load.failed) == (50, 2, 0)


async def test_answers_that_are_not_200_are_failures_and_the_first_is_shown() -> None:
    async with (
        scripted(lambda n: BAD if n % 5 == 0 else GOOD) as script,
        loaded(script.port, case(), 20) as load,
    ):
        assert load.failed == 4
        assert "bad" in load.complaint


async def test_an_answer_that_is_too_short_is_a_failure() -> None:
    async with (
        scripted(lambda _: GOOD) as script,
        loaded(script.port, case(answer_bytes=1000), 4) as load,
    ):
        assert load.failed == 4


async def test_a_connection_that_is_closed_as_announced_is_made_anew() -> None:
    async with (
        scripted(lambda n: LAST if n % 10 == 0 else GOOD) as script,
        loaded(script.port, case(1), 30) as load,
    ):
        assert (script.requests, load.failed) == (30, 0)
        assert script.connections >= 3


async def test_a_request_without_an_answer_is_a_failure_and_the_load_goes_on() -> None:
    async with (
        scripted(lambda n: b"" if n == 3 else GOOD) as script,
        loaded(script.port, case(1), 10) as load,
    ):
        assert (script.requests, load.failed) == (10, 1)


async def test_a_server_that_goes_away_ends_the_load_with_an_error() -> None:
    async with scripted(lambda _: GOOD) as script:
        port = script.port
    load = Load(port, case())
    with pytest.raises(OSError, match=re.compile("refused|Connect", re.I)):
        await load.run(10)


async def test_connections_take_turns_where_only_some_are_to_be_active() -> None:
    ring = Case("ring", "", lambda: repeat(REQUEST), connections=10, active=2)
    async with scripted(lambda _: GOOD) as script, loaded(script.port, ring, 40) as load:
        assert (script.requests, script.connections, load.failed) == (40, 10, 0)
        assert set(script.by_connection) == {4}

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from loadtests.cases import all_cases
from loadtests.openloop import OpenLoop

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@asynccontextmanager
async def model(answer: bytes, may_answer: asyncio.Event) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                await may_answer.wait()
                writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


async def test_every_request_that_was_due_has_its_delay() -> None:
    may = asyncio.Event()
    may.set()
    async with model(OK, may) as port:
        load = OpenLoop(port, all_cases()["get"], 500.0, 4)
        await load.run(0.3)
        assert load.failed == 0
        assert 80 < len(load.delays) < 260  # 150 on average
        load.close()


async def test_what_waits_for_a_free_connection_counts_as_late() -> None:
    may = asyncio.Event()
    async with model(OK, may) as port:
        load = OpenLoop(port, all_cases()["get"], 200.0, 1)
        asyncio.get_running_loop().call_later(0.4, may.set)
        await load.run(0.3)
        # All were due within 0.3 s, and none had its answer before 0.4 s.
        assert len(load.delays) > 20
        assert min(load.delays) > 90
        load.close()


async def test_an_answer_that_is_no_200_is_a_failure() -> None:
    may = asyncio.Event()
    may.set()
    async with model(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", may) as port:
        load = OpenLoop(port, all_cases()["get"], 100.0, 2)
        await load.run(0.1)
        assert load.failed == len(load.delays) > 0
        assert "503" in load.complaint
        load.close()

from __future__ import annotations

import asyncio
import time

import pytest

from loadtests.cases import streams
from loadtests.streams import Streams


async def until_chunks(opened: Streams, count: int) -> None:
    ends = time.monotonic() + 20
    while opened.chunks < count:
        assert time.monotonic() < ends, f"only {opened.chunks} chunks came"
        await asyncio.sleep(0.005)


async def test_each_stream_is_open_when_its_first_chunk_is_there_and_goes_on(port: int) -> None:
    opened = Streams(port, streams("few", 10, 5).requests())
    await opened.open(10, at_once=3)
    assert len(opened.first_chunks) == 10
    opened.forget()
    await until_chunks(opened, 50)
    assert opened.failed == 0
    assert len(opened.gaps) >= 10
    assert all(0 <= way < 10_000 for way in opened.ways)
    opened.close()


async def test_a_stream_that_is_refused_says_with_what() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    opened = Streams(server.sockets[0].getsockname()[1], streams("one", 1, 5).requests())
    with pytest.raises(ConnectionError, match="503"):
        await opened.open(1, at_once=1)
    opened.close()
    server.close()


async def test_a_stream_that_ends_is_a_failure_unless_we_close_it() -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\ndata: x\n\n")
        await reader.read(4096)
        writer.close()

    server = await asyncio.start_server(cut, "127.0.0.1", 0)
    opened = Streams(server.sockets[0].getsockname()[1], streams("one", 1, 5).requests())
    await opened.open(1, at_once=1)
    ends = time.monotonic() + 20
    while opened.failed == 0:
        assert time.monotonic() < ends, "nobody noticed the end"
        await asyncio.sleep(0.005)
    opened.close()
    server.close()

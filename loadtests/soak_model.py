"""A model for the soak: `python -m loadtests.soak_model PORT`. Echoes, streams, answers shortly."""

from __future__ import annotations

import asyncio
import re
import sys
from contextlib import suppress

import uvloop

EVENTS = 40
PAUSE_SECONDS = 0.02
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *([0-9]+)")


def event(number: int) -> bytes:
    return b'data: {"event": %d, "text": "some words of an answer"}\n\n' % number


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError, RuntimeError, asyncio.IncompleteReadError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            body = await _body(reader, head)
            if b" /stream " in head:
                await _stream(writer)
            elif b" /echo " in head:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                await writer.drain()
            else:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    writer.close()


async def _stream(writer: asyncio.StreamWriter) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
    writer.write(head + b"\r\n")
    for number in range(EVENTS):
        data = event(number)
        writer.write(b"%x\r\n%b\r\n" % (len(data), data))
        await writer.drain()
        await asyncio.sleep(PAUSE_SECONDS)
    writer.write(b"0\r\n\r\n")


async def _body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    length = _LENGTH.search(head)
    if length is not None:
        return await reader.readexactly(int(length[1]))
    pieces: list[bytes] = []
    if b"chunked" in head.lower():
        while size := int(await reader.readuntil(b"\r\n"), 16):
            pieces.append(await reader.readexactly(size))
            await reader.readexactly(2)
        await reader.readexactly(2)
    return b"".join(pieces)


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]), limit=2**20)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())

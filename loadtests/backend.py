"""A model server that costs next to nothing: `python -m loadtests.backend`.

Listens on two loopback ports (one for each version), prints them, and serves until it is ended.
What it answers is asked for in words that every router lets through, those of the OpenAI dialect:

    GET, any path                     a small JSON answer
    POST, "max_tokens": N             an answer of N bytes, but never less than a small one
    POST, "stream": true,             server-sent events: N of them, the first at once,
          "max_tokens": N, "seed": M  then one each M milliseconds

Each event says when it was sent, on the clock that all processes of the machine share. Requests
must not be pipelined.
"""

from __future__ import annotations

import asyncio
import re
import time
from typing import cast

import uvloop

SMALL = (
    b'{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"chat","choices":'
    b'[{"index":0,"message":{"role":"assistant","content":"ok"},"finish_reason":"stop"}]}'
)
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
    b"X-Accel-Buffering: no\r\nServer: backend\r\nTransfer-Encoding: chunked\r\n\r\n"
)
EVENT = (
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,'
    b'"model":"chat","choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}],'
    b'"sent":"%020d"}\n\n'
)
LAST_CHUNK = b"0\r\n\r\n"

_EVENT_CHUNK = b"%x\r\n%b\r\n" % (len(EVENT % 0), EVENT)
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *([0-9]+)")
_TOKENS = re.compile(rb'"max_(?:completion_)?tokens": ?([0-9]+)')  # routers may modernise it
_PAUSE = re.compile(rb'"seed": ?([0-9]+)')
_STREAM = re.compile(rb'"stream": ?true')
_SEARCHED = 4096  # bytes of a body; longer ones are uploads and ask for nothing


def answer(size: int) -> bytes:
    """A whole answer with a JSON body of about that size."""
    body = SMALL.replace(b'"ok"', b'"%b"' % (b"x" * max(2, size - len(SMALL) + 2)))
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nServer: backend\r\n"
    return b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body)


class Origin(asyncio.Protocol):
    """One connection of a proxy."""

    def __init__(self, loop: asyncio.AbstractEventLoop, answers: dict[int, bytes]) -> None:
        self._loop = loop
        self._answers = answers
        self._received = b""
        self._missing = 0  # bytes of a body whose head is here
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"GET ") and data.endswith(b"\r\n\r\n"):
            self._transport.write(self._answer(0))
        elif self._missing > 0:
            self._missing -= len(data)
            if self._missing <= 0:
                self._respond(b"")
        else:
            self._start(self._received + data)

    def _start(self, received: bytes) -> None:
        end = received.find(b"\r\n\r\n")
        length = _LENGTH.search(received, 0, end)
        if end == -1:
            self._received = received
        elif length is None and received.startswith(b"POST"):
            # Chunked, and short: nobody sends long bodies to us in this way.
            self._received = received
            if received.endswith(LAST_CHUNK):
                self._respond(received)
        else:
            missing = end + 4 + int(length[1] if length else 0) - len(received)
            if missing > 0 and len(received) < _SEARCHED:
                self._received = received
            elif missing > 0:
                self._missing = missing
            else:
                self._respond(received[end:])

    def _respond(self, body: bytes) -> None:
        self._received = b""
        self._missing = 0
        tokens = _TOKENS.search(body, 0, _SEARCHED)
        asked = int(tokens[1]) if tokens else 0
        if _STREAM.search(body, 0, _SEARCHED):
            pause = _PAUSE.search(body, 0, _SEARCHED)
            self._transport.write(STREAM_HEAD)
            self._stream(asked, int(pause[1]) / 1000 if pause else 0.0, self._loop.time())
        else:
            self._transport.write(self._answer(asked))

    def _stream(self, left: int, pause: float, due: float) -> None:
        if left == 0:
            self._transport.write(LAST_CHUNK)
            return
        self._transport.write(_EVENT_CHUNK % time.monotonic_ns())
        # By the clock, not by the pause: lateness of one event must not move the next.
        due += pause
        self._timer = self._loop.call_at(due, self._stream, left - 1, pause, due)

    def _answer(self, size: int) -> bytes:
        made = self._answers.get(size)
        if made is None:
            made = self._answers[size] = answer(size)
        return made

    def connection_lost(self, reason: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()


async def serve() -> None:
    loop = asyncio.get_running_loop()
    answers: dict[int, bytes] = {}
    servers = [
        await loop.create_server(lambda: Origin(loop, answers), "127.0.0.1", 0, backlog=4096)
        for _ in range(2)
    ]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    uvloop.run(serve())

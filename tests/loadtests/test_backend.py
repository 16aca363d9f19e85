from __future__ import annotations

import asyncio
import re
import time

import pytest

from loadtests.backend import LAST_CHUNK, SMALL, STREAM_HEAD, answer
from loadtests.cases import BIG, chat

GET = b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n"


def post(body: bytes) -> bytes:
    return b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


async def asked(port: int, *pieces: bytes, until: bytes) -> bytes:
    """What comes back, up to these bytes, for a request that is sent in pieces."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0)
    async with asyncio.timeout(10):
        received = await reader.readuntil(until)
    writer.close()
    return received


async def test_a_get_has_a_small_answer(port: int) -> None:
    assert await asked(port, GET, until=b"}]}") == answer(0)
    assert len(answer(0)) - answer(0).index(b"{") == len(SMALL)


@pytest.mark.parametrize("cut", [1, 30, 60, 200, 1000])
async def test_a_post_is_answered_when_it_is_whole_however_it_comes(port: int, cut: int) -> None:
    request = post(chat(b"x" * 900))
    assert await asked(port, request[:cut], request[cut:], until=b"}]}") == answer(0)


async def test_a_chunked_post_is_answered_when_it_is_whole(port: int) -> None:
    head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = chat(b"x")
    pieces = (head, b"%x\r\n%b\r\n" % (len(body), body), LAST_CHUNK)
    assert await asked(port, *pieces, until=b"}]}") == answer(0)


async def test_a_long_upload_is_answered_after_its_last_byte(port: int) -> None:
    request = post(chat(b"x" * BIG))
    assert await asked(port, request[:5000], request[5000:], until=b"}]}") == answer(0)


@pytest.mark.parametrize("name", [b"max_tokens", b"max_completion_tokens"])
async def test_an_answer_is_as_long_as_the_request_asks(port: int, name: bytes) -> None:
    request = post(chat(b"x", b',"%b":%d' % (name, BIG)))
    received = await asked(port, request, until=b"}]}")
    _, _, body = received.partition(b"\r\n\r\n")
    assert len(body) == BIG
    assert b"Content-Length: %d\r\n" % BIG in received


async def test_a_stream_has_the_events_that_were_asked_for_and_says_when_each_was_sent(
    port: int,
) -> None:
    request = post(chat(b"x", b',"stream":true,"max_tokens":3,"seed":1'))
    received = await asked(port, request, until=LAST_CHUNK)
    assert received.startswith(STREAM_HEAD)
    sent = [int(digits) for digits in re.findall(rb'"sent":"(\d{20})"', received)]
    assert len(sent) == 3
    assert sent == sorted(sent)
    assert 0 <= time.monotonic_ns() - sent[-1] < 10e9

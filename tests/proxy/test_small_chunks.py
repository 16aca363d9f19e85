"""L-06: a body in chunks of one byte is still that body, and costs what its bytes cost."""

from __future__ import annotations

import time

from tests.proxy.message import Request
from tests.proxy.model import ModelLink
from tests.proxy.scripts import echo
from tests.proxy.side import Client, Side

MANY = 2**18
FEW = 2**14
POST = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def letters(count: int) -> bytes:
    return bytes(97 + n * 7 % 26 for n in range(count))


def in_single_bytes(body: bytes) -> bytes:
    return b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"


async def test_L06_an_upload_in_single_bytes_arrives_exactly(side: Side) -> None:
    side.model.answer = echo
    body = letters(FEW)
    client = await side.dial()
    client.send(POST + in_single_bytes(body))
    assert (await client.answer()).body == body
    assert side.model.requests[0].body == body


async def test_L06_an_answer_in_single_bytes_arrives_exactly(side: Side) -> None:
    body = letters(FEW)
    side.model.answer = ANSWER + in_single_bytes(body)
    assert (await side.ask()).body == body


async def test_L06_single_bytes_cost_at_most_a_hundred_times_one_chunk(side: Side) -> None:
    """The processor time of plane, client and model together, so this is on the safe side."""

    async def swallow(link: ModelLink, request: Request) -> None:
        await link.through(b"0\r\n\r\n")
        link.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    side.model.answer = swallow
    client = await side.dial()

    async def seconds_for(body: bytes) -> float:
        before = time.process_time()
        assert (await client.ask(POST + body)).status == 200
        return time.process_time() - before

    data = b"x" * MANY
    one = b"%x\r\n%b\r\n0\r\n\r\n" % (MANY, data)
    single = in_single_bytes(data)
    await seconds_for(one)
    largest = max([await seconds_for(one) for _ in range(5)])
    spent = await seconds_for(single)
    assert spent < 100 * max(largest, 0.002), f"{spent:.3f} s against {largest:.4f} s"


async def test_L06_a_chunk_may_end_anywhere_in_what_arrives(side: Side) -> None:
    side.model.answer = echo
    body = letters(40)
    data = b"".join(b"%x\r\n%b\r\n" % (5, body[n : n + 5]) for n in range(0, 40, 5)) + b"0\r\n\r\n"
    for size in (2, 3, 5, 7, 11, 64):
        client: Client = await side.dial()
        client.send(POST)
        for start in range(0, len(data), size):
            await client.drip(data[start : start + 1])
            client.send(data[start + 1 : start + size])
        assert (await client.answer()).body == body

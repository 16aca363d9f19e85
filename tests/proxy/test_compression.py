"""A-16: compressed bodies pass as they are; nothing here ever inflates one."""

from __future__ import annotations

import gzip
import resource

from tests.proxy.message import Request
from tests.proxy.model import ModelLink
from tests.proxy.side import Side

BOMB = gzip.compress(bytes(64 * 2**20), 9)  # 64 MiB of zeros in 64 KB


def most_memory_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


async def test_A16_a_bomb_passes_byte_for_byte_both_ways(side: Side) -> None:
    async def echoing(link: ModelLink, request: Request) -> None:
        body = await link.body(request)
        link.send(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
            + body
        )

    side.model.answer = echoing
    before = most_memory_bytes()
    answer = await side.once(
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nAccept-Encoding: gzip\r\n"
        b"Content-Length: %d\r\n\r\n" % len(BOMB) + BOMB
    )
    assert (answer.status, answer.body) == (200, BOMB)
    assert answer.one("content-encoding") == "gzip"
    assert side.model.requests[0].body == BOMB
    assert side.model.requests[0].all("accept-encoding") == ["gzip"]
    assert most_memory_bytes() - before < 32 * 2**20


async def test_A16_not_even_where_the_body_decides(side: Side) -> None:
    side.use(side.spec(unit=("body:user",)))
    before = most_memory_bytes()
    answer = await side.once(
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\n"
        b"Content-Length: %d\r\n\r\n" % len(BOMB) + BOMB
    )
    assert answer.status == 200
    assert side.model.requests[0].body == BOMB
    assert most_memory_bytes() - before < 32 * 2**20


async def test_A16_bytes_that_only_claim_to_be_compressed_pass(side: Side) -> None:
    side.model.answer = (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nABCD"
    )
    answer = await side.once(
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: br\r\nContent-Length: 4\r\n\r\nEFGH"
    )
    assert (answer.status, answer.body) == (200, b"ABCD")
    assert side.model.requests[0].body == b"EFGH"

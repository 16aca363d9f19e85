"""P-28: a client that does not wait gets its answers in order, and is made to wait in the end."""

from __future__ import annotations

import asyncio
import random

from tests.proxy.link import until
from tests.proxy.message import Request
from tests.proxy.model import ModelLink
from tests.proxy.side import Feed, Side


def asking(number: int) -> bytes:
    return b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number


async def naming(link: ModelLink, request: Request) -> None:
    """Answers with what was asked for."""
    await link.body(request)
    body = request.target.encode()
    link.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


async def test_P28_answers_come_in_order(side: Side, feed: Feed) -> None:
    dice = random.Random(7)
    most = 0

    async def delaying(link: ModelLink, request: Request) -> None:
        nonlocal most
        most = max(most, sum(1 for one in side.model.links if one.ending is None))
        for _ in range(dice.randrange(20)):
            await asyncio.sleep(0)
        await naming(link, request)

    side.model.answer = delaying
    client = await side.dial()
    await feed(client, b"".join(map(asking, range(50))))
    for number in range(50):
        assert (await client.answer()).body == b"/%d" % number
    assert side.model.targets == [f"/{number}" for number in range(50)]
    assert most == 1 and len(side.model.links) == 1, "one at a time"


async def test_P28_the_next_request_waits_for_the_last_answer(side: Side) -> None:
    may_answer = asyncio.Event()

    async def waiting(link: ModelLink, request: Request) -> None:
        await may_answer.wait()
        await naming(link, request)

    side.model.answer = waiting
    client = await side.dial()
    client.send(asking(1) + asking(2))
    await until(lambda: len(side.model.heads) == 1, "the first has arrived")
    other = await side.dial()  # a round trip of somebody else: the second had its chance
    side.model.answer = naming
    assert (await other.ask(asking(9))).body == b"/9"
    assert [head.target for head in side.model.heads] == ["/1", "/9"]
    may_answer.set()
    assert [(await client.answer()).body for _ in range(2)] == [b"/1", b"/2"]


async def test_P28_what_is_queued_is_bounded(side: Side) -> None:
    may_answer = asyncio.Event()

    async def waiting(link: ModelLink, request: Request) -> None:
        await may_answer.wait()
        await naming(link, request)

    side.model.answer = waiting
    client = await side.dial()
    client.socket.setsockopt(1, 7, 65_536)  # SO_SNDBUF: the kernel must not take it all
    some = b"".join(map(asking, range(1000)))

    def is_held_up() -> bool:
        if client.transport.get_write_buffer_size() < 2**20:
            client.send(some)
        # What was sent and is not in the client's own buffer is at the gateway or on the way.
        return client.is_full and client.transport.get_write_buffer_size() >= 2**20

    await until(is_held_up, "the gateway reads no more")
    assert len(side.model.heads) == 1
    may_answer.set()
    side.model.answer = naming
    for number in range(1000):
        assert (await client.answer()).body == b"/%d" % number
    client.reset()


async def test_P28_bodies_among_the_pipelined(side: Side, feed: Feed) -> None:
    side.model.answer = naming
    client = await side.dial()
    post = b"POST /%d HTTP/1.1\r\nHost: a\r\n"
    requests = [
        post % 0 + b"Content-Length: 3\r\n\r\nabc",
        asking(1),
        post % 2 + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        post % 3 + b"Content-Length: 0\r\n\r\n",
        asking(4),
    ]
    await feed(client, b"".join(requests))
    for number in range(5):
        assert (await client.answer()).body == b"/%d" % number
    assert [request.body for request in side.model.requests] == [b"abc", b"", b"abc", b"", b""]


async def test_P28_errors_come_in_their_turn(side: Side, feed: Feed) -> None:
    side.model.answer = naming
    side.use(side.spec(paths=("/1", "/3")))
    client = await side.dial()
    await feed(client, asking(1) + asking(2) + asking(3) + b"GET / HTTP/9.9\r\n\r\n" + asking(1))
    statuses = []
    while True:
        answer = await client.answer()
        statuses.append(answer.status)
        if answer.closes:
            break
    assert statuses in ([200, 404, 200, 505], [200, 404, 200, 400], [200, 404])
    assert await client.to_end(None) == b""


async def test_P28_a_client_that_goes_takes_what_it_has_queued_with_it(side: Side) -> None:
    async def waiting(link: ModelLink, request: Request) -> None:
        await link.to_end(None)
        link.close()

    side.model.answer = waiting
    client = await side.dial()
    client.send(asking(1) + asking(2) + asking(3))
    await until(lambda: len(side.model.heads) == 1, "the first has arrived")
    client.close()
    await until(lambda: side.model.links[0].ending is not None, "the model hears of it")
    side.model.answer = naming
    assert (await side.once(asking(4))).body == b"/4"
    assert [head.target for head in side.model.heads] == ["/1", "/4"]

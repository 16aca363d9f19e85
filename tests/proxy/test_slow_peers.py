"""L-01, L-02, L-05: who takes too long is let go, and nobody else notices."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.proxy.conftest import Start
from tests.proxy.link import until
from tests.proxy.message import Request
from tests.proxy.model import OK, ModelLink
from tests.proxy.side import GET, Client, Side

POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"
BIG = b"HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n"


async def is_let_go(client: Client, seconds: float = 10.0) -> bytes:
    """What the client was told before its connection ended."""
    await until(lambda: client.ending is not None, "the connection is ended", seconds)
    return client.rest


# L-01: heads.


@pytest.mark.parametrize("said", [b"", b"GET", b"GET / HTTP/1.1\r\n", GET[:-2]])
async def test_L01_a_connection_that_brings_no_request_is_ended(start: Start, said: bytes) -> None:
    side = await start(limits={"head_seconds": 0.2})
    client = await side.dial()
    client.send(said)
    told = await is_let_go(client)
    if said:
        assert told == b"" or told.startswith(b"HTTP/1.1 408 ")
        assert b"head_timeout" in told or told == b""
    else:
        assert told == b""
    assert side.model.received == b""


async def test_L01_the_time_is_for_the_whole_head_and_not_for_each_byte(start: Start) -> None:
    side = await start(limits={"head_seconds": 0.5})
    client = await side.dial()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")

    def is_ended() -> bool:
        client.send(b"y")
        return client.ending is not None

    await until(is_ended, "the connection is ended")
    assert b" 408 " in client.rest or client.rest == b""


async def test_L01_a_second_head_has_its_own_time(start: Start) -> None:
    side = await start(limits={"head_seconds": 0.3})
    client = await side.dial()
    assert (await client.ask()).status == 200
    client.send(b"GET / HT")
    assert b" 408 " in await is_let_go(client)


async def test_L01_an_idle_connection_is_kept_for_its_time(start: Start) -> None:
    side = await start(limits={"keepalive_seconds": 1.2, "head_seconds": 0.1})
    client = await side.dial()
    assert (await client.ask()).status == 200
    before = time.monotonic()
    assert await is_let_go(client) == b""
    assert time.monotonic() - before > 0.8, "that is its own time, not that of heads"


async def test_L01_the_others_are_served_meanwhile(start: Start) -> None:
    side = await start(limits={"head_seconds": 0.5})
    slow = [await side.dial() for _ in range(200)]
    for client in slow:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n")
    good = await side.dial()

    def are_ended() -> bool:
        for client in slow:
            client.send(b"X: y\r\n") if len(client.rest) == 0 else None
        return all(client.ending is not None for client in slow)

    ending = asyncio.create_task(until(are_ended, "all slow ones are ended"))
    served = 0
    while not ending.done():
        assert (await good.ask()).status == 200
        served += 1
    await ending
    assert served > 10


# L-02: bodies that come slowly, and answers that are taken slowly.


async def test_L02_a_body_that_stops_coming_is_refused(start: Start) -> None:
    side = await start(limits={"body_idle_seconds": 0.3})
    client = await side.dial()
    client.send(POST + b"part")
    answer = await client.answer()
    assert (answer.status, answer.code, answer.closes) == (408, "body_timeout", True)
    await client.to_end(None)
    await until(lambda: side.model.links[0].ending is not None, "the model hears of it")
    assert side.model.requests == []


async def test_L02_a_body_that_drips_is_refused(start: Start) -> None:
    side = await start(limits={"body_idle_seconds": 0.3, "min_bytes_per_second": 100_000})
    client = await side.dial()
    client.send(POST)

    def is_answered() -> bool:
        if client.ending is None:
            client.send(b"x")
        return b"\r\n\r\n{" in client.received

    await until(is_answered, "the gateway has had enough")
    assert (await client.answer()).status == 408


async def test_L02_a_body_that_the_decision_needs_is_no_exception(start: Start) -> None:
    side = await start(limits={"body_idle_seconds": 0.3})
    side.use(side.spec(unit=("body:user",)))
    client = await side.dial()
    client.send(POST + b"part")
    assert (await client.answer()).status == 408
    assert side.model.received == b""


async def test_L02_a_slow_but_steady_body_is_served(start: Start) -> None:
    side = await start(limits={"body_idle_seconds": 0.4, "min_bytes_per_second": 10})
    client = await side.dial()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1200\r\n\r\n")
    for _ in range(12):
        client.send(b"x" * 100)
        await asyncio.sleep(0.1)  # the client's pace, nothing waits for it
    assert (await client.answer()).status == 200


async def pouring(link: ModelLink, request: Request) -> None:
    """An answer of 64 MiB."""
    await link.body(request)
    link.send(BIG)
    for _ in range(1024):
        if link.ending is not None:
            break
        link.send(b"x" * 65_536)
        await until(lambda: not link.is_full or link.ending is not None, "the gateway reads", 60)


async def test_L02_a_client_that_takes_nothing_is_cut_off(start: Start) -> None:
    side = await start(limits={"write_idle_seconds": 0.5})
    side.model.answer = pouring
    client = await side.dial(receive_buffer=4096)
    client.hold()
    client.send(GET)
    await until(lambda: bool(side.model.links) and side.model.links[0].is_full, "it is held up")
    await until(lambda: side.model.links[0].ending is not None, "the model is let go")
    await until(lambda: side.in_flight() == 0, "the request is over")


@pytest.mark.slow
async def test_L02_a_client_that_takes_little_is_cut_off(start: Start) -> None:
    side = await start(limits={"write_idle_seconds": 0.5, "min_bytes_per_second": 2**22})
    side.model.answer = pouring
    client = await side.dial(receive_buffer=4096)
    client.hold()
    client.send(GET)
    await until(lambda: bool(side.model.links) and side.model.links[0].is_full, "it is held up")
    link = side.model.links[0]
    turns = 0

    def is_let_go() -> bool:
        nonlocal turns
        turns += 1
        client.go_on() if turns % 2 else client.hold()
        return link.ending is not None

    client.data_received = lambda data: client.hold()  # type: ignore[method-assign]  # little
    await until(is_let_go, "the model is let go")


async def test_L02_a_client_that_takes_its_time_between_events_is_not_cut_off(
    start: Start,
) -> None:
    """Nothing waits to be taken: it is the model that is slow."""
    side = await start(limits={"write_idle_seconds": 0.2, "keepalive_seconds": 0.2})
    asked = time.monotonic()

    async def thinking(link: ModelLink, request: Request) -> None:
        await link.body(request)
        await until(lambda: time.monotonic() > asked + 1.5, "it has thought")
        link.send(OK)

    side.model.answer = thinking
    client = await side.dial()
    assert (await client.ask()).status == 200


# L-05: the cost of drips.


async def test_L05_a_head_that_drips_costs_no_more_than_its_bytes(side: Side) -> None:
    """Byte by byte up to the limit, twice the bytes take about twice the time, not four times."""

    async def seconds_for(count: int) -> float:
        client = await side.dial()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")
        before = time.process_time()
        await client.drip(b"y" * count)
        spent = time.process_time() - before
        client.close()
        return spent

    await seconds_for(2000)
    short, long = await seconds_for(6000), await seconds_for(24_000)
    assert long < 4 * short * 3, f"{short:.3f} s and {long:.3f} s of processor time"


async def test_L05_what_drips_beyond_the_limit_is_refused(start: Start) -> None:
    side = await start(limits={"head_bytes": 4096, "line_bytes": 1024})
    client = await side.dial()
    await client.drip(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 4200)
    assert (await client.answer()).status == 431


async def test_P26_a_408_is_not_taken_for_an_answer_to_the_next_request(start: Start) -> None:
    side = await start(limits={"keepalive_seconds": 0.2})
    client = await side.dial()
    assert (await client.ask()).status == 200
    assert await is_let_go(client) == b"", "an idle connection is ended without a word"

"""L-11: how a worker stops: what was accepted is served, and nothing after it."""

from __future__ import annotations

import asyncio

import pytest

from tests.proxy.link import until
from tests.proxy.message import Request, read_chunk, read_head
from tests.proxy.model import OK, ModelLink, Script
from tests.proxy.scripts import EVENTS, silent
from tests.proxy.side import GET, Side


def streaming(may_end: asyncio.Event) -> Script:
    async def stream(link: ModelLink, request: Request) -> None:
        await link.body(request)
        link.send(EVENTS + b"3\r\none\r\n")
        await may_end.wait()
        link.send(b"3\r\ntwo\r\n0\r\n\r\n")

    return stream


async def test_L11_running_streams_finish_and_idle_connections_are_told(side: Side) -> None:
    may_end = asyncio.Event()
    idle = await side.dial()
    assert not (await idle.ask()).closes
    side.model.answer = streaming(may_end)
    client = await side.dial()
    client.send(GET)
    assert (await read_head(client)).status == 200
    assert await read_chunk(client) == b"one"
    draining = asyncio.create_task(side.drain(10))
    side.model.answer = OK
    await until(lambda: side.plane.is_closing, "it drains")
    answer = await idle.ask()
    assert (answer.status, answer.closes) == (200, True)
    assert await idle.to_end() == b""
    await until(lambda: not draining.done(), "it waits for the stream")
    with pytest.raises(ConnectionRefusedError):
        await side.dial()
    may_end.set()
    assert await read_chunk(client) == b"two"
    assert await client.exactly(5) == b"0\r\n\r\n"
    await client.to_end()
    await draining


async def test_L11_idle_connections_are_ended_after_a_second(side: Side) -> None:
    clients = [await side.dial() for _ in range(3)]
    for client in clients:
        await client.ask()
    await side.drain(10)
    for client in clients:
        assert await client.to_end() == b""


async def test_L11_what_takes_longer_than_it_may_is_cut_and_does_not_look_whole(side: Side) -> None:
    may_end = asyncio.Event()
    side.model.answer = streaming(may_end)
    client = await side.dial()
    client.send(GET)
    assert (await read_head(client)).status == 200
    await side.drain(0.2)
    assert await client.to_end(None) == b"3\r\none\r\n"
    may_end.set()


async def test_L11_a_request_that_waits_for_its_answer_is_served(side: Side) -> None:
    may_answer = asyncio.Event()

    async def waiting(link: ModelLink, request: Request) -> None:
        await link.body(request)
        await may_answer.wait()
        link.send(OK)

    side.model.answer = waiting
    client = await side.dial()
    client.send(GET)
    await until(lambda: bool(side.model.requests), "the model has it")
    draining = asyncio.create_task(side.drain(10))
    await until(lambda: side.plane.is_closing, "it drains")
    may_answer.set()
    answer = await client.answer()
    assert (answer.status, answer.closes) == (200, True)
    await draining


async def test_L11_connections_that_wait_to_be_accepted_are_served(side: Side) -> None:
    clients = [await side.dial() for _ in range(20)]
    for client in clients:
        client.send(GET)
    await side.drain(10)
    for client in clients:
        assert (await client.answer()).status == 200


async def test_L11_nothing_is_left_of_what_was_cut(side: Side) -> None:
    side.model.answer = silent
    clients = [await side.dial() for _ in range(5)]
    for client in clients:
        client.send(GET)
    await until(lambda: len(side.model.requests) == 5, "the model has them")
    await side.drain(0)
    assert side.in_flight() == 0 and side.plane.connections == 0
    for client in clients:
        await client.to_end(None)

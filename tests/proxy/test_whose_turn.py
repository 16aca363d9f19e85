"""Whose turn it is, and who is to blame when it takes too long."""

from __future__ import annotations

import asyncio
import os
import socket
import time

import pytest

from gateway.proxy import downstream
from gateway.proxy.downstream import Downstream
from gateway.upstream.connection import UpstreamConnection
from gateway.upstream.health import Health
from tests.proxy.conftest import Start
from tests.proxy.link import Ending, until
from tests.proxy.message import Request
from tests.proxy.model import OK, Model, ModelLink
from tests.proxy.side import GET, Client, Side

POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"


def health(side: Side) -> Health:
    view = side.plane.view
    assert view is not None
    return view.routes["chat"].groups["v1"].endpoints[0].health


async def time_passes(seconds: float) -> None:
    """The behaviour is about time, so there is nothing else to wait for."""
    await asyncio.sleep(seconds)


@pytest.fixture
def far_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel takes little for clients, as when they are far away."""
    made = Downstream.connection_made

    def connection_made(self: Downstream, transport: asyncio.BaseTransport) -> None:
        link = transport.get_extra_info("socket")
        link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        made(self, transport)

    monkeypatch.setattr(Downstream, "connection_made", connection_made)


async def reading_nothing(side: Side, request: bytes) -> Client:
    client = await side.dial(receive_buffer=4096)
    client.hold()
    client.send(request)
    return client


async def test_L04_a_model_that_does_not_take_the_very_first_write_stops_the_client(
    side: Side, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = UpstreamConnection.connection_made
    links: list[asyncio.WriteTransport] = []

    def connection_made(self: UpstreamConnection, transport: asyncio.BaseTransport) -> None:
        made(self, transport)
        assert isinstance(transport, asyncio.WriteTransport) or hasattr(transport, "write")
        links.append(transport)  # type: ignore[arg-type]  # uvloop's has no common base
        link = transport.get_extra_info("socket")
        link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)

    async def deaf(link: ModelLink) -> None:
        link.hold()
        await link.to_end(None)

    monkeypatch.setattr(UpstreamConnection, "connection_made", connection_made)
    model.serve = deaf
    client = await side.dial()
    client.send(POST % 40_000_000 + b"x" * 300_000)
    await until(lambda: bool(links) and links[0].get_write_buffer_size() > 0, "the model is full")
    for _ in range(40):
        client.send(b"y" * 500_000)
        await time_passes(0.005)
    assert links[0].get_write_buffer_size() < 1_000_000
    client.reset()


async def test_P29_a_slow_client_of_http_1_0_gets_no_regular_end_before_the_end(
    start: Start, model: Model, far_clients: None
) -> None:
    side = await start(limits={"write_idle_seconds": 0.5})

    async def answer(link: ModelLink, request: Request) -> None:
        link.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"z" * 60_000)
        link.close()

    model.answer = answer
    client = await reading_nothing(side, b"GET / HTTP/1.0\r\n\r\n")
    await until(lambda: not side.plane.clients, "the gateway has given up", 10)
    client.go_on()
    await client.to_end(None)
    assert client.ending is Ending.RESET


async def test_P25_lingering_waits_for_what_the_client_still_takes(
    side: Side, model: Model, far_clients: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downstream, "_LINGER_SECONDS", 0.2)
    body = b"z" * 60_000
    model.answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n\r\n"
    client = await reading_nothing(side, request)
    await time_passes(2.5)  # the connections are looked at every second
    client.go_on()
    await client.to_end(None)
    assert client.received.endswith(body)


async def test_L02_a_client_that_reads_nothing_is_no_fault_of_the_model(
    side: Side, model: Model, far_clients: None
) -> None:
    side.use(side.spec(timeouts={"idle": 0.4}))
    sizes = iter((50_000, 400_000))

    async def answer(link: ModelLink, request: Request) -> None:
        size = next(sizes)
        link.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"z" * size)

    model.answer = answer
    client = await reading_nothing(side, GET)
    await until(lambda: side.codes() == {200: 1}, "the first answer is on its way")
    client.send(GET)
    await until(lambda: len(model.heads) == 2, "the second one is asked for")
    await time_passes(1.0)
    assert health(side).failures == 0 and side.errors() == {}
    client.reset()


async def test_L02_a_request_that_takes_too_long_to_send_is_no_fault_of_the_model(
    side: Side,
) -> None:
    side.use(side.spec(timeouts={"total": 0.3}))
    for _ in range(5):
        client = await side.dial()
        client.send(POST % 100_000 + b"abc")
        assert (await client.answer()).status == 504
    assert health(side).is_up(time.monotonic()) and health(side).failures == 0


async def test_P30_a_kept_connection_that_the_model_has_ended_is_given_to_nobody(
    side: Side, model: Model
) -> None:
    for _ in range(5):
        client = await side.dial()
        assert (await client.ask()).status == 200
        theirs = socket.socket(fileno=os.dup(model.links[-1].socket.fileno()))
        ours = socket.socket(fileno=os.dup(client.socket.fileno()))
        theirs.shutdown(socket.SHUT_WR)  # both are seen in one turn of the loop
        ours.send(POST % 2 + b"hi")
        theirs.close()
        ours.close()
        assert (await client.answer()).status == 200
        client.close()


async def test_P15_waiting_for_the_models_word_is_no_slowness_of_the_client(
    start: Start, model: Model
) -> None:
    side = await start(limits={"body_idle_seconds": 0.3})

    async def answer(link: ModelLink, request: Request) -> None:
        await time_passes(0.9)
        link.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        await link.body(request)
        link.send(OK)

    model.answer = answer
    client = await side.dial()
    expect = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    client.send(expect)
    assert b" 100 " in await client.through(b"\r\n\r\n")
    client.send(b"hi")
    assert (await client.answer()).status == 200

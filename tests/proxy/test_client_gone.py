"""L-08: nobody works for a client that is gone, and nothing of it stays."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.proxy.link import Ending, Link, until
from tests.proxy.message import Request, read_head
from tests.proxy.model import OK, ModelLink
from tests.proxy.scripts import EVENTS
from tests.proxy.side import GET, Client, Side

POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n"


def end(link: Link, ending: Ending) -> None:
    link.close() if ending is Ending.FIN else link.reset()


async def streaming(link: ModelLink, request: Request) -> None:
    """An event stream without end."""
    await link.body(request)
    link.send(EVENTS + b"d\r\ndata: first\n\n\r\n")
    await link.to_end(None)
    link.close()


async def thinking(link: ModelLink, request: Request) -> None:
    """Has the request and says nothing."""
    await link.body(request)
    await link.to_end(None)
    link.close()


async def model_hears(side: Side) -> None:
    await until(lambda: side.model.links[-1].ending is not None, "the model hears of it", 1.0)
    await until(lambda: side.in_flight() == 0, "nothing is in flight", 1.0)


@pytest.mark.parametrize("ending", Ending)
async def test_L08_a_client_that_goes_in_the_middle_of_a_stream(side: Side, ending: Ending) -> None:
    side.model.answer = streaming
    client = await side.dial()
    client.send(GET)
    assert (await read_head(client)).status == 200
    await client.through(b"first")
    end(client, ending)
    await model_hears(side)
    assert side.errors() == {"client_gone": 1}


@pytest.mark.parametrize("ending", Ending)
async def test_L08_a_client_that_goes_before_the_answer(side: Side, ending: Ending) -> None:
    side.model.answer = thinking
    client = await side.dial()
    client.send(GET)
    await until(lambda: bool(side.model.requests), "the model has it")
    end(client, ending)
    await model_hears(side)
    assert side.codes() == {499: 1}
    assert side.errors() == {"client_gone": 1}


@pytest.mark.parametrize("ending", Ending)
async def test_L08_a_client_that_goes_in_the_middle_of_its_body(side: Side, ending: Ending) -> None:
    client = await side.dial()
    client.send(POST + b"part")
    await until(lambda: b"part" in side.model.received, "the model has the beginning")
    end(client, ending)
    await model_hears(side)
    assert side.codes() == {499: 1}


async def test_L08_a_client_that_goes_in_the_middle_of_a_body_that_decides(side: Side) -> None:
    side.use(side.spec(unit=("body:user",)))
    client = await side.dial()
    client.send(POST + b"part")
    other = await side.dial()
    assert (await other.ask()).status == 200
    client.close()
    await until(lambda: side.plane.connections == 1, "it is gone")
    assert len(side.model.requests) == 1


async def test_L08_a_client_that_goes_in_the_middle_of_its_head(side: Side) -> None:
    client = await side.dial()
    client.send(b"GET / HT")
    await until(lambda: side.plane.connections == 1, "it is there")
    client.close()
    await until(lambda: side.plane.connections == 0, "it is gone")
    assert side.model.links == []


def _has_more(side: Side, before: int) -> Callable[[], bool]:
    return lambda: len(side.model.targets) > before


async def test_L08_a_client_that_has_gone_is_no_fault_of_the_model(side: Side) -> None:
    """Many of them must not get an endpoint ejected."""
    side.model.answer = thinking
    for _ in range(12):
        before = len(side.model.targets)
        client = await side.dial()
        client.send(GET)
        await until(_has_more(side, before), "the model has it")
        client.close()
        await model_hears(side)
    assert all(is_up for *_, is_up in side.plane.endpoints())
    side.model.answer = OK
    assert (await side.ask()).status == 200


async def test_L08_a_client_that_ends_its_side_while_bytes_wait_for_it(side: Side) -> None:
    async def pouring(link: ModelLink, request: Request) -> None:
        await link.body(request)
        link.send(b"HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n")
        link.send(b"x" * 2**25)
        await until(lambda: link.ending is not None, "the gateway ends it", 60)

    side.model.answer = pouring
    client = await side.dial(receive_buffer=4096)
    client.hold()
    client.send(GET)
    await until(lambda: bool(side.model.links) and side.model.links[0].is_full, "it is held up")
    client.reset()
    await model_hears(side)


async def test_L08_a_thousand_such_clients_leave_nothing(side: Side) -> None:
    side.model.answer = streaming

    async def gone(count: int) -> None:
        clients: list[Client] = []
        for _ in range(count):
            client = await side.dial()
            client.send(GET)
            clients.append(client)
        for client in clients:
            await client.through(b"first")
        for client in clients:
            client.reset()
        side.clients.clear()
        await until(lambda: side.in_flight() == 0, "nothing is in flight")
        await until(lambda: side.plane.connections == 0, "no client is left")
        links = list(side.model.links)
        await until(lambda: all(link.transport.is_closing() for link in links), "no model is busy")
        side.model.links.clear()
        side.model.heads.clear()
        side.model.requests.clear()

    await gone(50)
    before = open_files()
    for _ in range(20):
        await gone(50)
    await until(lambda: open_files() <= before, "no descriptor is left")
    gc.collect()
    kept = [one for one in gc.get_objects() if type(one).__name__ == "Exchange"]
    assert len(kept) < 10
    assert side.errors() == {"client_gone": 1050}


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize(
    "head", [EVENTS, b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"], ids=["chunked", "length"]
)
async def test_L08_nobody_gets_the_rest_of_an_answer_to_somebody_else(
    side: Side, head: bytes
) -> None:
    async def slow(link: ModelLink, request: Request) -> None:
        await link.body(request)
        if request.target == "/next":
            link.send(OK)
            return
        link.send(head + b"6\r\nsecret\r\n")
        await until(lambda: link.ending is not None or len(side.model.heads) > 1, "it is over")
        link.send(b"6\r\nsecret\r\n0\r\n\r\n" + b"x" * 76)

    side.model.answer = slow
    client = await side.dial()
    client.send(GET)
    await client.through(b"secret")
    client.close()
    await until(lambda: side.in_flight() == 0, "the request is over")
    answer = await side.ask("/next")
    assert (answer.status, answer.body) == (200, b"ok")
    assert len(side.model.links) == 2

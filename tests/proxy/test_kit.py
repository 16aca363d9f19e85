"""The tools of these tests: a reader that lets things pass would make all of them worthless."""

from __future__ import annotations

import asyncio

import pytest

from tests.proxy.link import Ending, Link, until
from tests.proxy.message import NotStrict, parse_request, read_answer
from tests.proxy.model import Model, ModelLink
from tests.proxy.side import Client

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
def link() -> Client:
    """A connection that has ended; what `said` gives it is all there is."""
    link = Client()
    link.ending = Ending.FIN
    return link


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (GOOD, b"ok"),
        (CHUNKED + b"2\r\nok\r\n0\r\n\r\n", b"ok"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok", b"ok"),
        (b"HTTP/1.1 204 \r\nX:\r\n\r\n", b""),
    ],
)
async def test_good_answers_are_read(link: Client, data: bytes, body: bytes) -> None:
    link.data_received(data)
    assert (await read_answer(link)).body == body
    assert link.rest == b""


@pytest.mark.parametrize(
    "data",
    [
        GOOD.replace(b"HTTP/1.1", b"HTTP/1.0"),
        GOOD.replace(b"200 OK", b"200"),
        GOOD.replace(b": 2", b": 02"),
        GOOD.replace(b": 2", b":  2"),
        GOOD.replace(b": 2", b": 2 "),
        GOOD.replace(b"Content-Length", b"Content-Length "),
        GOOD.replace(b"\r\n\r\n", b"\r\nContent-Length: 2\r\n\r\n"),
        GOOD.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n"),
        GOOD.replace(b"\r\n\r\n", b"\r\nX: \x00\r\n\r\n"),
        GOOD.replace(b"\r\n\r\n", b"\r\nX: a\n\r\n\r\n"),
        GOOD.replace(b"200 OK", b"204 No"),
        b"HTTP/1.1 103 Hints\r\nContent-Length: 0\r\n\r\n" + GOOD,
        b"HTTP/1.1 200 OK\r\n\r\nok",
        CHUNKED.replace(b"chunked", b"Chunked") + b"0\r\n\r\n",
        CHUNKED + b"02\r\nok\r\n0\r\n\r\n",
        CHUNKED + b"2;a\r\nok\r\n0\r\n\r\n",
        CHUNKED + b"2\r\nokXX0\r\n\r\n",
        CHUNKED + b"00\r\n\r\n",
    ],
)
async def test_answers_that_are_not_canonical_are_not(link: Client, data: bytes) -> None:
    link.data_received(data)
    with pytest.raises(NotStrict):
        await read_answer(link)


@pytest.mark.parametrize(
    "data", [b"", GOOD[:-1], GOOD[:20], CHUNKED, CHUNKED + b"2\r\nok\r\n", CHUNKED + b"0\r\n"]
)
async def test_half_an_answer_is_none(link: Client, data: bytes) -> None:
    link.data_received(data)
    with pytest.raises(AssertionError, match="ended before"):
        await read_answer(link)


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.0\r\nHost: a",
        b"GET  / HTTP/1.1\r\nHost: a",
        b"GET / HTTP/1.1",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: a",
        b"GET / HTTP/1.1\r\nHost: a\r\n x",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1",
        b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip",
    ],
)
def test_requests_that_are_not_canonical_are_not(head: bytes) -> None:
    with pytest.raises(NotStrict):
        parse_request(head + b"\r\n\r\n")


async def dialled(model: Model) -> Client:
    loop = asyncio.get_running_loop()
    _, client = await loop.create_connection(Client, "127.0.0.1", model.port)
    return client


async def test_what_is_dripped_arrives_byte_by_byte(model: Model) -> None:
    client = await dialled(model)
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    await client.drip(request)
    assert (await client.answer()).status == 200
    assert model.links[0].pieces == len(request)
    client.close()


@pytest.mark.parametrize("ending", Ending)
async def test_the_kind_of_an_end_is_seen(model: Model, ending: Ending) -> None:
    async def serve(link: ModelLink) -> None:
        link.send(b"part")
        await link.flush()
        link.close() if ending is Ending.FIN else link.reset()

    model.serve = serve
    client = await dialled(model)
    assert await client.to_end(ending) == b"part"
    client.close()


async def test_a_model_complains_of_what_is_not_canonical() -> None:
    model = Model()
    await model.start()
    client = await dialled(model)
    client.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
    await until(lambda: bool(model.problems), "it is read")
    client.close()
    with pytest.raises(AssertionError, match="no request line"):
        await model.close()


async def test_who_holds_reads_nothing(model: Model) -> None:
    async def serve(link: ModelLink) -> None:
        link.hold()
        await link.when(lambda: link.transport.is_closing(), "the test is over", None)

    model.serve = serve
    client = await dialled(model)
    client.send(b"x" * 2**25)
    await client.when(lambda: client.is_full, "it is held up")
    assert model.received == b""
    client.reset()


def test_a_link_shows_what_it_has() -> None:
    link = Link()
    link.data_received(b"abc")
    assert repr(link) == "<Link None, b'abc'>"

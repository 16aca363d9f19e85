"""The same duties behind TLS, on either side."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from tests.proxy.conftest import Start
from tests.proxy.link import until
from tests.proxy.message import Request, read_answer, read_head
from tests.proxy.model import Model, ModelLink
from tests.proxy.scripts import EVENTS
from tests.proxy.side import GET, Client, Feed, Side
from tests.tls import Authority


@pytest.fixture
async def secure(start: Start, authority: Authority) -> Side:
    """A plane whose clients speak TLS."""
    certificate, key = authority.issue("front")
    return await start(listen={"tls_cert": certificate, "tls_key": key})


async def dial(side: Side, authority: Authority) -> Client:
    context = ssl.create_default_context(cafile=authority.ca)
    loop = asyncio.get_running_loop()
    _, client = await loop.create_connection(Client, side.host, side.port, ssl=context)
    side.clients.append(client)
    return client


async def test_a_client_over_tls_is_served(secure: Side, authority: Authority, feed: Feed) -> None:
    client = await dial(secure, authority)
    for _ in range(2):
        await feed(client, GET)
        assert (await client.answer()).body == b"ok"
    assert secure.model.last.one("x-forwarded-proto") == "https"
    assert len(secure.model.links) == 1


async def test_P23_a_client_without_tls_is_not(secure: Side) -> None:
    client = await secure.dial()
    client.send(GET)
    await client.to_end(None)
    assert secure.model.received == b""


async def test_L01_a_handshake_that_does_not_come_is_not_waited_for(
    start: Start, authority: Authority
) -> None:
    certificate, key = authority.issue("front")
    side = await start(
        listen={"tls_cert": certificate, "tls_key": key}, limits={"head_seconds": 0.3}
    )
    client = await side.dial()
    client.send(b"\x16\x03\x01")
    await client.to_end(None)


async def test_P25_the_answer_reaches_a_client_over_tls_that_is_still_sending(
    secure: Side, authority: Authority
) -> None:
    client = await dial(secure, authority)
    client.hold()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3,3\r\n\r\n")
    for _ in range(64):  # 4 MiB
        client.send(b"x" * 65_536)
    await asyncio.sleep(0)
    client.go_on()
    answer = await read_answer(client)
    assert (answer.status, answer.closes) == (400, True)
    await client.to_end(None)


async def test_L08_a_client_over_tls_that_goes_is_noticed(
    secure: Side, authority: Authority
) -> None:
    async def streaming(link: ModelLink, request: Request) -> None:
        await link.body(request)
        link.send(EVENTS + b"3\r\none\r\n")
        await link.to_end(None)
        link.close()

    secure.model.answer = streaming
    client = await dial(secure, authority)
    client.send(GET)
    assert (await read_head(client)).status == 200
    client.close()
    await until(lambda: secure.in_flight() == 0, "it is over")
    await until(lambda: secure.model.links[0].ending is not None, "the model hears of it")


async def test_P29_an_answer_over_tls_that_is_cut_does_not_look_whole(
    secure: Side, authority: Authority
) -> None:
    async def cutting(link: ModelLink, request: Request) -> None:
        await link.body(request)
        link.send(EVENTS + b"3\r\none\r\n")
        await until(lambda: b"one" in client.received, "the client has it")
        link.reset()

    secure.model.answer = cutting
    client = await dial(secure, authority)
    client.send(GET)
    assert (await read_head(client)).status == 200
    assert await client.to_end(None) == b"3\r\none\r\n"


async def test_large_bodies_pass_over_tls_both_ways(secure: Side, authority: Authority) -> None:
    async def echoing(link: ModelLink, request: Request) -> None:
        body = await link.body(request)
        link.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    secure.model.answer = echoing
    body = bytes(range(256)) * 16_384  # 4 MiB
    client = await dial(secure, authority)
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    assert (await client.answer()).body == body


# Models behind TLS.


async def tls_model(authority: Authority, name: str) -> Model:
    certificate, key = authority.issue(name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    model = Model()
    await model.start(context)
    return model


async def test_a_model_behind_tls_is_asked(start: Start, authority: Authority) -> None:
    side = await start(upstream={"tls_ca": authority.ca})
    model = await tls_model(authority, "model")
    side.use_urls(model.url)
    for _ in range(2):
        assert (await side.ask()).body == b"ok"
    assert len(model.links) == 1
    await side.drain(0)
    await model.close()


async def test_a_model_with_a_strange_certificate_is_not(
    side: Side, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    model = await tls_model(authority, "model")
    side.use_urls(model.url)
    answer = await side.ask()
    assert (answer.status, answer.code) == (502, "upstream_connect_failed")
    assert model.received == b""
    assert b"certificate" not in answer.body and "certificate" in caplog.text
    await side.drain(0)
    await model.close()


async def test_P29_a_model_behind_tls_that_ends_without_saying_so_has_not_finished(
    start: Start, authority: Authority
) -> None:
    """Without close_notify anybody on the way may have cut the connection."""
    side = await start(upstream={"tls_ca": authority.ca})
    model = await tls_model(authority, "model")
    side.use_urls(model.url)

    async def cutting(link: ModelLink, request: Request) -> None:
        await link.body(request)
        link.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart")
        await link.flush()
        link.transport.abort()

    model.answer = cutting
    client = await side.dial()
    client.send(GET)
    head = await client.through(b"\r\n\r\n")
    if head.startswith(b"HTTP/1.1 200 "):
        assert len(await client.to_end(None)) < 100
        assert client.ending is not None
    await side.drain(0)
    await model.close()

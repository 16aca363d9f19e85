"""Upgrades: ignored where they can be, tunnelled where the model agrees."""

from __future__ import annotations

import pytest

from tests.proxy.link import until
from tests.proxy.message import Request, read_head
from tests.proxy.model import OK, ModelLink
from tests.proxy.side import GET, Client, Feed, Side

HIDDEN = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
SOCKET = (
    b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
SWITCHING = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)


async def switching(link: ModelLink, request: Request) -> None:
    """Agrees, and sends everything back in upper case until the other side ends."""
    assert request.one("upgrade") == "websocket"
    assert (request.one("connection") or "").lower() == "upgrade"
    link.send(SWITCHING + b"hello\n")
    while True:
        await link.when(lambda: link.has_more, "more", None)
        if not link.rest:
            break
        link.send((await link.exactly(len(link.rest))).upper())
    link.close()


async def opened(side: Side, request: bytes = SOCKET) -> Client:
    side.model.answer = switching
    client = await side.dial()
    client.send(request)
    head = await read_head(client)
    assert (head.status, head.reason) == (101, "Switching Protocols")
    assert head.one("upgrade") == "websocket"
    assert "upgrade" in (head.one("connection") or "").lower()
    assert head.one("sec-websocket-accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert await client.exactly(6) == b"hello\n"
    return client


# P-18: what is ignored.


@pytest.mark.parametrize(
    "fields",
    [
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
        b"Connection: upgrade\r\nUpgrade: h2c\r\n",
        b"Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n",
        b"Connection: Upgrade\r\nUpgrade: websocket\r\n",
        b"Upgrade: h2c\r\n",
        b"Upgrade: websocket\r\n",
        b"Connection: Upgrade\r\n",
        b"Connection: Upgrade\r\nUpgrade:\r\n",
    ],
)
@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_P18_a_body_is_a_body_whatever_upgrade_says(
    side: Side, feed: Feed, fields: bytes, framing: str
) -> None:
    length, body = b"Content-Length: %d\r\n\r\n" % len(HIDDEN), HIDDEN
    if framing == "chunked":
        length = b"Transfer-Encoding: chunked\r\n\r\n"
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)
    client = await side.dial()
    await feed(client, b"POST /p HTTP/1.1\r\nHost: a\r\n" + fields + length + body + GET)
    assert (await client.answer()).status == 200
    assert (await client.answer()).status == 200
    assert side.model.targets == ["/p", "/"]
    assert side.model.requests[0].body == HIDDEN
    assert {"upgrade", "http2-settings"}.isdisjoint(side.model.requests[0].names)


@pytest.mark.parametrize("upgrade", [b"h2c", b"TLS/1.0", b"foo/2", b"h2c, websocket"])
async def test_P18_an_unknown_upgrade_of_a_get_is_ignored(
    side: Side, feed: Feed, upgrade: bytes
) -> None:
    client = await side.dial()
    request = SOCKET.replace(b"Upgrade: websocket", b"Upgrade: " + upgrade)
    await feed(client, request + GET)
    assert (await client.answer()).status == 200
    assert (await client.answer()).status == 200
    assert side.model.targets == ["/ws", "/"]


async def test_P18_in_http_1_0_an_upgrade_is_ignored(side: Side, feed: Feed) -> None:
    client = await side.dial()
    await feed(client, SOCKET.replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert (await client.answer()).status == 200
    assert await client.to_end() == b""
    assert "upgrade" not in side.model.last.names


async def test_P18_an_upgrade_that_connection_does_not_name_is_ignored(
    side: Side, feed: Feed
) -> None:
    client = await side.dial()
    await feed(client, SOCKET.replace(b"Connection: Upgrade", b"Connection: keep-alive"))
    assert (await client.answer()).status == 200
    assert "upgrade" not in side.model.last.names


# P-18: what is tunnelled.


async def test_P18_a_websocket_is_a_tunnel_when_the_model_agrees(side: Side) -> None:
    client = await opened(side)
    for word in (b"one", b"\x00\xff\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"):
        client.send(word)
        assert await client.exactly(len(word)) == word.upper()
    client.finish()
    assert await client.to_end() == b""
    await until(lambda: side.in_flight() == 0, "it has ended")
    assert side.codes() == {101: 1}
    assert side.model.last.one("sec-websocket-key") == "dGhlIHNhbXBsZSBub25jZQ=="


@pytest.mark.parametrize("spelling", [b"WebSocket", b"WEBSOCKET"])
async def test_P18_the_case_of_the_word_does_not_matter(side: Side, spelling: bytes) -> None:
    client = await opened(side, SOCKET.replace(b"Upgrade: websocket", b"Upgrade: " + spelling))
    client.close()


async def test_P18_bytes_behind_the_handshake_reach_the_model(side: Side, feed: Feed) -> None:
    side.model.answer = switching
    client = await side.dial()
    await feed(client, SOCKET + b"early" + HIDDEN)
    assert (await read_head(client)).status == 101
    said = b"early" + HIDDEN
    assert await client.exactly(6 + len(said)) == b"hello\n" + said.upper()
    assert len(side.model.heads) == 1
    client.close()


async def test_P18_when_the_model_does_not_agree_it_is_an_ordinary_request(
    side: Side, feed: Feed
) -> None:
    client = await side.dial()
    side.model.answer = b"HTTP/1.1 426 No\r\nContent-Length: 2\r\n\r\nno"
    await feed(client, SOCKET)
    answer = await client.answer()
    assert (answer.status, answer.body) == (426, b"no")
    if not answer.closes:
        side.model.answer = OK
        assert (await client.ask()).status == 200


async def test_P18_when_the_model_does_not_agree_what_follows_is_a_request(
    side: Side, feed: Feed
) -> None:
    client = await side.dial()
    await feed(client, SOCKET + GET)
    answer = await client.answer()
    assert answer.status == 200
    if not answer.closes:
        assert (await client.answer()).status == 200
    await until(lambda: len(side.model.targets) in (1, 2), "all is served")
    assert side.model.targets in (["/ws"], ["/ws", "/"])


async def test_P18_large_amounts_pass_a_tunnel_both_ways(side: Side) -> None:
    client = await opened(side)
    data = bytes(range(256)) * 4096  # 1 MiB
    client.send(data)
    assert await client.exactly(len(data)) == data.upper()
    client.close()


async def test_P18_a_client_that_reads_nothing_stops_the_model(side: Side) -> None:
    stopped = False

    async def pouring(link: ModelLink, _request: Request) -> None:
        nonlocal stopped
        link.send(SWITCHING)
        for _ in range(64):
            link.send(b"x" * 2**20)
            if link.is_full:
                stopped = True
                break
        await link.when(lambda: link.ending is not None, "the end", None)

    side.model.answer = pouring
    client = await side.dial(receive_buffer=4096)
    client.hold()
    client.send(SOCKET)
    await until(lambda: stopped, "the model has to wait")
    client.reset()
    await until(lambda: side.in_flight() == 0, "it has ended")


async def test_P18_the_end_of_the_model_is_told_to_the_client_and_back(side: Side) -> None:
    heard = b""

    async def ending(link: ModelLink, _request: Request) -> None:
        nonlocal heard
        link.send(SWITCHING + b"bye")
        link.finish()
        heard = await link.to_end()
        link.close()

    side.model.answer = ending
    client = await side.dial()
    client.send(SOCKET)
    assert (await read_head(client)).status == 101
    assert await client.to_end() == b"bye"
    client.send(b"last words")
    client.finish()
    await until(lambda: heard == b"last words", "they are heard")
    await until(lambda: side.in_flight() == 0, "it has ended")


@pytest.mark.parametrize("who", ["client", "model"])
async def test_P18_a_reset_of_one_side_ends_the_other(side: Side, who: str) -> None:
    client = await opened(side)
    link = side.model.links[0]
    if who == "client":
        client.reset()
        await until(lambda: link.ending is not None, "the model hears of it")
    else:
        link.reset()
        await client.to_end(None)
    await until(lambda: side.in_flight() == 0, "it has ended")


async def test_P18_a_tunnel_where_nobody_speaks_is_ended(side: Side) -> None:
    side.use(side.spec(timeouts={"idle": 0.2}))
    client = await opened(side)
    await client.to_end(None)
    assert side.in_flight() == 0


async def test_P16_101_with_another_protocol_is_no_tunnel(side: Side) -> None:
    side.model.answer = SWITCHING.replace(b"Upgrade: websocket", b"Upgrade: evil")
    client = await side.dial()
    client.send(SOCKET)
    answer = await read_head(client)
    assert answer.status in (101, 502)
    if answer.status == 101:
        pytest.fail("the client asked for websocket and is given something else")


async def test_P22_connect_opens_no_tunnel(side: Side, feed: Feed) -> None:
    request = SOCKET.replace(b"GET /ws", b"CONNECT a:1")
    client = await side.dial()
    await feed(client, request + HIDDEN)
    answer = await client.answer()
    assert answer.status in (400, 405, 501) and answer.closes
    assert side.model.received == b""


async def test_P18_the_version_is_chosen_for_tunnels_too(side: Side) -> None:
    side.use(side.spec(), v2=frozenset({b"alice"}))
    client = await opened(side, SOCKET.replace(b"Host: a", b"Host: a\r\nX-User-Id: alice"))
    assert side.model.last.one("x-graygate-version") == "v2"
    client.close()
    await until(lambda: side.in_flight() == 0, "it has ended")
    assert side.codes("v2") == {101: 1}

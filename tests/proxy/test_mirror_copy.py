"""What a copy is, and what becomes of it; on real sockets."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from gateway.proxy.pair import Capture
from gateway.routing.spec import VersionSpec
from tests.proxy.conftest import Start
from tests.proxy.link import Ending, until
from tests.proxy.message import Request
from tests.proxy.mirrored import (
    active,
    connections,
    lost,
    mirror,
    mirrored,
    pairs_of,
    settled,
    the_copy,
)
from tests.proxy.model import CLOSING, OK, Model, ModelLink
from tests.proxy.scripts import EVENTS, cut, silent
from tests.proxy.side import GET, Side, closed_port
from tests.upstream.parts import Swallowing

POST = b"POST /v1/chat?a=1 HTTP/1.1\r\nHost: front.example\r\nX-User-Id: u1\r\nX-Plain: p\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
SECRETS = (
    b"Authorization: Bearer abc\r\nCookie: session=1\r\nX-Api-Key: k1\r\napi-key: k2\r\n"
    b"Proxy-Authorization: Basic x\r\nx_auth_token: k3\r\nX-Goog-Api-Key: k4\r\n"
)


def length(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n" % len(body)


def address_of(port: Swallowing) -> str:
    return f"http://127.0.0.1:{port.port}"


def _has_come(side: Side, data: bytes) -> bool:
    return data in side.model.received


# The request.


async def test_a_copy_is_its_request_under_the_same_id(side: Side, other: Model) -> None:
    mirror(side, other.url + "/base")
    answer = await side.once(POST + length(b"hello") + b"hello")
    assert (answer.status, answer.one("x-graygate-version")) == (200, "v1")
    copy, original = await the_copy(other), side.model.requests[0]
    assert (copy.method, copy.target, copy.body) == ("POST", "/base/v1/chat?a=1", b"hello")
    assert copy.one("x-graygate-mirror") == "1"
    assert copy.one("x-graygate-version") == "v2"
    assert original.one("x-graygate-version") == "v1"
    assert copy.one("x-request-id") == original.one("x-request-id") == answer.one("x-request-id")
    assert copy.one("host") == other.url.removeprefix("http://")
    same = ("x-user-id", "x-plain", "content-length", "x-forwarded-for", "x-forwarded-host", "via")
    assert [copy.one(name) for name in same] == [original.one(name) for name in same]
    assert original.one("x-graygate-mirror") is None
    await settled(side)
    assert (mirrored(side), lost(side)) == (1, {})


async def test_clients_and_models_cannot_say_that_a_request_is_a_copy(
    side: Side, other: Model
) -> None:
    mirror(side, other.url)
    await side.ask(X_Graygate_Mirror="0")
    assert side.model.last.one("x-graygate-mirror") is None
    assert (await the_copy(other)).one("x-graygate-mirror") == "1"


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS"])
async def test_a_request_without_body_is_copied(side: Side, other: Model, method: str) -> None:
    mirror(side, other.url)
    assert (await side.ask(method=method)).status == 200
    copy = await the_copy(other)
    assert (copy.method, copy.body) == (method, b"")
    assert not copy.names & {"content-length", "transfer-encoding"}
    await settled(side)
    assert lost(side) == {}


async def test_a_body_of_no_bytes_is_said_to_have_none(side: Side, other: Model) -> None:
    mirror(side, other.url)
    await side.once(POST + length(b""))
    assert (await the_copy(other)).one("content-length") == "0"


async def test_a_body_that_comes_in_pieces_is_copied_when_it_is_whole(
    side: Side, other: Model
) -> None:
    mirror(side, other.url)
    client = await side.dial()
    client.send(POST + length(b"x" * 3000))
    for size in (1000, 2000):
        client.send(b"x" * 1000)
        await until(partial(_has_come, side, b"x" * size), "a piece has come")
        assert not other.links
    client.send(b"x" * 1000)
    assert (await client.answer()).status == 200
    copy = await the_copy(other)
    assert (copy.body, copy.one("content-length")) == (b"x" * 3000, "3000")


async def test_a_body_in_chunks_is_copied_in_chunks(side: Side, other: Model) -> None:
    mirror(side, other.url)
    client = await side.dial()
    client.send(POST + CHUNKED)
    for piece in (b"5\r\nhello\r\n", b"7;x=y\r\n, world\r\n", b"0\r\n\r\n"):
        client.send(piece)
        await client.flush()
    assert (await client.answer()).status == 200
    copy = await the_copy(other)
    assert (copy.body, copy.all("transfer-encoding")) == (b"hello, world", ["chunked"])
    client.send(POST + CHUNKED + b"2\r\nok\r\n0\r\n\r\n")  # all at once
    assert (await client.answer()).status == 200
    await until(lambda: len(other.requests) == 2, "the second copy")
    assert other.requests[1].body == b"ok"


async def test_a_body_that_waits_for_a_connection_is_copied_once(side: Side, other: Model) -> None:
    mirror(side, other.url)
    client = await side.dial()
    client.send(POST + length(b"ab" * 50_000) + b"ab" * 25_000)
    client.send(b"ab" * 25_000)
    assert (await client.answer()).status == 200
    assert (await the_copy(other)).body == b"ab" * 50_000


async def test_a_copy_asks_for_no_continue(side: Side, other: Model) -> None:
    mirror(side, other.url)
    client = await side.dial()
    client.send(POST + b"Expect: 100-continue\r\n" + length(b"hello"))
    await until(lambda: b"100-continue" in side.model.received, "the model is asked")
    client.send(b"hello")
    assert (await client.answer()).status == 200
    copy = await the_copy(other)
    assert (copy.one("expect"), copy.body) == (None, b"hello")


async def test_the_model_in_the_body_is_that_of_the_copys_version(side: Side, other: Model) -> None:
    versions = {
        "v1": VersionSpec(urls=(side.model.url,), rewrite_model="old-model"),
        "v2": VersionSpec(urls=(other.url,), rewrite_model="new"),
    }
    side.use(side.spec(versions=versions, mirror="v2"))
    body = b'{"model":"x","n":1}'
    await side.once(POST + length(body) + body)
    assert side.model.requests[0].body == b'{"model":"old-model","n":1}'
    assert (await the_copy(other)).body == b'{"model":"new","n":1}'
    versions["v2"] = VersionSpec(urls=(other.url,))
    side.use(side.spec(versions=versions, mirror="v2"))
    await side.once(POST + length(body) + body)
    await until(lambda: len(other.requests) == 2, "the second copy")
    assert other.requests[1].body == body


# Credentials.


async def test_copies_have_no_credentials(side: Side, other: Model) -> None:
    mirror(side, other.url)
    await side.once(POST.replace(b"a=1", b"key=k5&a=1") + SECRETS + length(b"hi") + b"hi")
    assert side.model.last.target == "/v1/chat?key=k5&a=1"
    assert side.model.last.one("authorization") == "Bearer abc"
    copy = await the_copy(other)
    assert (copy.target, copy.body) == ("/v1/chat?a=1", b"hi")
    for secret in (b"abc", b"session", b"k1", b"k2", b"k3", b"k4", b"k5", b"Basic"):
        assert secret not in copy.head
    assert copy.one("x-plain") == "p"


async def test_copies_keep_credentials_where_the_route_says_so(side: Side, other: Model) -> None:
    mirror(side, other.url, mirror_credentials=True)
    await side.once(POST.replace(b"a=1", b"key=k5&a=1") + SECRETS + length(b"hi") + b"hi")
    copy = await the_copy(other)
    assert copy.target == "/v1/chat?key=k5&a=1"
    assert copy.one("authorization") == "Bearer abc"
    assert copy.one("x-api-key") == "k1"
    assert copy.one("proxy-authorization") is None, "that was for us"


# Failures are the copy's own.


async def unharmed(side: Side) -> None:
    """The client is served, and nothing but the mirror's own count knows of the copy."""
    assert (await side.once(POST + length(b"hello") + b"hello")).status == 200
    await settled(side)
    assert side.errors("v2") == side.errors("v1") == {}
    assert side.codes("v2") == {} and side.codes("v1")[200] >= 1
    assert active(side) == side.in_flight() == 0
    assert all(up for _, _, _, up in side.plane.endpoints())


async def test_a_mirror_that_is_down_harms_nobody(side: Side) -> None:
    mirror(side, f"http://127.0.0.1:{closed_port()}")
    for _ in range(10):  # more than would eject an endpoint
        await unharmed(side)
    assert (mirrored(side), lost(side)) == (0, {"connect": 10})


async def test_a_mirror_that_does_not_take_connections_harms_nobody(side: Side) -> None:
    with Swallowing() as swallowing:
        mirror(side, address_of(swallowing), timeouts={"connect": 0.05})
        await unharmed(side)
        assert lost(side) == {"timeout": 1}


@pytest.mark.parametrize("ending", Ending)
@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (b"", "connect"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "protocol"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart", "stream_cut"),
        (EVENTS + b"4\r\npart\r\n", "stream_cut"),
    ],
)
async def test_a_mirror_that_breaks_off_harms_nobody(
    side: Side, other: Model, said: bytes, cause: str, ending: Ending
) -> None:
    mirror(side, other.url)
    other.answer = cut(said, ending)
    for _ in range(6):
        await unharmed(side)
    assert (mirrored(side), lost(side)) == (6, {cause: 6})
    await until(lambda: connections(side) == 0, "its connections are closed")


@pytest.mark.parametrize(
    "said",
    [b"SSH-2.0\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", EVENTS + b"x\r\n",
     b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"],
)  # fmt: skip
async def test_a_mirror_that_speaks_no_http_harms_nobody(
    side: Side, other: Model, said: bytes
) -> None:
    mirror(side, other.url)
    other.answer = said
    await unharmed(side)
    assert lost(side) == {"protocol": 1}


async def test_errors_of_the_mirror_are_its_own(side: Side, other: Model) -> None:
    mirror(side, other.url)
    other.answer = b"HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n"
    for _ in range(10):
        await unharmed(side)
    assert (mirrored(side), lost(side)) == (10, {"status_5xx": 10})


async def test_a_mirror_that_is_silent_is_given_up_in_its_time(side: Side, other: Model) -> None:
    mirror(side, other.url, timeouts={"total": 0.2})
    other.answer = silent
    await unharmed(side)
    assert lost(side) == {"timeout": 1}
    await until(lambda: other.links[0].ending is not None, "its connection is closed")


async def test_answers_that_never_end_are_cut_off(side: Side, other: Model) -> None:
    async def endless(link: ModelLink, request: Request) -> None:
        await link.body(request)
        link.send(EVENTS)
        while link.ending is None and not link.transport.is_closing():
            link.send(b"8000\r\n" + b"x" * 0x8000 + b"\r\n")
            await link.flush()

    mirror(side, other.url, timeouts={"total": 0.3})
    other.answer = endless
    await unharmed(side)
    assert lost(side) == {"timeout": 1}


# Connections.


async def test_connections_are_used_again_and_closed_in_the_end(side: Side, other: Model) -> None:
    mirror(side, other.url)
    client = await side.dial()
    for _ in range(5):
        await client.ask()
        await settled(side)
    assert (len(other.links), len(other.requests)) == (1, 5)
    await side.plane.drain(5)
    await until(lambda: other.links[0].ending is not None, "it is closed")
    assert connections(side) == active(side) == 0


async def test_a_connection_is_not_used_again_in_the_middle_of_an_answer(
    side: Side, other: Model
) -> None:
    async def half(link: ModelLink, request: Request) -> None:
        await link.body(request)
        link.send(EVENTS + b"4\r\npart\r\n")
        await link.when(lambda: link.ending is not None, "the gateway goes", None)
        link.close()

    mirror(side, other.url, timeouts={"total": 0.2})
    other.answer = half
    await unharmed(side)
    other.answer = OK
    await unharmed(side)
    assert (len(other.links), lost(side)) == (2, {"timeout": 1})


async def test_a_model_that_closes_gets_a_new_connection(side: Side, other: Model) -> None:
    mirror(side, other.url)
    other.answer = CLOSING
    await unharmed(side)
    await unharmed(side)
    assert (len(other.links), lost(side)) == (2, {})


async def test_a_kept_connection_that_has_gone_stale_says_nothing_of_the_version(
    side: Side, other: Model
) -> None:
    mirror(side, other.url)
    pairs = pairs_of(side)
    await unharmed(side)

    async def closing(link: ModelLink, request: Request) -> None:
        link.reset()

    other.answer = closing
    await unharmed(side)
    assert (lost(side), len(pairs)) == ({"stale": 1}, 1)


async def test_a_copy_that_is_given_up_while_it_connects_leaves_nothing(side: Side) -> None:
    with Swallowing() as swallowing:
        mirror(side, address_of(swallowing), timeouts={"connect": 0.3})
        side.model.answer = silent
        client = await side.dial()
        client.send(GET)
        await until(lambda: connections(side) == 1, "it connects")
        client.close()
        await until(lambda: lost(side) == {"client_gone": 1}, "the client is gone")
        assert len(side.plane.mirrors.copies) == 1, "a socket is a copy under way"
        await settled(side)
        assert connections(side) == active(side) == 0


async def test_draining_waits_for_no_copy(side: Side, other: Model) -> None:
    mirror(side, other.url)
    other.answer = silent
    assert (await side.ask()).status == 200
    await until(lambda: mirrored(side) == 1, "the copy is sent")
    async with asyncio.timeout(5):
        await side.plane.drain(60)
    await until(lambda: other.links[0].ending is not None, "its connection is closed")
    assert connections(side) == active(side) == 0
    assert not side.plane.mirrors.copies


async def test_draining_waits_for_no_connection_of_a_copy(side: Side) -> None:
    with Swallowing() as swallowing:
        mirror(side, address_of(swallowing), timeouts={"connect": 60})
        assert (await side.ask()).status == 200
        await until(lambda: connections(side) == 1, "it connects")
        async with asyncio.timeout(5):
            await side.plane.drain(60)
        assert connections(side) == active(side) == 0


# The life of its request.


async def test_a_copy_ends_when_the_client_goes(side: Side, other: Model) -> None:
    mirror(side, other.url)
    pairs = pairs_of(side)
    side.model.answer = other.answer = silent
    client = await side.dial()
    client.send(GET)
    await the_copy(other)
    client.reset()
    await until(lambda: other.links[0].ending is not None, "the mirror hears of it")
    await settled(side)
    assert (lost(side), pairs) == ({"client_gone": 1}, [])


async def test_a_request_that_is_never_whole_is_not_copied(side: Side, other: Model) -> None:
    mirror(side, other.url)
    client = await side.dial()
    client.send(POST + length(b"x" * 1000) + b"x" * 500)
    await until(lambda: b"x" * 500 in side.model.received, "a part of it")
    client.reset()
    await settled(side)
    assert (lost(side), other.links) == ({"client_gone": 1}, [])


async def test_a_request_that_is_answered_before_it_is_whole_is_not_copied(
    side: Side, other: Model
) -> None:
    async def refusing(link: ModelLink, request: Request) -> None:
        link.send(b"HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n")

    mirror(side, other.url)
    side.model.answer = refusing
    client = await side.dial()
    client.send(POST + length(b"x" * 1000) + b"x" * 500)
    assert (await client.answer()).status == 413
    await settled(side)
    assert (lost(side), other.links) == ({"incomplete": 1}, [])


async def test_a_request_that_is_sent_again_is_copied_once(
    side: Side, other: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    counted = Capture.sent

    def counting(capture: Capture, now: float) -> None:
        sent.append(capture.version)
        counted(capture, now)

    monkeypatch.setattr(Capture, "sent", counting)
    pairs = pairs_of(side)
    assert (await side.ask()).status == 200  # leaves a connection
    mirror(side, other.url)
    old = list(side.model.links)

    async def closing_if_old(link: ModelLink, request: Request) -> None:
        if link in old:
            link.reset()
        else:
            await link.body(request)
            link.send(OK)

    side.model.answer = closing_if_old
    assert (await side.ask()).status == 200
    assert len(side.model.links) == 2, "it was"
    await the_copy(other)
    await settled(side)
    [pair] = pairs
    assert (pair.primary.status, pair.primary.failure, pair.primary.beginning) == (200, "", b"ok")
    assert sent.count("v1") == 2, "its time counts from the attempt that was answered"


async def test_what_goes_to_another_version_after_all_is_not_copied(
    start: Start, other: Model
) -> None:
    side = await start()
    pairs = pairs_of(side)
    down = f"http://127.0.0.1:{closed_port()}"
    versions = {
        "v1": VersionSpec(urls=(side.model.url,)),
        "v2": VersionSpec(urls=(other.url,)),
        "v3": VersionSpec(urls=(down,)),
    }
    side.use(side.spec(versions=versions, weights={"v3": 100}, mirror="v2"))
    for _ in range(8):
        answer = await side.ask()
        assert (answer.status, answer.one("x-graygate-reason")) == (200, "failover")
    assert (other.links, pairs, lost(side)) == ([], [], {})

"""Answers without a body, whatever their head says, and what comes after them."""

from __future__ import annotations

import pytest

from tests.proxy.model import OK
from tests.proxy.side import GET, Feed, Side

HEAD = b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize(
    ("fields", "length"),
    [
        (b"Content-Length: 5\r\n", "5"),
        (b"Content-Length: 0\r\n", "0"),
        (b"Content-Length: 9223372036854775807\r\n", "9223372036854775807"),
        (b"Transfer-Encoding: chunked\r\n", None),
        (b"", None),
    ],
)
async def test_P17_an_answer_to_head_ends_with_its_head(
    side: Side, feed: Feed, fields: bytes, length: str | None
) -> None:
    client = await side.dial()
    for _ in range(2):
        side.model.answer = b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n"
        await feed(client, HEAD)
        answer = await client.answer("HEAD")
        assert (answer.status, answer.closes) == (200, False)
        assert answer.one("content-length") == length
        side.model.answer = OK
        await feed(client, GET)
        assert (await client.answer()).body == b"ok"
    assert len(side.model.links) == 1


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
@pytest.mark.parametrize(
    "fields", [b"", b"Content-Length: 0\r\n", b"Content-Length: 7\r\n", b"ETag: x\r\n"]
)
async def test_P17_204_and_304_have_no_body(
    side: Side, status: bytes, method: str, fields: bytes
) -> None:
    client = await side.dial()
    for _ in range(2):
        side.model.answer = b"HTTP/1.1 " + status + b"\r\n" + fields + b"\r\n"
        request = f"{method} / HTTP/1.1\r\nHost: a\r\n\r\n".encode()
        answer = await client.ask(request, method)
        assert (answer.status, answer.closes) == (int(status[:3]), False)
        if status.startswith(b"304") and b"7" in fields:
            assert answer.one("content-length") == "7"
        side.model.answer = OK
        assert (await client.ask()).body == b"ok"


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: 5\r\n\r\nstray",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nstray\r\n0\r\n\r\n",
        b"\r\nstray",
    ],
)
async def test_P17_a_stray_body_reaches_nobody(side: Side, status: bytes, rest: bytes) -> None:
    client = await side.dial()
    side.model.answer = b"HTTP/1.1 " + status + b"\r\n" + rest
    assert (await client.ask()).status == int(status[:3])
    side.model.answer = OK
    assert (await client.ask()).body == b"ok"
    assert client.rest == b""
    assert len(side.model.links) == 2


async def test_P17_a_body_to_head_reaches_nobody(side: Side) -> None:
    client = await side.dial()
    side.model.answer = OK
    client.send(HEAD)
    assert (await client.answer("HEAD")).one("content-length") == "2"
    assert (await client.ask()).body == b"ok"
    assert client.rest == b""


async def test_P17_an_error_of_the_gateway_to_head_has_no_body(side: Side) -> None:
    side.use(side.spec(paths=("/only",)))
    client = await side.dial()
    client.send(HEAD)
    answer = await client.answer("HEAD")
    assert answer.status == 404 and int(answer.one("content-length") or 0) > 0
    if not answer.closes:
        assert (await client.ask()).status == 404
    assert client.rest == b""


async def test_P17_head_matches_where_get_does(side: Side) -> None:
    side.use(side.spec(methods=("GET",)))
    side.model.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    assert (await side.ask(method="HEAD")).status == 200
    assert side.model.last.method == "HEAD"


async def test_P34_an_answer_of_the_gateway_without_a_body_is_not_framed(side: Side) -> None:
    client = await side.dial()
    client.send(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
    answer = await client.answer("OPTIONS")
    if answer.status == 204:
        assert {"content-length", "transfer-encoding"}.isdisjoint(answer.names)


async def test_P17_head_of_http_1_0_is_answered_without_a_body(side: Side) -> None:
    side.model.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    client = await side.dial()
    client.send(b"HEAD / HTTP/1.0\r\nHost: a\r\n\r\n")
    assert (await client.answer("HEAD")).one("content-length") == "5"
    assert await client.to_end() == b""

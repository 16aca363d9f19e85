"""How the end of an answer is found, and which answers never reach a client."""

from __future__ import annotations

import pytest

from tests.proxy.link import Ending, Link, until
from tests.proxy.message import Request, read_chunk, read_head
from tests.proxy.model import OK, ModelLink
from tests.proxy.scripts import cut
from tests.proxy.side import GET, Side

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
SECOND = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nevil-ok"

Pace = str


@pytest.fixture(params=["whole", "bytewise"])
def pace(request: pytest.FixtureRequest) -> Pace:
    """How the model sends its bytes."""
    pace: Pace = request.param
    return pace


def answering(side: Side, pace: Pace, *answers: bytes) -> None:
    """Each next request gets the next of these; the last one counts for all further ones."""
    left = list(answers)

    async def script(link: ModelLink, request: Request) -> None:
        await link.body(request)
        data = left.pop(0) if len(left) > 1 else left[0]
        await send(link, data, pace)
        if b"connection: close" in data.lower() or data.startswith(b"HTTP/1.0"):
            link.close()

    side.model.answer = script


async def send(link: Link, data: bytes, pace: Pace) -> None:
    if pace == "whole":
        link.send(data)
    else:
        await link.drip(data)


async def refused(side: Side, pace: Pace, answer: bytes) -> None:
    """The answer becomes a 502 and the next one is right."""
    answering(side, pace, answer, OK)
    client = await side.dial()
    got = await client.ask()
    assert (got.status, got.code) == (502, "upstream_protocol_error"), got
    assert b"127.0.0.1" not in got.body and str(side.model.port).encode() not in got.body
    assert side.errors()["protocol"] == 1
    if got.closes:
        client = await side.dial()
    assert (await client.ask()).body == b"ok"
    assert len(side.model.links) == 2, "a connection that cannot be trusted was used again"


# What passes.


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (HEAD + b"Content-Length: 2\r\n\r\nok", b"ok"),
        (HEAD + b"content-length:002\r\n\r\nok", b"ok"),
        (HEAD + b"Content-Length: 0\r\n\r\n", b""),
        (CHUNKED + b"2\r\nok\r\n0\r\n\r\n", b"ok"),
        (CHUNKED + b"0\r\n\r\n", b""),
        (HEAD + b"transfer-encoding:\tChunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n", b"ok"),
        (HEAD + b"Connection: close\r\n\r\nok", b"ok"),
        (HEAD + b"Connection: close\r\n\r\n", b""),
        (b"HTTP/1.0 200 OK\r\n\r\nok", b"ok"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok"),
        (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", b"ok"),
        (b"HTTP/1.1 200 \xe9t\xe9\r\nContent-Length: 2\r\n\r\nok", b"ok"),
    ],
)
async def test_P08_every_lawful_framing_arrives(
    side: Side, pace: Pace, answer: bytes, body: bytes
) -> None:
    answering(side, pace, answer)
    client = await side.dial()
    for _ in range(2):
        got = await client.ask()
        assert (got.status, got.body, got.closes) == (200, body, False)


async def test_P08_the_length_of_an_answer_is_spelled_anew(side: Side, pace: Pace) -> None:
    answering(side, pace, HEAD + b"CONTENT-length: 0002\r\n\r\nok")
    got = await side.ask()
    assert got.all("content-length") == ["2"]


@pytest.mark.parametrize("answer", [CHUNKED + b"2\r\nok\r\n0\r\n\r\n", HEAD + b"\r\nok"])
async def test_a_client_of_http_1_0_gets_no_chunks(side: Side, pace: Pace, answer: bytes) -> None:
    closing = answer.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n", 1)
    answering(side, pace, closing)
    client = await side.dial()
    client.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
    got = await client.answer()
    assert (got.body, await client.to_end()) == (b"ok", b"")
    assert "transfer-encoding" not in got.names


async def test_a_client_of_http_1_0_may_keep_its_connection(side: Side, pace: Pace) -> None:
    client = await side.dial()
    for _ in range(2):
        got = await client.ask(b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
        assert got.body == b"ok"
        if got.closes:
            client = await side.dial()
        else:
            assert "keep-alive" in (got.one("connection") or "").lower()


# P-06, P-07, P-09: what cannot be trusted.


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: 2\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nContent-Length: 2",
        b"Content-Length: 2\r\nContent-Length: 3",
        b"Content-Length: 2\r\nContent-Length: 2",
        b"Content-Length: 2, 2",
        b"Content-Length: +2",
        b"Content-Length: -2",
        b"Content-Length: 0x2",
        b"Content-Length: 2 x",
        b"Content-Length: 9223372036854775808",
        b"Content-Length: 99999999999999999999999",
        b"Content-Length:",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: chunked, gzip",
        b"Transfer-Encoding: gzip",
        b"Transfer-Encoding: identity",
        b"Transfer-Encoding: ,chunked",
        b"Transfer-Encoding: xchunked",
        b"Transfer-Encoding:",
        b"Content-Length : 2",
        b"Content-Length: 2\r\n X: y",
        b"Content-Length: 2\r\nX: a\r\n b",
        b"Content-Length: 2\r\nX: a\rb",
        b"Content-Length: 2\r\nX: a\nY: b",
        b"Content-Length: 2\r\nX: a\x00b",
        b"Content-Length: 2\r\nX: a\x1bb",
        b"Content-Length: 2\r\nX y: a",
        b"Content-Length: 2\r\n: a",
        b"Content-Length: 2\r\nX",
        b"Content-Length: 2\r\nX: " + b"y" * 70_000,
        b"Content-Length: 2\r\n" + b"\r\n".join([b"X: y"] * 200),
    ],
)
async def test_P09_an_answer_whose_head_cannot_be_trusted_is_a_502(
    side: Side, pace: Pace, fields: bytes
) -> None:
    if pace == "bytewise" and len(fields) > 1000:
        pace = "whole"
    await refused(side, pace, HEAD + fields + b"\r\n\r\nok")


@pytest.mark.parametrize(
    "line",
    [
        b"HTTP/1.1 20 OK",
        b"HTTP/1.1 2000 OK",
        b"HTTP/1.1 099 OK",
        b"HTTP/1.1 999 OK",
        b"HTTP/1.1 2x0 OK",
        b"HTTP/1.1  200 OK",
        b"HTTP/1.1",
        b"HTTP/2.0 200 OK",
        b"HTTP/0.9 200 OK",
        b"http/1.1 200 OK",
        b"RTSP/1.0 200 OK",
        b"ICE/1.0 200 OK",
        b"HTTP/1.1 200 O\x00K",
        b"HTTP/1.1 200 O\rK",
        b"HTTP/1.1 200 O\x1bK",
        b"HTTP/1.1\t200\tOK",
        b"nonsense",
        b"",
        b"220 mail.example ESMTP",
    ],
)
async def test_P23_a_line_that_is_no_status_line_is_a_502(
    side: Side, pace: Pace, line: bytes
) -> None:
    await refused(side, pace, line + b"\r\nContent-Length: 2\r\n\r\nok")


@pytest.mark.parametrize(
    "answer",
    [
        HEAD.replace(b"\r\n", b"\n") + b"Content-Length: 2\n\nok",
        HEAD + b"Content-Length: 2\n\r\nok",
        HEAD + b"Content-Length: 2\r\n\nok",
        CHUNKED[:-2].replace(b"\r\n", b"\n") + b"\n2\r\nok\r\n0\r\n\r\n",
    ],
)
async def test_P09_so_is_one_with_other_line_ends(side: Side, pace: Pace, answer: bytes) -> None:
    await refused(side, pace, answer + b"\r\n\r\n")


# Bad chunks come after the head has gone to the client: it must see that something is missing.


@pytest.mark.parametrize(
    "bad",
    [
        b"0x3\r\nabc\r\n",
        b"+3\r\nabc\r\n",
        b"g\r\nabc\r\n",
        b"3 \r\nabc\r\n",
        b"3\nabc\r\n",
        b"3\r\nabcXX",
        b"3\r\nabc\n",
        b"3;a\x00\r\nabc\r\n",
        b"3;" + b"x" * 16_384 + b"\r\nabc\r\n",
        b"11111111111111113\r\nabc\r\n",
        b"\r\n",
        b"0\r\nX : y\r\n\r\n",
    ],
)
async def test_P29_bad_chunks_end_the_answer_without_an_end(
    side: Side, pace: Pace, bad: bytes
) -> None:
    if pace == "bytewise" and len(bad) > 1000:
        pace = "whole"

    async def script(link: ModelLink, request: Request) -> None:
        await link.body(request)
        await send(link, CHUNKED + b"5\r\nfirst\r\n", pace)
        await until(lambda: b"first" in client.received, "the first chunk is passed on")
        await send(link, bad + b"0\r\n\r\n", pace)

    side.model.answer = script
    client = await side.dial()
    client.send(GET)
    head = await read_head(client)
    assert head.status == 200
    assert await read_chunk(client) == b"first"
    rest = await client.to_end(None)
    assert not rest.endswith(b"0\r\n\r\n")
    await until(lambda: side.errors().get("stream_cut", 0) == 1, "it is counted as what it is")
    side.model.answer = OK
    assert (await side.ask()).body == b"ok"
    assert len(side.model.links) == 2


@pytest.mark.parametrize(
    "body",
    [
        b"0002\r\nok\r\n00\r\n\r\n",
        b"2;a=b\r\nok\r\n0;c\r\n\r\n",
        b"2\r\nok\r\n0\r\nX-T: 1\r\nSet-Cookie: evil=1\r\nContent-Length: 99\r\n\r\n",
    ],
)
async def test_P13_P14_extensions_and_trailers_stay_behind(
    side: Side, pace: Pace, body: bytes
) -> None:
    answering(side, pace, CHUNKED + body)
    client = await side.dial()
    for _ in range(2):
        got = await client.ask()
        assert (got.status, got.body, got.trailer) == (200, b"ok", b"")
        assert "set-cookie" not in got.names and "content-length" not in got.names


async def test_P14_who_asks_for_trailers_gets_none_in_the_head(side: Side, pace: Pace) -> None:
    answering(side, pace, CHUNKED + b"2\r\nok\r\n0\r\nX-T: 1\r\n\r\n")
    got = await side.once(b"GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n")
    assert got.body == b"ok" and "x-t" not in got.names
    assert got.trailer in (b"", b"X-T: 1\r\n")


# What comes behind an answer.


@pytest.mark.parametrize(
    "answer",
    [OK, CHUNKED + b"2\r\nok\r\n0\r\n\r\n", b"HTTP/1.1 204 No Content\r\n\r\n"],
    ids=["length", "chunked", "204"],
)
@pytest.mark.parametrize("extra", [SECOND, b"\r\n", b"x"])
async def test_P17_what_a_model_says_unasked_reaches_nobody(
    side: Side, pace: Pace, answer: bytes, extra: bytes
) -> None:
    answering(side, pace, answer + extra, OK)
    client = await side.dial()
    first, second = await client.ask(), await client.ask()
    assert first.body == (b"" if first.status == 204 else b"ok")
    assert second.body == b"ok"
    assert client.rest == b"" and client.ending is None
    assert len(side.model.links) == 2


async def test_P17_what_a_model_says_later_unasked_closes_its_connection(side: Side) -> None:
    client = await side.dial()
    await client.ask()
    side.model.links[0].send(SECOND)
    await until(lambda: side.model.links[0].ending is not None, "it is closed")
    assert (await client.ask()).body == b"ok"
    assert len(side.model.links) == 2


async def test_P29_an_end_before_the_head_is_complete_is_a_502(side: Side) -> None:
    for ending in Ending:
        side.model.answer = cut(HEAD + b"Content-Len", ending)
        got = await side.ask()
        assert got.status == 502 and got.code in ("upstream_protocol_error", "upstream_gone")


async def test_P29_an_end_before_anything_is_a_502(side: Side) -> None:
    for ending in Ending:
        side.model.answer = cut(b"", ending)
        got = await side.ask(method="POST")
        assert (got.status, got.code) == (502, "upstream_gone")


async def test_an_answer_is_passed_on_while_it_comes(side: Side) -> None:
    async def script(link: ModelLink, request: Request) -> None:
        await link.body(request)
        link.send(HEAD + b"Content-Length: 6\r\n\r\n")
        await until(lambda: client.received.endswith(b"\r\n\r\n"), "the head has arrived")
        link.send(b"abc")
        await until(lambda: client.received.endswith(b"abc"), "the first part has arrived")
        link.send(b"def")

    side.model.answer = script
    client = await side.dial()
    assert (await client.ask()).body == b"abcdef"

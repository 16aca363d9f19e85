"""P-27: the model answers while the upload still runs."""

from __future__ import annotations

import pytest

from tests.proxy.link import until
from tests.proxy.message import Request, read_answer
from tests.proxy.model import OK, ModelLink
from tests.proxy.side import Side

POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
LARGE = 100 * 2**20
REFUSAL = b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"


async def after_a_mebibyte(link: ModelLink, request: Request) -> None:
    """Refuses after the first MiB and reads nothing more."""
    await link.exactly(2**20)
    link.hold()
    link.send(REFUSAL)
    await link.flush()
    link.go_on()  # or its end would not be seen
    await until(lambda: link.ending is not None, "the gateway ends it")
    link.close()


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_P27_an_early_refusal_reaches_the_client(side: Side, framing: str) -> None:
    side.model.answer = after_a_mebibyte
    client = await side.dial()
    part = b"x" * 65_536
    client.send(POST + b"Content-Length: %d\r\n\r\n" % LARGE)
    if framing == "chunked":
        client = await side.dial()
        client.send(POST + b"Transfer-Encoding: chunked\r\n\r\n")
        part = b"10000\r\n" + part + b"\r\n"
    sent = 0

    def has_answer() -> bool:
        nonlocal sent
        if client.transport.get_write_buffer_size() < 2**20 and not client.transport.is_closing():
            client.send(part)
            sent += len(part)
        return b"\r\n\r\nno" in client.received

    await until(has_answer, "the refusal arrives")
    answer = await read_answer(client)
    assert (answer.status, answer.body, answer.closes) == (413, b"no", True)
    assert sent < LARGE // 2
    await client.to_end(None)
    await until(lambda: side.in_flight() == (1 if framing == "chunked" else 0), "it is over")


async def test_P27_the_models_connection_is_not_used_again(side: Side) -> None:
    async def refusing(link: ModelLink, request: Request) -> None:
        link.send(REFUSAL)
        await link.to_end(None)
        link.close()

    side.model.answer = refusing
    client = await side.dial()
    client.send(POST + b"Content-Length: 1000\r\n\r\npart")
    answer = await client.answer()
    assert (answer.status, answer.closes) == (413, True)
    await client.to_end(None)
    side.model.answer = OK
    assert (await side.ask()).status == 200
    assert len(side.model.links) == 2
    await until(lambda: side.model.links[0].ending is not None, "the first is ended")


async def test_P27_what_is_still_sent_is_no_request(side: Side) -> None:
    async def refusing(link: ModelLink, request: Request) -> None:
        link.send(REFUSAL)

    side.model.answer = refusing
    hidden = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    client = await side.dial()
    client.send(POST + b"Content-Length: %d\r\n\r\n" % len(hidden))
    assert (await client.answer()).status == 413
    client.send(hidden)
    assert await client.to_end(None) == b""
    assert [head.target for head in side.model.heads] == ["/"]


async def test_P27_an_early_answer_that_is_a_stream_goes_on_beside_the_upload(side: Side) -> None:
    async def echoing(link: ModelLink, request: Request) -> None:
        link.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(3):
            data = await link.exactly(3)
            link.send(b"3\r\n" + data.upper() + b"\r\n")
        link.send(b"0\r\n\r\n")

    side.model.answer = echoing
    client = await side.dial()
    client.send(POST + b"Content-Length: 9\r\n\r\n")
    head = await client.through(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    for word in (b"abc", b"def", b"ghi"):
        client.send(word)
        assert word.upper() in await client.through(word.upper() + b"\r\n")
    assert await client.through(b"0\r\n\r\n") == b"0\r\n\r\n"


async def test_P27_an_answer_and_a_cut_while_the_upload_runs(side: Side) -> None:
    """Servers that refuse an upload often send their answer and close at once."""

    async def rude(link: ModelLink, request: Request) -> None:
        await link.exactly(1)
        link.send(REFUSAL.replace(b"\r\nContent", b"\r\nConnection: close\r\nContent", 1))
        link.close()

    side.model.answer = rude
    client = await side.dial()
    client.send(POST + b"Content-Length: 1000\r\n\r\npart")
    answer = await client.answer()
    assert (answer.status, answer.body) == (413, b"no")
    await client.to_end(None)


async def test_P27_an_upload_that_nobody_wants_is_a_502(side: Side) -> None:
    async def leaving(link: ModelLink, request: Request) -> None:
        link.close()

    side.model.answer = leaving
    client = await side.dial()
    client.send(POST + b"Content-Length: 1000\r\n\r\npart")
    answer = await client.answer()
    assert (answer.status, answer.code, answer.closes) == (502, "upstream_gone", True)
    assert len(side.model.heads) == 1


async def test_an_upload_is_passed_on_while_it_comes(side: Side) -> None:
    client = await side.dial()
    client.send(POST + b"Transfer-Encoding: chunked\r\n\r\n")
    client.send(b"5\r\nfirst\r\n")
    await until(lambda: side.model.received.endswith(b"\r\nfirst\r\n"), "it has arrived")
    client.send(b"5\r\nother\r\n")
    await until(lambda: side.model.received.endswith(b"\r\nother\r\n"), "it has arrived")
    client.send(b"0\r\n\r\n")
    assert (await client.answer()).status == 200
    assert side.model.requests[0].body == b"firstother"

"""Exactly so much is fine, and one more is refused, to a client that may be sending still."""

from __future__ import annotations

import pytest

from tests.proxy.conftest import Start
from tests.proxy.link import Ending, until
from tests.proxy.message import read_answer
from tests.proxy.side import GET, Client, Feed, Side

SMALL = {"line_bytes": 300, "head_bytes": 1024, "head_lines": 16}


def line_of(count: int) -> bytes:
    """A request whose first line has so many bytes."""
    around = len(b"GET / HTTP/1.1")
    return b"GET /" + b"x" * (count - around) + b" HTTP/1.1\r\nHost: a\r\n\r\n"


def head_of(count: int) -> bytes:
    """A request with so many bytes before the empty line that ends its head."""
    head = b"GET / HTTP/1.1\r\nHost: a\r\nX: "
    return head + b"y" * (count - len(head)) + b"\r\n\r\n"


def lines_of(count: int) -> bytes:
    """A request with so many header lines."""
    return b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * (count - 1) + b"\r\n"


async def is_served(side: Side, feed: Feed, request: bytes) -> None:
    client = await side.dial()
    await feed(client, request)
    assert (await client.answer()).status == 200
    assert (await client.ask()).status == 200


# Heads.


async def test_P25_a_request_line_of_8000_bytes_is_served(side: Side, feed: Feed) -> None:
    await is_served(side, feed, line_of(8000))
    assert len(side.model.targets[0]) == 8000 - len("GET  HTTP/1.1")


async def test_P25_the_longest_request_line(start: Start, feed: Feed) -> None:
    side = await start(limits=SMALL)
    await is_served(side, feed, line_of(300))
    seen = len(side.model.received)
    await side.refuses(line_of(301), 414, "line_too_long", feed)
    assert len(side.model.received) == seen


async def test_P25_a_request_line_without_end_is_refused(start: Start, feed: Feed) -> None:
    side = await start(limits=SMALL)
    await side.refuses(b"GET /" + b"x" * 400, 414, "line_too_long", feed)


async def test_P25_the_largest_head(start: Start, feed: Feed) -> None:
    side = await start(limits=SMALL)
    await is_served(side, feed, head_of(1024))
    await side.refuses(head_of(1025), 431, "head_too_large", feed)


async def test_P25_the_most_lines(start: Start, feed: Feed) -> None:
    side = await start(limits=SMALL)
    await is_served(side, feed, lines_of(16))
    await side.refuses(lines_of(17), 431, "head_too_large", feed)


@pytest.mark.parametrize("counts", [(65_536, 65_537), (64_000, 1024 * 1024)])
async def test_P25_the_largest_head_as_it_is_by_default(
    side: Side, counts: tuple[int, int]
) -> None:
    served, refused = counts
    assert (await side.once(head_of(served))).status == 200
    await side.refuses(head_of(refused), 431, "head_too_large")


async def test_P25_the_most_lines_as_it_is_by_default(side: Side) -> None:
    assert (await side.once(lines_of(100))).status == 200
    await side.refuses(lines_of(101), 431, "head_too_large")
    await side.refuses(lines_of(100_000), 431, "head_too_large")


@pytest.mark.parametrize(
    "begin",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\nX: ",
        b"GET / HTTP/1.1\r\nHost: a\r\nx",
        b"GET / HTTP/1.1\r\nHost: a\r\nX:" + b" " * 500,
    ],
    ids=["value", "name", "blanks"],
)
async def test_P25_a_header_without_end_is_refused(start: Start, feed: Feed, begin: bytes) -> None:
    side = await start(limits=SMALL)
    client = await side.dial()
    await feed(client, begin + b"x" * 1100)
    answer = await client.answer()
    assert answer.status in (400, 431) and answer.closes
    assert side.model.received == b""


async def test_P25_empty_lines_without_end_are_refused(side: Side, feed: Feed) -> None:
    client = await side.dial()
    await feed(client, b"\r\n" * 300)
    assert (await client.answer()).status == 400


# Lingering: who still sends gets to read why nobody listens.


async def flood(client: Client, part: bytes) -> None:
    """Sends for as long as the gateway takes it; reads nothing meanwhile."""
    client.hold()
    while not client.transport.is_closing() and client.transport.get_write_buffer_size() < 2**20:
        client.send(part)
        await until(lambda: True, "the loop has gone round")


@pytest.mark.parametrize(
    ("begin", "status"),
    [
        (b"GET /" + b"x" * 9000, 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 70_000, 431),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3,3\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nnone\r\n", 400),
    ],
    ids=["line", "head", "framing", "chunks"],
)
async def test_P25_the_answer_reaches_a_client_that_is_still_sending(
    side: Side, begin: bytes, status: int
) -> None:
    client = await side.dial()
    client.hold()
    client.send(begin)
    for _ in range(160):  # 10 MiB
        client.send(b"x" * 65_536)
    await client.flush()
    client.go_on()
    answer = await read_answer(client)
    assert (answer.status, answer.closes) == (status, True)
    assert await client.to_end(None) == b""
    assert client.ending is Ending.FIN
    assert side.model.requests == []


async def test_P25_a_client_that_never_stops_sending_is_cut_off(side: Side) -> None:
    client = await side.dial()
    client.send(b"GET /\x01 HTTP/1.1\r\n")
    assert (await client.answer()).status == 400
    await client.to_end(None)

    def is_gone() -> bool:
        if not client.transport.get_write_buffer_size():
            client.send(b"x" * 65_536)
        return client.transport.is_closing()

    await until(is_gone, "the connection is ended")


# Bodies.


def post(body: bytes, *, chunked: bool) -> bytes:
    head = b"POST / HTTP/1.1\r\nHost: a\r\n"
    if not chunked:
        return head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    half = len(body) // 2
    parts = [b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:half], body[half:])]
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(parts) + b"0\r\n\r\n"


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
async def test_P25_the_largest_body(start: Start, feed: Feed, chunked: bool) -> None:
    side = await start(limits={"body_bytes": 500})
    await is_served(side, feed, post(b"x" * 500, chunked=chunked))
    client = await side.dial()
    await feed(client, post(b"x" * 501, chunked=chunked))
    answer = await client.answer()
    assert (answer.status, answer.code, answer.closes) == (413, "body_too_large", True)
    await client.to_end(None)
    assert [len(request.body) for request in side.model.requests] == [500, 0]


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
async def test_P25_a_routes_limit_wins(start: Start, feed: Feed, chunked: bool) -> None:
    side = await start(limits={"body_bytes": 10})
    side.use(side.spec(body_limit=500))
    await is_served(side, feed, post(b"x" * 500, chunked=chunked))
    client = await side.dial()
    await feed(client, post(b"x" * 501, chunked=chunked))
    assert (await client.answer()).status == 413


async def test_P07_a_length_over_the_limit_is_refused_before_the_body(start: Start) -> None:
    side = await start(limits={"body_bytes": 500})
    client = await side.dial()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 501\r\n\r\n")  # and no body
    answer = await client.answer()
    assert (answer.status, answer.code, answer.closes) == (413, "body_too_large", True)
    assert side.model.received == b""


async def test_P07_the_largest_length_allocates_nothing(side: Side) -> None:
    client = await side.dial()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775807\r\n\r\nx")
    await until(lambda: bool(side.model.heads), "the request is passed on")
    assert side.model.last.one("content-length") == "9223372036854775807"
    client.close()


async def test_P25_who_expects_100_is_refused_without_it(start: Start) -> None:
    side = await start(limits={"body_bytes": 500})
    client = await side.dial()
    client.send(
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 501\r\nExpect: 100-continue\r\n\r\n"
    )
    answer = await client.answer()
    assert (answer.status, answer.interim) == (413, ())


async def test_P25_a_large_upload_that_is_refused_does_not_break_the_answer(
    start: Start,
) -> None:
    side = await start(limits={"body_bytes": 1000})
    client = await side.dial()
    client.hold()
    client.send(post(b"x" * 8 * 2**20, chunked=True))
    await client.flush()
    client.go_on()
    answer = await client.answer()
    assert (answer.status, answer.closes) == (413, True)
    assert await client.to_end() == b""


async def test_P25_an_answer_may_be_of_any_size(side: Side) -> None:
    body = b"x" * 3_000_000
    side.model.answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    assert (await side.ask()).body == body


async def test_the_last_request_of_a_connection_says_so(start: Start) -> None:
    side = await start(limits={"keepalive_requests": 3})
    client = await side.dial()
    assert [(await client.ask(GET)).closes for _ in range(3)] == [False, False, True]
    assert await client.to_end() == b""

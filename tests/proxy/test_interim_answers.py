"""Answers before the answer: 100 to those who wait for it, 103 and the like, and never 101."""

from __future__ import annotations

import pytest

from tests.proxy.link import until
from tests.proxy.message import Request, read_head
from tests.proxy.model import OK, ModelLink
from tests.proxy.side import GET, Feed, Side

EXPECTING = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


async def obliging(link: ModelLink, request: Request) -> None:
    """A model that says 100 when it is asked to."""
    if request.one("expect"):
        link.send(CONTINUE)
    await link.body(request)
    link.send(OK)


# P-15: Expect.


@pytest.mark.parametrize("spelling", [b"100-continue", b"100-Continue"])
async def test_P15_who_expects_100_gets_it_before_the_body(
    side: Side, feed: Feed, spelling: bytes
) -> None:
    side.model.answer = obliging
    client = await side.dial()
    await feed(client, EXPECTING.replace(b"100-continue", spelling))
    assert (await read_head(client)).status == 100
    await feed(client, b"hello")
    answer = await client.answer()
    assert (answer.status, answer.interim) == (200, ())
    assert side.model.requests[0].body == b"hello"


async def test_P15_with_chunks_as_well(side: Side, feed: Feed) -> None:
    side.model.answer = obliging
    client = await side.dial()
    head = EXPECTING.replace(b"Content-Length: 5", b"Transfer-Encoding: chunked")
    await feed(client, head)
    assert (await read_head(client)).status == 100
    await feed(client, b"5\r\nhello\r\n0\r\n\r\n")
    assert (await client.answer()).status == 200
    assert side.model.requests[0].body == b"hello"


async def test_P15_100_does_not_come_before_anybody_wants_the_body(side: Side) -> None:
    may_go_on = False

    async def slow(link: ModelLink, request: Request) -> None:
        await until(lambda: may_go_on, "the test lets it")
        await obliging(link, request)

    side.model.answer = slow
    client = await side.dial()
    client.send(EXPECTING)
    await until(lambda: bool(side.model.heads), "the model has the head")
    if side.model.last.one("expect"):  # the expectation was passed on: then it is the model's
        assert client.received == b""
    may_go_on = True
    assert (await read_head(client)).status == 100
    assert (await client.ask(b"hello")).status == 200


@pytest.mark.parametrize("status", [b"401 Unauthorized", b"413 Too Large", b"417 No", b"200 OK"])
async def test_P15_an_answer_before_the_body_comes_at_once(side: Side, status: bytes) -> None:
    async def refusing(link: ModelLink, request: Request) -> None:
        if request.one("expect"):
            link.send(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\nno")

    side.model.answer = refusing
    client = await side.dial()
    client.send(EXPECTING)
    answer = await client.answer()
    assert (answer.status, answer.body) == (int(status[:3]), b"no")
    assert answer.interim == () and answer.closes, "the body may come or not: nobody can tell"
    await client.to_end(None)
    side.model.answer = OK
    assert (await side.ask()).status == 200
    assert len(side.model.links) == 2, "that connection waits for a body"


async def test_P15_who_does_not_wait_is_served_as_well(side: Side, feed: Feed) -> None:
    side.model.answer = obliging
    client = await side.dial()
    await feed(client, EXPECTING + b"hello" + GET)
    assert (await client.answer()).status == 200
    assert (await client.answer()).status == 200
    assert [request.body for request in side.model.requests] == [b"hello", b""]


async def test_P15_a_model_that_says_no_100_is_served_all_the_same(side: Side) -> None:
    client = await side.dial()
    client.send(EXPECTING + b"hello")
    assert (await client.answer()).status == 200
    assert side.model.requests[0].body == b"hello"


async def test_P15_a_request_without_a_body_needs_no_100(side: Side, feed: Feed) -> None:
    client = await side.dial()
    await feed(client, b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n")
    assert (await client.answer()).status == 200
    assert (await client.ask()).status == 200


@pytest.mark.parametrize("value", [b"miracles", b"100-continue, miracles", b"200-ok"])
async def test_P15_what_else_is_expected_is_refused(side: Side, feed: Feed, value: bytes) -> None:
    request = EXPECTING.replace(b"100-continue", value)
    await side.refuses(request, 417, "bad_expectation", feed)


async def test_P15_where_the_gateway_reads_the_body_it_asks_for_it_itself(
    side: Side, feed: Feed
) -> None:
    side.use(side.spec(unit=("body:user",)), v2=frozenset({b"alice"}))
    body = b'{"user": "alice"}'
    client = await side.dial()
    await feed(client, EXPECTING.replace(b"Length: 5", b"Length: %d" % len(body)))
    assert (await read_head(client)).head == CONTINUE
    await feed(client, body)
    answer = await client.answer()
    assert (answer.status, answer.interim) == (200, ())
    assert answer.one("x-graygate-version") == "v2"
    assert side.model.last.one("expect") is None


async def test_P15_P16_a_client_of_http_1_0_gets_no_interim_answer(side: Side, feed: Feed) -> None:
    side.model.answer = CONTINUE + b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + OK
    request = EXPECTING.replace(b"HTTP/1.1", b"HTTP/1.0") + b"hello"
    client = await side.dial()
    await feed(client, request)
    answer = await client.answer()
    assert (answer.status, answer.body, answer.interim) == (200, b"ok", ())
    assert await client.to_end() == b""


# P-16: other interim answers.


async def test_P16_interim_answers_arrive_in_order(side: Side) -> None:
    side.model.answer = (
        CONTINUE
        + b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLink: </b>\r\n\r\n"
        + b"HTTP/1.1 103 Early Hints\r\nLink: </c>\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\n"
        + OK
    )
    client = await side.dial()
    for _ in range(2):
        answer = await client.ask()
        assert (answer.status, answer.body) == (200, b"ok")
        hints = [one for one in answer.interim if one.status == 103]
        assert [one.all("link") for one in hints] == [["</a>", "</b>"], ["</c>"]]
        assert all("x-hop" not in one.names for one in hints)


async def test_P16_100_reaches_who_waits_for_it_only_once(side: Side) -> None:
    side.model.answer = obliging
    client = await side.dial()
    client.send(EXPECTING)
    assert (await read_head(client)).status == 100
    answer = await client.ask(b"hello")
    assert answer.interim == ()


@pytest.mark.parametrize("together", [True, False])
async def test_P16_an_interim_answer_arrives_before_the_answer_does(
    side: Side, together: bool
) -> None:
    has_seen = together

    async def script(link: ModelLink, request: Request) -> None:
        await link.body(request)
        link.send(b"HTTP/1.1 102 Processing\r\n\r\n")
        await until(lambda: has_seen, "the client has it")
        link.send(OK)

    side.model.answer = script
    client = await side.dial()
    client.send(GET)
    assert (await read_head(client)).status == 102
    has_seen = True
    assert (await client.answer()).status == 200


async def test_P16_an_interim_answer_of_a_strange_status_is_passed_on(side: Side) -> None:
    side.model.answer = b"HTTP/1.1 199 Strange\r\nX: y\r\n\r\n" + OK
    answer = await side.ask()
    assert [one.status for one in answer.interim] == [199]


async def test_P16_interim_answers_without_end_are_a_502(side: Side) -> None:
    side.model.answer = b"HTTP/1.1 103 Early Hints\r\n\r\n" * 10_000 + OK
    client = await side.dial()
    client.send(GET)
    answer = await client.answer()
    assert answer.status == 502 and len(answer.interim) < 1000


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    ],
)
async def test_P16_101_that_nobody_asked_for_is_a_502(side: Side, head: bytes) -> None:
    side.model.answer = head + b"\x81\x02hi"
    answer = await side.ask()
    assert (answer.status, answer.code) == (502, "upstream_protocol_error")


@pytest.mark.parametrize("field", [b"Content-Length: 5", b"Transfer-Encoding: chunked"])
async def test_P34_an_interim_answer_has_no_body(side: Side, field: bytes) -> None:
    side.model.answer = b"HTTP/1.1 103 Early Hints\r\n" + field + b"\r\n\r\n" + OK
    answer = await side.ask()  # the strict reader refuses a framed interim answer
    if answer.status == 200:
        assert answer.body == b"ok"
    else:
        assert answer.status == 502

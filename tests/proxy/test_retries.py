"""P-30: a request is sent again only where it provably had no effect."""

from __future__ import annotations

import asyncio

import pytest

from gateway.routing.spec import VersionSpec
from tests.proxy.link import Ending, until
from tests.proxy.message import Request
from tests.proxy.model import OK, Model, ModelLink
from tests.proxy.scripts import cut
from tests.proxy.side import Side, closed_port

POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"


def dead() -> str:
    return f"http://127.0.0.1:{closed_port()}"


async def stale(side: Side, ending: Ending) -> None:
    """Leaves the gateway a kept connection that ends as soon as it is used again."""
    assert (await side.ask()).status == 200

    async def closing(link: ModelLink, request: Request) -> None:
        # The head is read and thrown away: as a server does that closes at that very moment.
        side.model.heads.pop()
        side.model.answer = OK
        link.close() if ending is Ending.FIN else link.reset()

    side.model.answer = closing


# What the model may have acted upon.


@pytest.mark.parametrize("ending", Ending)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_P30_a_request_that_the_model_has_read_is_not_sent_again(
    side: Side, method: str, ending: Ending
) -> None:
    side.use(side.spec(retries=5))
    side.model.answer = cut(b"", ending)
    answer = await side.ask(method=method, body=b"hello")
    assert (answer.status, answer.code) == (502, "upstream_gone")
    assert len(side.model.requests) == 1


async def test_P30_not_even_a_get_that_a_fresh_connection_has_taken(side: Side) -> None:
    side.use(side.spec(retries=5))
    side.model.answer = cut(b"", Ending.RESET)
    assert (await side.ask()).status == 502
    assert len(side.model.requests) == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_P30_nothing_is_sent_again_once_an_answer_has_begun(side: Side, method: str) -> None:
    side.use(side.spec(retries=5))
    side.model.answer = cut(b"HTTP/1.1 200 OK\r\nContent-Le", Ending.FIN)
    assert (await side.ask(method=method)).status == 502
    assert len(side.model.requests) == 1


@pytest.mark.parametrize("status", [b"500 Oops", b"503 Busy", b"429 Slow down", b"502 Bad"])
async def test_C6_an_error_of_the_model_is_an_answer(side: Side, status: bytes) -> None:
    side.use(side.spec(retries=5))
    side.model.answer = (
        b"HTTP/1.1 " + status + b'\r\nRetry-After: 7\r\nContent-Length: 7\r\n\r\n{"a":1}'
    )
    answer = await side.ask()
    assert (answer.status, answer.body) == (int(status[:3]), b'{"a":1}')
    assert answer.one("retry-after") == "7"
    assert len(side.model.requests) == 1


async def test_P30_a_timeout_is_no_reason_to_send_again(side: Side) -> None:
    async def silent(link: ModelLink, request: Request) -> None:
        await link.body(request)
        await link.to_end(None)
        link.close()

    side.model.answer = silent
    side.use(side.spec(retries=5, timeouts={"first_byte": 0.15}))
    assert (await side.ask()).status == 504
    assert len(side.model.requests) == 1


# What nobody can have acted upon.


@pytest.mark.parametrize("request_bytes", [POST, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"])
async def test_P30_an_endpoint_that_cannot_be_reached_is_passed_over(
    side: Side, request_bytes: bytes
) -> None:
    side.use_urls(side.model.url, dead())
    for _ in range(8):  # whichever is picked first
        assert (await side.once(request_bytes)).status == 200
    assert len(side.model.requests) == 8


async def test_P30_a_body_that_is_still_coming_is_sent_to_the_next_endpoint(side: Side) -> None:
    side.use_urls(side.model.url, dead())
    for _ in range(8):
        client = await side.dial()
        client.send(POST[:-3])
        await until(lambda: b"he" in side.model.received[-2:], "the beginning has arrived")
        client.send(POST[-3:])
        assert (await client.answer()).status == 200
    assert all(request.body == b"hello" for request in side.model.requests)


async def test_P30_no_more_attempts_than_the_route_allows(side: Side) -> None:
    side.use_urls(dead(), dead(), dead(), side.model.url, retries=0)
    statuses = {(await side.ask()).status for _ in range(16)}
    assert statuses <= {200, 502, 503} and statuses != {200}
    side.use_urls(dead(), dead(), retries=1)
    answer = await side.ask()
    assert (answer.status, answer.code) == (502, "upstream_connect_failed")


@pytest.mark.parametrize("ending", Ending)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_P30_a_get_on_a_stale_connection_is_sent_once_more(
    side: Side, method: str, ending: Ending
) -> None:
    await stale(side, ending)
    assert (await side.ask(method=method)).status == 200
    assert len(side.model.links) == 2
    assert [request.method for request in side.model.requests] == ["GET", method]


async def test_P30_a_connection_that_ends_while_it_is_idle_is_not_used(side: Side) -> None:
    assert (await side.ask()).status == 200
    side.model.links[0].close()
    await until(lambda: side.model.links[0].ending is not None, "both sides know")
    assert (await side.once(POST)).status == 200
    assert len(side.model.links) == 2 and side.errors() == {}


@pytest.mark.parametrize("ending", Ending)
async def test_P30_a_post_on_a_stale_connection_is_not_sent_again(
    side: Side, ending: Ending
) -> None:
    await stale(side, ending)
    answer = await side.once(POST)
    assert (answer.status, answer.code) == (502, "upstream_gone")
    assert len(side.model.requests) == 1


async def test_P30_only_one_kept_connection_is_tried(side: Side) -> None:
    """Where several kept connections are stale, the second attempt is on a fresh one."""
    may_answer = asyncio.Event()

    async def together(link: ModelLink, request: Request) -> None:
        await link.body(request)
        await may_answer.wait()
        link.send(OK)

    side.model.answer = together
    clients = [await side.dial() for _ in range(3)]
    for client in clients:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await until(lambda: len(side.model.requests) == 3, "three connections")
    may_answer.set()
    for client in clients:
        assert (await client.answer()).status == 200
    old = list(side.model.links)

    async def closing_if_old(link: ModelLink, request: Request) -> None:
        if link in old:
            link.reset()
        else:
            await link.body(request)
            link.send(OK)

    side.model.answer = closing_if_old
    assert (await side.ask()).status == 200
    assert len(side.model.links) == 4


# Failover to another version.


def two(side: Side, other: Model, **changes: object) -> None:
    """Stable v1 at `side.model`, candidate v2 at `other`."""
    versions = {"v1": VersionSpec(urls=(side.model.url,)), "v2": VersionSpec(urls=(other.url,))}
    side.use(side.spec(versions=versions, weights={"v2": 100}, **changes))


async def test_P30_a_candidate_that_cannot_be_reached_is_replaced_by_stable(
    side: Side, other: Model
) -> None:
    versions = {"v1": VersionSpec(urls=(side.model.url,)), "v2": VersionSpec(urls=(dead(),))}
    side.use(side.spec(versions=versions, weights={"v2": 100}))
    answer = await side.once(POST)
    assert (answer.status, answer.one("x-graygate-version")) == (200, "v1")
    assert answer.one("x-graygate-reason") == "failover"
    assert side.model.last.one("x-graygate-version") == "v1"
    assert side.errors("v2")["connect"] >= 1, "the failure is the candidate's"
    assert side.plane.decisions["chat", "v1", "failover"] == 1


async def test_P30_what_the_candidate_may_have_acted_upon_does_not_fail_over(
    side: Side, other: Model
) -> None:
    two(side, other)
    other.answer = cut(b"", Ending.RESET)
    answer = await side.once(POST)
    assert (answer.status, answer.one("x-graygate-version")) == (502, "v2")
    assert side.model.received == b""


async def test_P30_a_route_may_forbid_failover(side: Side) -> None:
    versions = {"v1": VersionSpec(urls=(side.model.url,)), "v2": VersionSpec(urls=(dead(),))}
    side.use(side.spec(versions=versions, weights={"v2": 100}, failover=False))
    answer = await side.once(POST)
    assert (answer.status, answer.one("x-graygate-version")) == (502, "v2")
    assert side.model.received == b""


# L-12: no storm.


async def test_L12_errors_of_the_model_are_not_multiplied(side: Side) -> None:
    side.use(side.spec(retries=5))
    side.model.answer = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
    client = await side.dial()
    for _ in range(100):
        assert (await client.ask()).status == 503
    assert len(side.model.requests) == 100


async def test_L12_retries_take_no_more_than_their_budget(side: Side) -> None:
    """All kept connections are stale: no more than a few requests may be sent twice at a time."""
    count = 60
    may_answer = asyncio.Event()

    async def together(link: ModelLink, request: Request) -> None:
        await link.body(request)
        await may_answer.wait()
        link.send(OK)

    side.model.answer = together
    clients = [await side.dial() for _ in range(count)]
    for client in clients:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await until(lambda: len(side.model.requests) == count, "all have arrived")
    may_answer.set()
    for client in clients:
        assert (await client.answer()).status == 200
    old = list(side.model.links)
    may_answer.clear()

    async def closing_if_old(link: ModelLink, request: Request) -> None:
        if link in old:
            link.reset()
        else:
            await together(link, request)

    side.model.answer = closing_if_old
    for client in clients:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await until(lambda: all(link.ending is not None for link in old), "all old ones were tried")
    may_answer.set()
    statuses = [(await client.answer()).status for client in clients]
    again = len(side.model.requests) - count
    assert again == statuses.count(200) <= count // 5 + 1
    assert statuses.count(502) + statuses.count(503) == count - again

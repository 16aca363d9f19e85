"""L-09, L-10: models that are dead, silent, or rude."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from gateway.routing.spec import VersionSpec
from tests.proxy.conftest import Start
from tests.proxy.link import Ending, until
from tests.proxy.message import Request
from tests.proxy.model import OK, Model, ModelLink
from tests.proxy.scripts import cut, silent
from tests.proxy.side import GET, Side, closed_port

POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"


def dead() -> str:
    return f"http://127.0.0.1:{closed_port()}"


# One endpoint.


async def test_L09_a_model_that_refuses_connections_is_a_502(side: Side) -> None:
    side.use_urls(dead())
    answer = await side.ask()
    assert (answer.status, answer.code) == (502, "upstream_connect_failed")
    assert b"127.0.0.1" not in answer.body + answer.head
    assert side.codes() == {502: 1} and side.errors()["connect"] >= 1


@pytest.mark.parametrize("url", ["http://nowhere.invalid", "http+unix://%2Fnowhere%2Fx.sock"])
async def test_L09_so_is_one_that_cannot_be_found(side: Side, url: str) -> None:
    side.use_urls(url)
    answer = await side.ask()
    assert (answer.status, answer.code) == (502, "upstream_connect_failed")
    assert b"nowhere" not in answer.body


async def test_L09_a_black_hole_is_a_504(start: Start) -> None:
    side = await start(upstream={"connect_seconds": 0.3})
    with socket.create_server(("127.0.0.1", 0), backlog=1) as hole:
        # Nobody accepts; when the queue is full, further connections wait for ever.
        port = hole.getsockname()[1]
        fillers = [socket.socket() for _ in range(8)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        side.use_urls(f"http://127.0.0.1:{port}", retries=0)
        answer = await side.ask()
        assert (answer.status, answer.code) == (504, "upstream_connect_timeout")
        assert side.errors()["timeout"] == 1
        for filler in fillers:
            filler.close()


@pytest.mark.parametrize("limit", ["first_byte", "total"])
async def test_L09_a_model_that_does_not_answer_in_time_is_a_504(side: Side, limit: str) -> None:
    side.model.answer = silent
    side.use(side.spec(timeouts={limit: 0.2}))
    answer = await side.ask()
    assert (answer.status, answer.code) == (504, "upstream_timeout")
    await until(lambda: side.model.links[0].ending is not None, "the model hears of it")
    assert side.errors() == {"timeout": 1}


async def test_L09_the_settings_hold_where_the_route_says_nothing(start: Start) -> None:
    side = await start(upstream={"first_byte_seconds": 0.2})
    side.model.answer = silent
    assert (await side.ask()).status == 504


async def test_L09_the_time_for_the_first_byte_begins_when_all_is_sent(side: Side) -> None:
    side.use(side.spec(timeouts={"first_byte": 0.4}))
    client = await side.dial()
    for byte in POST:
        client.send(bytes((byte,)))
        await asyncio.sleep(0.01)  # the client's pace, nothing waits for it
    assert (await client.answer()).status == 200


async def test_L09_a_model_that_reads_nothing_is_a_504(side: Side) -> None:
    async def deaf(link: ModelLink) -> None:
        link.hold()
        await until(lambda: link.transport.is_closing(), "the test ends", 60)

    side.model.serve = deaf
    side.use(side.spec(timeouts={"first_byte": 0.3, "idle": 0.3}))
    client = await side.dial()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 67108864\r\n\r\n")
    for _ in range(64):
        client.send(b"x" * 2**20)
    answer = await client.answer()
    assert (answer.status, answer.code, answer.closes) == (504, "upstream_timeout", True)


@pytest.mark.parametrize("ending", Ending)
async def test_L09_a_model_that_hangs_up_is_a_502(side: Side, ending: Ending) -> None:
    side.model.answer = cut(b"", ending)
    answer = await side.once(POST)
    assert (answer.status, answer.code) == (502, "upstream_gone")


async def test_L09_a_model_that_ends_its_side_behind_a_whole_answer_is_fine(side: Side) -> None:
    async def polite(link: ModelLink, request: Request) -> None:
        await link.body(request)
        link.send(OK)
        link.finish()
        await link.to_end(None)
        link.close()

    side.model.answer = polite
    client = await side.dial()
    for _ in range(3):
        assert (await client.ask()).body == b"ok"
    assert side.errors() == {}


async def test_L09_tls_where_none_is_spoken_is_a_502(side: Side) -> None:
    side.use_urls(side.model.url.replace("http://", "https://"))

    async def plain(link: ModelLink) -> None:
        link.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        link.close()

    side.model.serve = plain
    answer = await side.ask()
    assert (answer.status, answer.code) == (502, "upstream_connect_failed")


# Ejection.


async def test_L09_an_endpoint_that_fails_five_times_is_left_alone(
    side: Side, other: Model
) -> None:
    side.use_urls(side.model.url, other.url)
    other.answer = b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"
    failures = [(await side.ask()).status for _ in range(60)].count(500)
    assert failures == 5 == len(other.requests)
    ups = {url: is_up for _, _, url, is_up in side.plane.endpoints()}
    assert [is_up for url, is_up in ups.items() if str(other.port) in url] == [False]
    assert [is_up for url, is_up in ups.items() if str(side.model.port) in url] == [True]


async def test_L09_a_good_answer_in_between_starts_the_count_anew(side: Side, other: Model) -> None:
    side.use_urls(side.model.url, other.url)
    count = 0

    async def every_fifth(link: ModelLink, request: Request) -> None:
        nonlocal count
        count += 1
        await link.body(request)
        ok = OK if count % 4 == 0 else b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"
        link.send(ok)

    other.answer = every_fifth
    for _ in range(60):
        await side.ask()
    assert len(other.requests) > 10
    assert all(is_up for *_, is_up in side.plane.endpoints())


async def test_L09_the_only_endpoint_of_a_version_is_tried_again(side: Side) -> None:
    side.model.answer = b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"
    for _ in range(8):
        assert (await side.ask()).status in (500, 503)
    side.model.answer = OK
    assert (await side.ask()).status in (200, 503)


async def test_L09_errors_of_the_client_eject_nobody(side: Side) -> None:
    side.model.answer = b"HTTP/1.1 429 Slow down\r\nContent-Length: 0\r\n\r\n"
    for _ in range(12):
        assert (await side.ask()).status == 429
    assert all(is_up for *_, is_up in side.plane.endpoints())


async def test_L09_state_survives_a_change_of_weights(side: Side, other: Model) -> None:
    versions = {
        "v1": VersionSpec(urls=(side.model.url, other.url)),
        "v2": VersionSpec(urls=("http://127.0.0.1:9",)),
    }
    side.use(side.spec(versions=versions))
    other.answer = b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"
    while len(other.requests) < 5:
        await side.ask()
    side.use(side.spec(versions=versions, weights={"v2": 0}))
    for _ in range(20):
        assert (await side.ask()).status == 200
    assert len(other.requests) == 5


# L-10: all down, then half.


async def test_L10_when_all_endpoints_are_down_the_answer_says_so_at_once(side: Side) -> None:
    side.use_urls(dead(), dead(), retries=0)
    answers = [await side.ask() for _ in range(20)]
    assert {answer.status for answer in answers} <= {502, 503}
    assert all(answer.code in ("upstream_connect_failed", "no_endpoint") for answer in answers)
    for answer in answers:
        if answer.status == 503:
            assert answer.one("retry-after")
    before = time.monotonic()
    for _ in range(10):
        await side.ask()
    assert time.monotonic() - before < 5, "nobody waits for a connection that cannot be had"


async def test_L10_when_half_of_them_are_back_they_serve(side: Side, other: Model) -> None:
    side.use_urls(side.model.url, other.url, dead(), dead(), retries=3)
    statuses = [(await side.ask()).status for _ in range(60)]
    assert statuses == [200] * 60
    assert len(side.model.requests) + len(other.requests) == 60
    assert side.model.requests and other.requests


async def test_L10_requests_go_to_the_least_busy(side: Side, other: Model) -> None:
    side.use_urls(side.model.url, other.url)
    side.model.answer = other.answer = silent
    for count in range(1, 21):
        client = await side.dial()
        client.send(GET)
        await until(lambda: side.in_flight() == len(side.clients), "it is under way")
        await until(lambda: len(arrived(side, other)) == len(side.clients), "it has arrived")
        assert abs(len(side.model.requests) - len(other.requests)) <= 1, count


def arrived(side: Side, other: Model) -> list[Request]:
    return [*side.model.requests, *other.requests]


async def test_L10_a_unit_keeps_its_endpoint_where_the_route_says_so(
    side: Side, other: Model
) -> None:
    side.use_urls(side.model.url, other.url, balance="rendezvous")
    # The models' ports differ from run to run: of so many users some go to each of them.
    for user in range(24):
        before = len(side.model.requests), len(other.requests)
        for _ in range(3):
            await side.ask(X_User_Id=f"user-{user}")
        after = len(side.model.requests), len(other.requests)
        moved = (after[0] - before[0], after[1] - before[1])
        assert sorted(moved) == [0, 3]
    assert side.model.requests and other.requests

"""Whose requests are copied, and how many; on real sockets."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from functools import partial

import pytest

from gateway.http1.chunks import chunk
from gateway.proxy.mirror import Mirrors
from gateway.routing.spec import VersionSpec
from tests.proxy.conftest import Start
from tests.proxy.link import until
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
    the_pair,
)
from tests.proxy.model import OK, Model, ModelLink, Script
from tests.proxy.scripts import EVENTS, silent
from tests.proxy.side import GET, Client, Side

POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b"


def of(user: str) -> bytes:
    return b"GET /%b HTTP/1.1\r\nHost: a\r\nX-User-Id: %b\r\n\r\n" % ((user.encode(),) * 2)


def post(body: bytes) -> bytes:
    return POST % (len(body), body)


def _is_mirrored(side: Side, times: int) -> bool:
    return mirrored(side) == times


def after(event: asyncio.Event) -> Script:
    """Takes requests, and answers when it may."""

    async def script(link: ModelLink, request: Request) -> None:
        await link.body(request)
        await event.wait()
        link.send(OK)

    return script


def unless(target: str, script: Script) -> Script:
    """What is asked for here is answered, all else left to the script."""

    async def either(link: ModelLink, request: Request) -> None:
        if request.target != target:
            return await script(link, request)
        await link.body(request)
        link.send(OK)
        return None

    return either


# The primary never waits.


async def test_a_request_waits_for_nothing_of_its_copy(side: Side, other: Model) -> None:
    mirror(side, other.url)
    pairs_of(side)
    may_answer = asyncio.Event()
    other.answer = after(may_answer)
    client = await side.dial()
    for number in range(1, 6):
        assert (await client.ask()).status == 200
        await until(partial(_is_mirrored, side, number), "its copy is sent")
    assert len(other.links) == len(side.plane.mirrors.copies) == 5
    may_answer.set()
    await settled(side)
    assert len(side.model.links) == 1


async def test_a_copy_is_sent_after_its_request(side: Side, other: Model) -> None:
    mirror(side, other.url)
    order: list[str] = []

    def noting(name: str) -> Script:
        async def script(link: ModelLink, request: Request) -> None:
            order.append(name)
            await link.body(request)
            link.send(OK)

        return script

    client = await side.dial()
    side.model.answer, other.answer = noting("primary"), noting("copy")
    for _ in range(10):
        await client.ask()
        await settled(side)
    assert order == ["primary", "copy"] * 10


async def test_a_thousand_requests_to_a_mirror_that_swallows_them_cost_no_more_than_allowed(
    start: Start, other: Model
) -> None:
    limits = {"mirror_requests": 16, "mirror_per_second": 100_000}
    side = await start(limits=limits)
    mirror(side, other.url, timeouts={"total": 60})
    pairs_of(side)
    other.answer = silent
    body = b"x" * 10_000
    clients = [await side.dial() for _ in range(20)]

    async def ask(client: Client) -> None:
        for _ in range(50):
            assert (await client.ask(post(body))).status == 200
            assert len(side.plane.mirrors.copies) <= 16
            assert side.plane.mirrors.held_bytes <= 16 * len(body)

    await asyncio.gather(*map(ask, clients))
    await until(lambda: len(other.requests) == 16, "as many as may be")
    assert (len(other.links), connections(side), active(side)) == (16, 16, 16)
    # On a machine that is itself busy a few are lost to that.
    assert (mirrored(side), sum(lost(side).values())) == (16, 984)
    assert lost(side).keys() <= {"busy", "overload"}
    assert side.codes("v1") == {200: 1000} and side.errors("v1") == side.errors("v2") == {}


async def test_a_place_is_free_again_when_both_answers_have_ended(
    start: Start, other: Model
) -> None:
    side = await start(limits={"mirror_requests": 1})
    mirror(side, other.url)
    pairs = pairs_of(side)
    may_answer = asyncio.Event()
    side.model.answer = after(may_answer)
    first = await side.dial()
    first.send(GET)
    await until(lambda: len(other.requests) == 1, "the copy is answered at once")
    side.model.answer = OK
    assert (await side.ask()).status == 200
    assert (lost(side), pairs) == ({"busy": 1}, []), "what the first one was told is still open"
    may_answer.set()
    assert (await first.answer()).status == 200
    await settled(side)
    assert len(pairs) == 1
    assert (await side.ask()).status == 200
    await until(lambda: len(pairs) == 2, "the next pair")


async def test_no_more_copies_begin_in_a_second_than_may(start: Start, other: Model) -> None:
    side = await start(limits={"mirror_per_second": 5})
    mirror(side, other.url)
    now = 100.0
    side.plane.mirrors = Mirrors(side.plane, clock=lambda: now)
    client = await side.dial()
    for _ in range(20):
        await client.ask()
        await settled(side)
    assert (mirrored(side), lost(side)) == (5, {"rate": 15})
    now += 0.4
    for _ in range(20):
        await client.ask()
        await settled(side)
    assert mirrored(side) == 7
    now += 3600
    for _ in range(20):
        await client.ask()
        await settled(side)
    assert mirrored(side) == 12, "what was not used is not saved up"


# Bytes.


async def test_bodies_are_copied_up_to_the_limit(start: Start, other: Model) -> None:
    side = await start(limits={"mirror_body_bytes": 1000})
    mirror(side, other.url)
    await side.once(post(b"x" * 1000))
    assert (await the_copy(other)).body == b"x" * 1000
    await side.once(post(b"x" * 1001))
    assert side.model.requests[1].body == b"x" * 1001
    await settled(side)
    assert (mirrored(side), lost(side)) == (1, {"bytes": 1})


async def test_a_body_that_says_it_is_too_long_is_not_even_collected(
    start: Start, other: Model
) -> None:
    side = await start(limits={"mirror_body_bytes": 1000})
    mirror(side, other.url)
    client = await side.dial()
    client.send(post(b"x" * 1001)[:-1000])
    await until(lambda: lost(side) == {"bytes": 1}, "it is known")
    assert not side.plane.mirrors.copies
    client.send(b"x" * 1000)
    assert (await client.answer()).status == 200


async def test_a_body_that_turns_out_too_long_is_dropped_and_sent_on(
    start: Start, other: Model
) -> None:
    side = await start(limits={"mirror_body_bytes": 1000})
    mirror(side, other.url)
    pairs = pairs_of(side)
    client = await side.dial()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(3):
        client.send(b"190\r\n" + b"x" * 400 + b"\r\n")
        await client.flush()
    await until(lambda: lost(side) == {"bytes": 1}, "it is dropped")
    await settled(side)
    client.send(b"0\r\n\r\n")
    assert (await client.answer()).status == 200
    assert side.model.requests[0].body == b"x" * 1200
    assert (other.links, pairs) == ([], [])


async def test_all_copies_together_hold_no_more_than_sixteen_of_the_longest_bodies(
    start: Start, other: Model
) -> None:
    side = await start(limits={"mirror_body_bytes": 1000})
    mirror(side, other.url)
    other.answer = silent
    for _ in range(17):
        assert (await side.once(post(b"x" * 1000))).status == 200
    assert (mirrored(side), lost(side)) == (16, {"bytes": 1})
    assert side.plane.mirrors.held_bytes == 16_000
    for link in other.links:
        link.reset()
    await settled(side)
    assert (await side.once(post(b"x" * 1000))).status == 200
    await until(lambda: mirrored(side) == 17, "there is room again")


async def test_unfinished_bodies_count_for_what_has_come(start: Start, other: Model) -> None:
    side = await start(limits={"mirror_body_bytes": 1000})
    mirror(side, other.url)
    clients = [await side.dial() for _ in range(3)]
    for client in clients:
        client.send(post(b"x" * 1000)[:-500])
    await until(lambda: side.plane.mirrors.held_bytes == 1500, "half of each has come")
    for client in clients:
        client.reset()
    await settled(side)
    assert (lost(side), other.links) == ({"client_gone": 3}, [])


# Whose requests.


async def test_copies_are_those_of_the_same_users(side: Side, other: Model) -> None:
    mirror(side, other.url, mirror_percent=30)
    client = await side.dial()
    for _ in range(2):
        for number in range(100):
            assert (await client.ask(of(f"u{number}"))).status == 200
    await settled(side)
    copied = [request.target for request in other.requests]
    assert sorted(copied) == sorted([*set(copied)] * 2), "each user twice or not at all"
    assert 15 < len(set(copied)) < 45
    before = set(copied)
    mirror(side, other.url, mirror_percent=60)
    for number in range(100):
        await client.ask(of(f"u{number}"))
    await settled(side)
    more = {request.target for request in other.requests[len(copied) :]}
    assert before < more, "raising the share takes nobody out"


async def test_of_requests_that_nobody_is_known_of_a_share_is_drawn(
    side: Side, other: Model
) -> None:
    mirror(side, other.url, mirror_percent=25)
    drawn = iter([0.1, 0.3, 0.2499, 0.25, 0.99, 0.0])
    side.plane.mirrors = Mirrors(side.plane, draw=lambda: next(drawn))
    client = await side.dial()
    for number in range(6):
        await client.ask(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number)
    await settled(side)
    assert [request.target for request in other.requests] == ["/0", "/2", "/5"]


async def test_nothing_is_copied_to_the_version_that_answers(side: Side, other: Model) -> None:
    mirror(side, other.url, weights={"v2": 100})
    assert (await side.ask()).one("x-graygate-version") == "v2"
    assert (len(other.requests), mirrored(side), lost(side)) == (1, 0, {})
    assert side.model.links == []


async def test_a_candidates_requests_are_copied_to_stable_where_that_is_the_mirror(
    side: Side, other: Model
) -> None:
    versions = {"v1": VersionSpec(urls=(other.url,)), "v2": VersionSpec(urls=(side.model.url,))}
    side.use(side.spec(versions=versions, mirror="v1", weights={"v2": 100}))
    assert (await side.ask()).one("x-graygate-version") == "v2"
    assert (await the_copy(other)).one("x-graygate-version") == "v1"


async def test_upgraded_connections_are_not_copied(side: Side, other: Model) -> None:
    mirror(side, other.url)
    side.model.answer = (
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    )
    client = await side.dial()
    client.send(b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert (await client.answer()).status == 101
    assert not side.plane.mirrors.copies
    assert (mirrored(side), lost(side), other.links) == (0, {}, [])


@pytest.mark.parametrize("changes", [{"mirror_percent": 0.0}, {"mirror": ""}])
async def test_a_route_that_wants_no_copies_has_none(
    side: Side, other: Model, changes: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def watch(*_: object) -> None:
        raise AssertionError("it is not even asked")

    mirror(side, other.url, **changes)
    monkeypatch.setattr(side.plane.mirrors, "watch", watch)
    assert (await side.ask()).status == 200
    assert other.links == []


@pytest.fixture
async def third() -> AsyncIterator[Model]:
    model = Model()
    await model.start()
    yield model
    await model.close()


async def test_what_fails_over_after_it_was_sent_keeps_no_copy(
    start: Start, other: Model, third: Model
) -> None:
    """v3's kept connection is stale, and the request goes to v1 instead."""
    side = await start()
    pairs = pairs_of(side)
    versions = {
        "v1": VersionSpec(urls=(side.model.url,)),
        "v2": VersionSpec(urls=(other.url,)),
        "v3": VersionSpec(urls=(third.url,)),
    }
    spec = side.spec(versions=versions, weights={"v3": 100}, retries=0)
    side.use(spec)
    assert (await side.ask()).one("x-graygate-version") == "v3"

    async def closing(link: ModelLink, request: Request) -> None:
        link.reset()

    third.answer = closing
    other.answer = silent
    side.use(side.spec(versions=versions, weights={"v3": 100}, retries=0, mirror="v2"))
    answer = await side.ask()
    assert (answer.status, answer.one("x-graygate-version")) == (200, "v1")
    await settled(side)
    assert (lost(side), pairs) == ({"failover": 1}, [])


# When there is too much to do.


@pytest.mark.parametrize("feels", ["lag", "memory"])
async def test_a_strained_worker_makes_no_copies_and_serves_requests(
    start: Start, other: Model, feels: str
) -> None:
    side = await start(limits={"shed_memory_mib": 1_000_000})
    mirror(side, other.url)
    overload = side.plane.overload
    if feels == "lag":
        overload.lag_seconds = 0.9
    else:
        overload.memory_bytes = 930_000 * 2**20
    assert (await side.ask()).status == 200
    assert (mirrored(side), lost(side)) == (0, {"overload": 1})
    overload.lag_seconds, overload.memory_bytes = 0.0, 0
    assert (await side.ask()).status == 200
    await the_copy(other)


async def test_a_version_with_no_place_left_gets_no_copy(side: Side, other: Model) -> None:
    other.answer = silent
    with_alice(side, other, max_requests=1)
    client = await side.dial()
    client.send(of("alice"))
    await until(lambda: active(side) == 1, "alice has the only place")
    assert (await side.once(of("bob"))).one("x-graygate-version") == "v1"
    await settled(side)
    assert (mirrored(side), lost(side), len(other.requests)) == (0, {"overflow": 1}, 1)


def with_alice(side: Side, other: Model, **changes: object) -> None:
    """Alice is on v2; what others ask is copied there."""
    versions = {"v1": VersionSpec(urls=(side.model.url,)), "v2": VersionSpec(urls=(other.url,))}
    spec = side.spec(versions=versions, mirror="v2", compare="{}", mirror_self=0.0, **changes)
    side.use(spec, v2=frozenset({b"alice"}))


async def test_copies_give_their_places_to_requests(side: Side, other: Model) -> None:
    with_alice(side, other, max_requests=2)
    pairs = pairs_of(side)
    other.answer = unless("/alice", silent)
    for user in ("bob", "carol"):
        assert (await side.once(of(user))).status == 200
    await until(lambda: active(side) == 2, "copies have both places")
    answer = await side.once(of("alice"))
    assert (answer.status, answer.one("x-graygate-version")) == (200, "v2")
    assert (mirrored(side), lost(side), active(side)) == (2, {"gave_way": 1}, 1)
    assert pairs == []


async def test_copies_give_their_connections_to_requests(side: Side, other: Model) -> None:
    with_alice(side, other, max_connections=1)
    other.answer = unless("/alice", silent)
    assert (await side.once(of("bob"))).status == 200
    await until(lambda: connections(side) == 1 and bool(other.requests), "a copy has the only one")
    answer = await side.once(of("alice"))
    assert (answer.status, answer.one("x-graygate-version")) == (200, "v2")
    assert lost(side) == {"gave_way": 1}


async def test_copies_do_not_take_the_last_connections(side: Side, other: Model) -> None:
    with_alice(side, other, max_connections=1)
    pairs = pairs_of(side)
    other.answer = silent
    client = await side.dial()
    client.send(of("alice"))
    await until(lambda: active(side) == 1, "alice has the only connection")
    assert (await side.once(of("bob"))).status == 200
    await settled(side)
    assert (lost(side), active(side), pairs) == ({"overflow": 1}, 1, [])


async def test_a_version_that_is_down_gets_no_copy(side: Side, other: Model) -> None:
    mirror(side, other.url)
    assert side.plane.view is not None
    [endpoint] = side.plane.view.routes["chat"].groups["v2"].endpoints
    endpoint.health.is_checked_down = True
    assert (await side.ask()).status == 200
    await settled(side)
    assert (lost(side), other.links, active(side)) == ({"no_endpoint": 1}, [], 0)


async def test_a_plane_that_is_closing_makes_no_copies(side: Side, other: Model) -> None:
    mirror(side, other.url)
    client = await side.dial()
    await client.ask()
    await the_copy(other)
    draining = asyncio.create_task(side.plane.drain(10))
    await until(lambda: side.plane.is_closing, "it closes")
    assert (await client.ask()).status == 200
    await draining
    assert mirrored(side) == 1


# Who listens.


async def test_of_what_was_given_up_no_notes_are_kept(side: Side, other: Model) -> None:
    with_alice(side, other, max_requests=1)
    pairs_of(side)
    other.answer = unless("/alice", silent)
    may_end = asyncio.Event()

    async def streaming(link: ModelLink, request: Request) -> None:
        await link.body(request)
        link.send(EVENTS + chunk(b"one"))
        await may_end.wait()
        link.send(chunk(b"two") + b"0\r\n\r\n")

    side.model.answer = streaming
    client = await side.dial()
    client.send(of("bob"))
    await client.through(b"one")
    await until(lambda: active(side) == 1, "the copy is sent")
    [copy] = side.plane.mirrors.copies
    assert copy.primary is not None and copy.primary.half().beginning == b"one"
    assert (await side.once(of("alice"))).status == 200
    may_end.set()
    await client.through(b"0\r\n\r\n")
    half = copy.primary.half()
    assert (half.beginning, half.size_bytes) == (b"", 3)


async def test_where_nobody_compares_nothing_is_noted(side: Side, other: Model) -> None:
    mirror(side, other.url)
    other.answer = silent
    assert (await side.ask()).status == 200
    await the_copy(other)
    [copy] = side.plane.mirrors.copies
    assert copy.primary is None
    assert repr(side.plane.mirrors) == "<Mirrors: 1 copies, 0 bytes>"


async def test_who_compares_may_fail(
    side: Side, other: Model, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(_: object) -> None:
        raise ValueError("not comparable")

    mirror(side, other.url)
    side.plane.on_pair = fails
    with caplog.at_level(logging.ERROR):
        answer = await side.ask()
        await until(lambda: bool(caplog.records), "it is logged")
    assert answer.status == 200
    assert str(answer.one("x-request-id")) in caplog.text
    side.plane.on_pair = None
    await settled(side)


async def test_a_fault_of_ours_in_a_copys_answer_harms_nobody(
    side: Side, other: Model, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ValueError("no")

    mirror(side, other.url)
    monkeypatch.setattr("gateway.proxy.mirror_copy.Copy.body", fails)
    with caplog.at_level(logging.ERROR):
        assert (await side.ask()).status == 200
        await settled(side)
    assert "An answer failed inside the gateway" in caplog.text
    assert (lost(side), active(side)) == ({"internal": 1}, 0)


async def test_a_fault_of_ours_in_the_answer_makes_no_pair(
    side: Side, other: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ValueError("no")

    mirror(side, other.url)
    pairs = pairs_of(side)
    monkeypatch.setattr("gateway.proxy.delivery.Delivery.answered", fails)
    other.answer = silent
    assert (await side.ask()).status == 500
    await settled(side)
    assert (lost(side), pairs) == ({"internal": 1}, [])


async def test_a_copy_that_cannot_be_made_harms_nobody(
    side: Side, other: Model, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ValueError("no")

    mirror(side, other.url)
    assert (await side.ask()).status == 200
    await settled(side)
    monkeypatch.setattr("gateway.proxy.mirroring.Mirroring.lines", fails)
    with caplog.at_level(logging.ERROR):
        assert (await side.ask()).status == 200
        await settled(side)
    assert "A copy could not be sent" in caplog.text
    assert (lost(side), active(side)) == ({"internal": 1}, 0)
    await until(lambda: other.links[0].ending is not None, "the connection is closed")


# Stable beside itself.


async def test_a_share_of_the_copies_goes_to_stable_once_more(side: Side, other: Model) -> None:
    pairs = pairs_of(side)
    mirror(side, other.url, mirror_self=100.0)
    assert (await side.once(of("bob"))).status == 200
    pair = await the_pair(pairs)
    assert (pair.primary.version, pair.copy.version) == ("v1", "v1")
    assert other.requests == [] and len(side.model.requests) == 2
    copy = side.model.requests[1]
    assert (copy.one("x-graygate-version"), copy.one("x-graygate-mirror")) == ("v1", "1")
    await settled(side)
    assert side.plane.numbers["chat", "v1"].mirrored == 1 and mirrored(side) == 0


async def test_the_share_is_drawn_for_each_copy(side: Side, other: Model) -> None:
    pairs = pairs_of(side)
    mirror(side, other.url, mirror_self=50.0)
    for _ in range(60):
        await side.once(of("bob"))
    await until(lambda: len(pairs) == 60, "all answers have ended")
    itself = sum(pair.copy.version == "v1" for pair in pairs)
    assert 10 < itself < 50  # less likely than one in a million
    assert itself + len(other.requests) == 60


@pytest.mark.parametrize("changes", [{"compare": ""}, {"mirror_self": 0.0}])
async def test_without_a_comparison_stable_is_not_asked_twice(
    side: Side, other: Model, changes: dict[str, object]
) -> None:
    pairs = pairs_of(side)
    mirror(side, other.url, **{"mirror_self": 100.0, **changes})
    await side.once(of("bob"))
    await the_copy(other)
    await settled(side)
    assert len(side.model.requests) == 1
    assert len(pairs) == ("compare" not in changes)


async def test_what_another_candidate_answered_is_copied_and_not_compared(
    side: Side, other: Model
) -> None:
    pairs = pairs_of(side)
    versions = {
        "v1": VersionSpec(urls=(side.model.url,)),
        "v2": VersionSpec(urls=(other.url,)),
        "v3": VersionSpec(urls=(side.model.url,)),
    }
    changes: dict[str, object] = {"weights": {"v3": 100.0}, "mirror_self": 100.0}
    side.use(side.spec(versions=versions, mirror="v2", compare="{}", **changes))
    assert (await side.once(of("bob"))).one("x-graygate-version") == "v3"
    await the_copy(other)
    await settled(side)
    assert pairs == []

"""More than can be served: who waits, who is turned away, and how that is said."""

from __future__ import annotations

import asyncio

from tests.proxy.conftest import Start
from tests.proxy.link import until
from tests.proxy.message import Answer, Request
from tests.proxy.model import OK, ModelLink
from tests.proxy.side import GET, Client, Side


class Gate:
    """A model that answers when it is let."""

    def __init__(self, side: Side) -> None:
        self.is_open = asyncio.Event()
        self.side = side
        side.model.answer = self._answer

    async def _answer(self, link: ModelLink, request: Request) -> None:
        await link.body(request)
        await self.is_open.wait()
        link.send(OK)

    async def hold(self, count: int) -> list[Client]:
        """So many requests that are under way."""
        before = len(self.side.model.requests)
        clients = [await self.side.dial() for _ in range(count)]
        for client in clients:
            client.send(GET)
        await until(lambda: len(self.side.model.requests) == before + count, "all have arrived")
        return clients


def is_turned_away(answer: Answer) -> bool:
    return (
        (answer.status, answer.code) == (503, "overloaded")
        and int(answer.one("retry-after") or 0) > 0
        and "x-request-id" in answer.names
    )


# Connections.


async def test_L07_connections_over_the_cap_are_turned_away(start: Start) -> None:
    side = await start(limits={"connections": 5})
    clients = [await side.dial() for _ in range(5)]
    for client in clients:
        assert (await client.ask()).status == 200
    surplus = await side.dial()
    answer = await surplus.answer()
    assert is_turned_away(answer) and answer.closes
    assert await surplus.to_end(None) == b""
    assert side.plane.shed["connections"] == 1
    assert (await clients[0].ask()).status == 200
    clients[0].close()
    await until(lambda: side.plane.connections < 5, "there is room again")
    assert (await side.ask()).status == 200


async def test_L07_many_surplus_connections_harm_nobody(start: Start) -> None:
    side = await start(limits={"connections": 20})
    good = await side.dial()
    assert (await good.ask()).status == 200
    crowd = [await side.dial() for _ in range(200)]
    for client in crowd[:19]:
        assert (await client.ask()).status == 200
    assert (await good.ask()).status == 200
    for client in crowd:
        client.close()
    await until(lambda: side.plane.connections == 1, "the crowd is gone")
    assert (await side.ask()).status == 200


# Requests: the concurrency limit and its queue.


async def test_requests_over_the_limit_wait_for_their_turn(side: Side) -> None:
    side.use(side.spec(max_requests=2, max_pending=2))
    gate = Gate(side)
    held = await gate.hold(2)
    waiting = [await side.dial() for _ in range(2)]
    for client in waiting:
        client.send(GET)
    await until(lambda: side.in_flight() == 4, "two wait")
    assert len(side.model.requests) == 2
    gate.is_open.set()
    for client in (*held, *waiting):
        assert (await client.answer()).status == 200
    await until(lambda: side.in_flight() == 0, "all are served")


async def test_requests_over_the_queue_are_turned_away_at_once(side: Side) -> None:
    side.use(side.spec(max_requests=2, max_pending=1))
    gate = Gate(side)
    held = await gate.hold(2)
    waiting = await side.dial()
    waiting.send(GET)
    await until(lambda: side.in_flight() == 3, "one waits")
    assert is_turned_away(await side.ask())
    assert side.errors()["overflow"] == 1
    assert side.codes() == {503: 1}
    gate.is_open.set()
    for client in (*held, waiting):
        assert (await client.answer()).status == 200


async def test_a_route_may_have_no_queue(side: Side) -> None:
    side.use(side.spec(max_requests=1, max_pending=0))
    gate = Gate(side)
    [held] = await gate.hold(1)
    assert is_turned_away(await side.ask())
    gate.is_open.set()
    assert (await held.answer()).status == 200
    assert (await held.ask()).status == 200


async def test_nobody_waits_longer_than_the_route_says(side: Side) -> None:
    side.use(side.spec(max_requests=1, max_pending=5, timeouts={"queue": 0.2}))
    gate = Gate(side)
    [held] = await gate.hold(1)
    assert is_turned_away(await side.ask())
    gate.is_open.set()
    assert (await held.answer()).status == 200
    assert (await side.ask()).status == 200


async def test_who_goes_while_waiting_takes_no_place(side: Side) -> None:
    side.use(side.spec(max_requests=1, max_pending=5))
    gate = Gate(side)
    [held] = await gate.hold(1)
    leaving, staying = await side.dial(), await side.dial()
    for client in (leaving, staying):
        client.send(GET)
    await until(lambda: side.in_flight() == 3, "two wait")
    leaving.close()
    await until(lambda: side.in_flight() == 2, "one is gone")
    gate.is_open.set()
    assert (await held.answer()).status == 200
    assert (await staying.answer()).status == 200
    assert len(side.model.requests) == 2


async def test_a_body_that_comes_while_its_request_waits_is_not_lost(side: Side) -> None:
    side.use(side.spec(max_requests=1, max_pending=5))
    gate = Gate(side)
    [held] = await gate.hold(1)
    client = await side.dial()
    body = bytes(range(256)) * 4096  # 1 MiB: more than is held
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    await until(lambda: side.in_flight() == 2, "it waits")
    gate.is_open.set()
    assert (await held.answer()).status == 200
    assert (await client.answer()).status == 200
    assert side.model.requests[-1].body == body


async def test_each_version_has_its_own_limit(side: Side) -> None:
    side.use(side.spec(max_requests=1, max_pending=0), v2=frozenset({b"alice"}))
    gate = Gate(side)
    [held] = await gate.hold(1)
    client = await side.dial()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX-User-Id: alice\r\n\r\n")
    await until(lambda: len(side.model.requests) == 2, "the other version takes it")
    gate.is_open.set()
    assert (await client.answer()).one("x-graygate-version") == "v2"
    assert (await held.answer()).one("x-graygate-version") == "v1"


async def test_an_endpoint_has_no_more_connections_than_the_route_allows(side: Side) -> None:
    side.use(side.spec(max_connections=2, retries=0))
    gate = Gate(side)
    held = await gate.hold(2)
    answer = await side.ask()
    assert is_turned_away(answer)
    assert len(side.model.links) == 2
    gate.is_open.set()
    for client in held:
        assert (await client.answer()).status == 200
    assert (await side.ask()).status == 200
    assert all(is_up for *_, is_up in side.plane.endpoints()), "busy is not broken"


async def test_a_full_candidate_leaves_its_surplus_to_stable_or_turns_it_away(side: Side) -> None:
    side.use(side.spec(max_requests=1, max_pending=0, weights={"v2": 100}))
    gate = Gate(side)
    [held] = await gate.hold(1)
    client = await side.dial()
    client.send(GET)
    await until(lambda: bool(client.received) or len(side.model.requests) == 2, "somebody decides")
    gate.is_open.set()
    answer = await client.answer()
    assert answer.one("x-graygate-version") == "v1" or is_turned_away(answer)
    assert (await held.answer()).one("x-graygate-version") == "v2"


# A worker that is overloaded as a whole.


async def test_a_worker_without_memory_turns_requests_away(start: Start) -> None:
    side = await start(limits={"shed_memory_mib": 1})
    client = await side.dial()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
    assert is_turned_away(await client.answer())
    assert side.plane.shed["memory"] == 1
    assert side.model.received == b""


async def test_a_worker_that_lags_turns_requests_away_until_it_does_not(side: Side) -> None:
    for _ in range(30):
        side.plane.overload.measure_lag(5.0)
    assert is_turned_away(await side.ask())
    assert side.plane.shed["lag"] == 1

    async def is_served() -> bool:
        return (await side.ask()).status == 200

    async with asyncio.timeout(10):
        while not await is_served():  # noqa: ASYNC110  # the plane tells nobody
            await asyncio.sleep(0.02)


async def test_a_body_that_is_turned_away_is_no_request(start: Start) -> None:
    side = await start(limits={"shed_memory_mib": 1})
    hidden = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    client = await side.dial()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(hidden))
    answer = await client.answer()
    client.send(hidden)
    if answer.closes:
        assert await client.to_end(None) == b""
    assert side.model.received == b""
    assert side.plane.shed["memory"] == 1


async def test_without_a_table_the_answer_is_503(start: Start) -> None:
    side = await start(has_table=False)
    answer = await side.ask()
    assert (answer.status, answer.code) == (503, "no_table")
    assert int(answer.one("retry-after") or 0) > 0


async def test_a_burst_of_clients_is_served(side: Side) -> None:
    count = 200
    clients = [await side.dial() for _ in range(count)]
    for client in clients:
        client.send(GET)
    for client in clients:
        assert (await client.answer()).status == 200
    assert side.codes() == {200: count}

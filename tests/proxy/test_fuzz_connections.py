"""Connections that nobody has thought of: what must hold whatever clients, models and routes do.

Each example is a walk: clients that send right and wrong requests in odd pieces and leave when they
like, models that answer in every way, and routes that change meanwhile; all on real sockets.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvloop
from hypothesis import given, settings

from gateway.routing.spec import RouteSpec, VersionSpec
from gateway.upstream.endpoint import Endpoint
from gateway.upstream.group import Group
from tests.http1.fuzzing import FUZZ, SECONDS, fuzz
from tests.http1.oracles import Verdict, by_h11, by_httptools, by_us
from tests.http1.wire import Seen, read
from tests.proxy.link import Ending, until
from tests.proxy.message import Answer, NotStrict, read_answer
from tests.proxy.replying import ECHO, Asked, Replying, model_of, turns
from tests.proxy.side import Client, Side, closed_port
from tests.proxy.walks import ENDPOINTS, Caller, End, Shape, Walk, walks

WALK = settings(FUZZ, max_examples=100 if SECONDS else 200)
SAFE = ("GET", "HEAD", "OPTIONS")
MOST_PIECES = 300
# Far above what any step takes here, and below the patience of whoever waits.
TIMES = {"first_byte": 0.3, "idle": 0.3, "queue": 0.3, "connect": 2.0}
LIMITS = {"head_seconds": 5.0, "body_idle_seconds": 5.0, "write_idle_seconds": 5.0}
PROBE = b"GET /a/probe HTTP/1.1\r\nHost: front\r\nConnection: close\r\n\r\n"


class Street:
    """One walk: its plane, its models, and what has been seen of them."""

    def __init__(self, walk: Walk) -> None:
        self.walk = walk
        self.replying = Replying(walk.replies)
        self.models = [model_of(self.replying) for _ in range(ENDPOINTS)]
        self.side = Side(self.models[0], {"limits": LIMITS})
        self.sent = [b""] * len(walk.callers)
        self.clients: list[Client | None] = [None] * len(walk.callers)
        self.groups: set[Group] = set()
        self.endpoints: set[Endpoint] = set()

    async def start(self) -> None:
        for model in self.models:
            await model.start()
        self.urls = [*(model.url for model in self.models), f"http://127.0.0.1:{closed_port()}"]
        await self.side.start()
        self.use(self.walk.shapes[0])

    async def stop(self) -> None:
        await self.side.stop()
        for model in self.models:
            await model.close()

    def use(self, shape: Shape) -> None:
        def version(numbers: tuple[int, ...]) -> VersionSpec:
            return VersionSpec(urls=tuple(self.urls[number] for number in numbers))

        versions = {"v1": version(shape.stable)}
        if shape.candidate:
            versions["v2"] = version(shape.candidate)
        weights = {"v2": shape.weight} if shape.candidate else {}
        first = RouteSpec(
            name="first", paths=("/a",), stable="v1", versions=versions, weights=weights,
            salt="a", timeouts=TIMES, retries=2, max_requests=shape.places,
        )  # fmt: skip
        second = RouteSpec(
            name="second", stable="v1", versions=versions, weights=weights,
            salt="b", timeouts=TIMES, unit=("body:user",),
        )  # fmt: skip
        self.side.use(*([first, second] if shape.has_first else [second]))
        view = self.side.plane.view
        assert view is not None
        for route in view.routes.values():
            self.groups |= set(route.groups.values())
        for group in self.groups:
            self.endpoints |= set(group.endpoints)

    # What happens.

    async def go(self) -> None:
        async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            for number, caller in enumerate(self.walk.callers):
                tasks.create_task(self._call(number, caller))
            tasks.create_task(self._change())
        for client in self.clients:
            if client is not None:
                client.close()

    async def _change(self) -> None:
        for shape in self.walk.shapes[1:]:
            await turns(shape.after)
            self.use(shape)

    async def _call(self, number: int, caller: Caller) -> None:
        await turns(caller.starts)
        client = self.clients[number] = await self._dial(number, caller.holds)
        data = b"".join(caller.requests)
        for count in range(data.count(b"{}")):
            data = data.replace(b"{}", b"%d-%d" % (number, count), 1)
        if caller.holds:
            client.hold()
        if caller.leaves < 0:
            await self._talk(number, caller, client, data)
            return
        talk = asyncio.ensure_future(self._talk(number, caller, client, data))
        try:
            await until(
                lambda: len(client.received) >= caller.leaves or talk.done(), "an answer", 25
            )
            if talk.done():
                await talk
        finally:
            client.reset()
            talk.cancel()
            await asyncio.gather(talk, return_exceptions=True)

    async def _dial(self, number: int, holds: int) -> Client:
        link = socket.socket()
        link.setblocking(False)
        link.bind((address_of(number), 0))
        if holds:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(link, (self.side.host, self.side.port))
        _, client = await loop.create_connection(Client, sock=link)
        self.side.clients.append(client)
        return client

    async def _talk(self, number: int, caller: Caller, client: Client, data: bytes) -> None:
        data = data[: len(data) * caller.sent // 100]
        pieces = 0
        while data and not client.transport.is_closing():
            size = caller.cuts[pieces % len(caller.cuts)]
            pieces += 1
            piece, data = (data, b"") if pieces > MOST_PIECES else (data[:size], data[size:])
            client.send(piece)
            self.sent[number] += piece
            await turns(caller.pauses)
        if caller.holds:
            await turns(caller.holds)
            client.go_on()
        if caller.end is End.CLOSE:
            client.close()
            return
        if caller.end is End.RESET:
            client.reset()
            return
        if caller.end is End.HALF and not client.transport.is_closing():
            client.finish()
        await self._answered(number, client)

    async def _answered(self, number: int, client: Client) -> None:
        """Every request that is complete is answered, or the connection ends."""
        seen = read(self.sent[number])
        wanted = seen.count + bool(seen.status)
        known = -1
        while client.ending is None:
            if len(client.received) != known:
                known = len(client.received)
                answers = await self.answers(number)
                if len(answers) >= wanted or any(one.status == 101 for one in answers):
                    return
            await client.when(
                lambda: len(client.received) != known or client.ending is not None,  # noqa: B023
                f"{wanted} answers to {self.sent[number]!r}",
            )

    async def answers(self, number: int) -> list[Answer]:
        """The complete answers that this client has got."""
        client = self.clients[number]
        assert client is not None
        heads = read(self.sent[number]).heads
        again = Client()
        again.received, again.ending = client.received, client.ending or Ending.RESET
        found: list[Answer] = []
        while again.rest:
            method = heads[len(found)].method if len(found) < len(heads) else "GET"
            try:
                answer = await read_answer(again, method)
            except NotStrict:
                raise
            except AssertionError:
                break
            found.append(answer)
            if answer.status == 101:
                break
            assert not answer.closes or not again.rest, f"more than the last: {again.rest[:200]!r}"
        return found


def address_of(number: int) -> str:
    return f"127.0.0.{number + 2}"


# -- what must hold --------------------------------------------------------------


def check_requests(street: Street) -> None:
    """Models got what clients sent: in order, nothing else, and nothing twice that may act."""
    last: dict[int, Asked] = {}
    for asked in street.replying.asked:
        before = last.get(id(asked.link))
        assert before is None or not (before.reply.says_close or before.reply.extra), asked
        last[id(asked.link)] = asked
    for asked in street.replying.asked:
        if asked.body is None:
            continue
        slice_ = bytes(asked.link.received[asked.starts : asked.ends])
        for name, oracle in (("h11", by_h11), ("httptools", by_httptools)):
            verdict: Verdict = oracle(slice_)
            if verdict.error == "Invalid method encountered":
                continue  # llhttp knows a list of methods; any token is one
            assert verdict.bodies == [(asked.method.encode(), asked.body)], (name, slice_, verdict)
    for number, sent in enumerate(street.sent):
        mine = [one for one in street.replying.asked if one.caller == address_of(number)]
        check_order(read(sent), [message.body for message in by_us(sent).messages], mine)
    callers = {address_of(number) for number in range(len(street.sent))}
    assert {one.caller for one in street.replying.asked} <= callers


def check_order(seen: Seen, bodies: list[bytes], asked: list[Asked]) -> None:
    at = -1
    for one in asked:
        if at < 0 or one.method not in SAFE or not fits(seen, bodies, at, one):
            at += 1
            while at < len(seen.heads) and not fits(seen, bodies, at, one):
                at += 1
        assert at < len(seen.heads), f"{one} was never sent, or not at its place: {seen}"


def fits(seen: Seen, bodies: list[bytes], at: int, asked: Asked) -> bool:
    head = seen.heads[at]
    if (head.method, head.target.decode("latin-1")) != (asked.method, asked.target):
        return False
    if asked.body is None:
        return True
    return at < len(bodies) and bodies[at] == asked.body


async def check_answers(street: Street) -> None:
    """What a client takes for an answer is that of its request, and the model had ended it."""
    for number, client in enumerate(street.clients):
        if client is None:
            continue
        heads = read(street.sent[number]).heads
        answers = await street.answers(number)
        assert len(answers) <= len(heads) + 1
        for place, answer in enumerate(answers):
            echo = answer.one(ECHO)
            for interim in answer.interim:
                assert interim.status == 100 or interim.one(ECHO) is not None
            if echo is None:
                assert answer.one("Server") == "graygate", answer
                assert answer.status != 500, answer
                continue
            asked = street.replying.asked[int(echo)]
            assert asked.caller == address_of(number), (answer, asked)
            target = heads[place].target.decode("latin-1")
            assert (heads[place].method, target) == (asked.method, asked.target), (answer, asked)
            if answer.status == 101:
                rest = bytes(client.received).partition(answer.head)[2]
                assert asked.tunnelled.startswith(rest), (asked, rest)
            else:
                assert asked.reply.status == answer.status
                assert asked.answered == answer.body, (asked, answer)


async def check_rest(street: Street) -> None:
    """Nothing is left of what was, and the next requests are served."""
    plane = street.side.plane
    await until(lambda: not plane.clients and not plane.exchanges, f"all ended: {plane!r}")
    await until(lambda: not plane._tasks, "no attempt to connect is left")
    assert street.side.in_flight() == 0, plane.numbers
    for group in street.groups:
        assert (group.active, len(group.waiting), group.budget.running) == (0, 0, 0), group
    for endpoint in street.endpoints:
        assert endpoint.active == 0, endpoint
        assert endpoint.connections == sum(one.is_open for one in endpoint.idle), endpoint
        assert not (endpoint.is_retired and endpoint.idle), endpoint
        for connection in endpoint.idle:
            if connection.is_open:
                assert connection.is_reusable or not connection.served, connection
                assert connection._sink is None and not connection.is_reading_paused, connection
                assert connection._transport.is_reading(), connection
    street.replying.replies = Walk(()).replies
    street.use(Shape())
    for _ in range(3):
        client = await street._dial(len(street.sent), 0)
        answer = await client.ask(PROBE)
        assert (answer.status, answer.one(ECHO)) == (200, f"{len(street.replying.asked) - 1}")
        client.close()


# -- the walk --------------------------------------------------------------------


class _Errors(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))


@contextmanager
def quiet() -> Iterator[None]:
    """Fails when the loop or the gateway tells of a fault of ours."""
    errors = _Errors()
    log = logging.getLogger("gateway")

    def note(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        errors.texts.append(f"{context.get('message')}: {context.get('exception')!r}")

    log.addHandler(errors)
    asyncio.get_running_loop().set_exception_handler(note)
    try:
        yield
    finally:
        log.removeHandler(errors)
    assert not errors.texts, "\n".join(errors.texts)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - the listing is one of them


async def take(walk: Walk) -> None:
    before = descriptors()
    with quiet():
        street = Street(walk)
        await street.start()
        try:
            await street.go()
            await check_rest(street)
            check_requests_of(street)
            await check_answers(street)
        finally:
            await street.stop()
        # The loop opens one for itself, some time.
        await until(lambda: descriptors() <= before + 1, "all descriptors are closed")


def check_requests_of(street: Street) -> None:
    probed = address_of(len(street.sent))
    street.replying.asked = [one for one in street.replying.asked if one.caller != probed]
    check_requests(street)


@fuzz
def test_whatever_happens_to_connections_nothing_is_mixed_up_or_left() -> None:
    @given(walks())
    @WALK
    def check(walk: Walk) -> None:
        runner.run(take(walk))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(take(Walk((Caller((PROBE,)),))))
        before = descriptors()
        check()
        assert descriptors() <= before + 1

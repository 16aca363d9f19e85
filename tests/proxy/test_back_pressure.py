"""L-03, L-04: who does not read stops who writes, and the gateway holds little in between.

The worker is a process of its own here, so that its memory can be told from that of the test.
"""

from __future__ import annotations

import asyncio
import hashlib
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.routing.spec import RouteSpec, VersionSpec
from tests.process.harness import Gateway
from tests.proxy.link import until
from tests.proxy.message import read_head
from tests.proxy.model import Model, ModelLink
from tests.proxy.side import Client

KIB, MIB = 2**10, 2**20
PART = hashlib.sha256(b"seed").digest() * 2048  # 64 KiB that do not repeat within a piece


def _kernel_holds(kind: str) -> int:
    """The most that one socket's buffer for receiving or sending may grow to."""
    limits = Path(f"/proc/sys/net/ipv4/tcp_{kind}")
    most = int(limits.read_text().split()[2]) if limits.exists() else 8 * MIB
    return -(-most // MIB) * MIB


EACH = 8 * MIB + _kernel_holds("rmem") + _kernel_holds("wmem")  # of an answer: a rest always waits
UPLOAD = 8 * MIB  # the kernel may hold all of some
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
SMALL = 32 * KIB


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    """One for each test: memory that another test has left free would be filled first."""
    with Gateway(workers=1) as gateway:
        gateway.configure(access_log={"path": ""})
        yield gateway.start()


@pytest.fixture
async def worker(gateway: Gateway, model: Model) -> int:
    """The process that proxies to the model."""
    route = RouteSpec(
        name="chat", stable="v1", versions={"v1": VersionSpec(urls=(model.url,))}, salt="s"
    )
    gateway.publish(1, route)
    await asyncio.to_thread(gateway.wait_held, 1, 1)
    [pid] = gateway.workers
    return pid


def memory_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    [size] = [line.split()[1] for line in lines if line.startswith("VmRSS:")]
    return int(size) * KIB


class Door:
    """The way into the gateway, for clients whose kernel keeps little."""

    def __init__(self, gateway: Gateway) -> None:
        self._address = (gateway.host, gateway.port)
        self.clients: list[Client] = []

    async def dial(self) -> Client:
        link = socket.socket()
        link.setblocking(False)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(link, self._address)
        _, client = await loop.create_connection(Client, sock=link)
        self.clients.append(client)
        return client

    async def warm_up(self) -> None:
        """A few ordinary requests, so that what is made once is made."""
        for _ in range(20):
            client = await self.dial()
            assert (await client.ask()).status == 200
            client.close()


@pytest.fixture
async def door(gateway: Gateway, worker: int) -> AsyncIterator[Door]:
    door = Door(gateway)
    await door.warm_up()
    yield door
    for client in door.clients:
        client.transport.abort()


class Pouring:
    """A model that streams EACH bytes to everybody, as fast as they are taken."""

    def __init__(self, model: Model) -> None:
        self.sent: dict[ModelLink, int] = {}
        model.serve = self._serve

    async def _serve(self, link: ModelLink) -> None:
        await link.through(b"\r\n\r\n")
        link.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
        link.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % EACH)
        self.sent[link] = 0
        while self.sent[link] < EACH and link.ending is None:
            link.send(PART)
            self.sent[link] += len(PART)
            await until(lambda: not link.is_full or link.ending is not None, "it is taken", 60)
        await until(lambda: link.ending is not None, "the gateway ends it", 60)

    def are_held_up(self, count: int) -> bool:
        links = [link for link in self.sent if link.ending is None]
        return len(links) == count and all(link.is_full for link in links)


async def stands_still(sent: dict[ModelLink, int]) -> None:
    """Waits until nothing more was taken for a while."""
    before, rounds = dict(sent), 0

    def is_so() -> bool:
        nonlocal before, rounds
        rounds = rounds + 1 if sent == before else 0
        before = dict(sent)
        return rounds > 200

    await until(is_so, "nobody sends any more", 20)


@pytest.mark.slow
async def test_L03_clients_that_read_nothing_cost_little(
    door: Door, worker: int, model: Model
) -> None:
    pouring = Pouring(model)
    await model.drop()  # what was kept would be served by nobody
    before = memory_bytes(worker)
    clients = [await door.dial() for _ in range(50)]
    for client in clients:
        client.hold()
        client.send(GET)
    await until(lambda: pouring.are_held_up(50), "all models are held up", 30)
    await stands_still(pouring.sent)
    grown = memory_bytes(worker) - before
    assert grown <= 50 * 256 * KIB, f"{grown / MIB:.1f} MiB"
    assert max(pouring.sent.values()) < EACH, "the buffers of the kernel held it all"
    for client in clients[1:]:
        client.reset()
    expected = hashlib.sha256(PART * (EACH // len(PART))).hexdigest()
    for client in clients[:1]:
        client.go_on()
        assert (await read_head(client)).status == 200
        found = hashlib.sha256()
        for _ in range(EACH // MIB):
            found.update(await client.exactly(MIB))
        assert found.hexdigest() == expected
        client.close()
    await until(lambda: all(link.ending for link in pouring.sent), "all is over")


@pytest.mark.slow
async def test_L04_a_model_that_reads_nothing_costs_little(
    door: Door, worker: int, model: Model
) -> None:
    await model.drop()
    may_read = asyncio.Event()
    sums: list[str] = []

    async def deaf(link: ModelLink) -> None:
        link.hold()
        await may_read.wait()
        link.go_on()
        await link.through(b"\r\n\r\n")
        sums.append(hashlib.sha256(await link.exactly(UPLOAD)).hexdigest())
        link.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await until(lambda: link.ending is not None, "the gateway ends it", 60)

    model.serve = deaf
    before = memory_bytes(worker)
    clients = [await door.dial() for _ in range(20)]
    for client in clients:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % UPLOAD)
        for _ in range(UPLOAD // len(PART)):
            client.send(PART)
    left: list[int] = []
    rounds = 0

    def is_stuck() -> bool:
        nonlocal left, rounds
        now = [client.transport.get_write_buffer_size() for client in clients]
        rounds = rounds + 1 if now == left else 0
        left = now
        return rounds > 200 and len(model.links) >= 20

    await until(is_stuck, "nobody can send any more", 30)
    grown = memory_bytes(worker) - before
    assert grown <= 20 * 256 * KIB, f"{grown / MIB:.1f} MiB"
    assert sum(map(bool, left)) > 15, "the buffers of the kernel held it all"
    for client in clients[2:]:
        client.reset()
    may_read.set()
    for client in clients[:2]:
        assert (await client.answer()).status == 200
        client.close()
    assert len(sums) >= 2  # more, where the kernel held all of an upload
    assert set(sums) == {hashlib.sha256(PART * (UPLOAD // len(PART))).hexdigest()}
    await model.drop()


@pytest.mark.slow
async def test_L03_an_idle_connection_costs_little(door: Door, worker: int) -> None:
    before = memory_bytes(worker)
    clients = [await door.dial() for _ in range(500)]
    for client in clients:
        assert (await client.ask()).status == 200
    grown = memory_bytes(worker) - before
    for client in clients:
        client.close()
    assert grown <= 500 * 8 * KIB, f"{grown / 500 / KIB:.1f} KiB each"

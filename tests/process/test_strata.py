"""What control makes of its workers' numbers, and how it gets them into the store."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from xxhash import xxh3_64_intdigest

from gateway.config.settings import Redis
from gateway.errors import StoreError, StoreUnavailable
from gateway.metrics.sketch import Sketch
from gateway.metrics.strata import CellCounts, EventCounts, SketchDelta
from gateway.process.channel import Strata
from gateway.process.strata import KEPT_SECONDS, StrataPublisher, StrataSums
from gateway.state.keys import Keys
from gateway.state.store import WorkLink
from gateway.state.strata import Entry, StrataLog
from tests.servers import Server

EVENT = EventCounts(100, "chat", "v2", "feedback", 2, 1)


def cell(
    version: str = "v1", arrived: int = 1, route: str = "chat", second: int = 100
) -> CellCounts:
    return CellCounts(second, route, version, arrived)


def said(sent: int, *cells: CellCounts) -> Strata:
    return Strata(sent=sent, cells=cells)


class Store:
    """A log that takes what it is told to take."""

    def __init__(self) -> None:
        self.taken: list[Entry] = []
        self.failure: StoreError | None = None  # of everything
        self.refuses = ""  # this route
        self.answers = True  # what was taken, or nothing at all

    async def append_all(self, entries: list[Entry]) -> list[StoreError | None]:
        if self.failure is not None:
            raise self.failure
        self.taken += [entry for entry in entries if entry.route != self.refuses]
        if not self.answers:
            raise StoreUnavailable("the store did not answer")
        return [
            StoreError("it refuses") if entry.route == self.refuses else None for entry in entries
        ]

    @property
    def sent(self) -> list[tuple[int, str]]:
        return [(entry.sent, entry.route) for entry in self.taken]


def publisher(sums: StrataSums, store: Any) -> StrataPublisher:
    return StrataPublisher(sums, store, "gw1")


# Sums


def test_workers_of_one_second_are_added_up() -> None:
    sums = StrataSums()
    sums.put(said(100, cell(arrived=3), cell("v2")))
    sums.put(said(100, cell(arrived=4), cell(route="draw")))
    sums.put(said(101, cell(second=100)))
    taken = sorted(sums.take(), key=lambda one: one[:2])
    assert [(sent, route, len(cells)) for sent, route, cells, _ in taken] == [
        *((100, "chat", 2), (100, "draw", 1), (101, "chat", 1)),
    ]
    assert {one.version: one.arrived for one in taken[0][2]} == {"v1": 7, "v2": 1}
    assert sums.take() == []


def test_what_control_is_told_goes_the_same_way() -> None:
    sums = StrataSums()
    sums.put_events(100, [EVENT])
    sums.put(Strata(sent=100, events=(EVENT,)))
    [(sent, route, cells, [event])] = sums.take()
    assert (sent, route, cells, event.n, event.bad) == (100, "chat", [], 4, 2)


def test_numbers_that_nobody_takes_are_dropped_after_two_minutes_and_counted() -> None:
    sums = StrataSums()
    for sent in range(KEPT_SECONDS + 10):
        sums.put(said(sent, cell(), cell(route="draw")))
    assert repr(sums) == f"<StrataSums of {KEPT_SECONDS} seconds>"
    assert sums.dropped == 20
    assert min(sent for sent, *_ in sums.take()) == 10


def test_units_are_known_for_ten_minutes() -> None:
    sums = StrataSums()
    registers = Sketch().add([xxh3_64_intdigest(b"%d" % n) for n in range(1000)], 5)
    for worker in range(2):
        sums.put(Strata(sent=300 + worker, sketches=(SketchDelta(5, "chat", "v2", registers),)))
    assert sums.units(9) == {("chat", "v2"): pytest.approx(1000, rel=0.1)}
    assert sums.units(14) == sums.units(9)
    assert sums.units(15) == {}


# Publishing


async def test_a_store_that_comes_back_gets_the_last_two_minutes_in_order(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sums, store = StrataSums(), Store()
    made = publisher(sums, store)
    store.failure = StoreUnavailable("nobody is there")
    with caplog.at_level(logging.WARNING):
        for sent in range(1000, 1000 + KEPT_SECONDS + 30):
            sums.put(said(sent, cell()))
            await made.publish()
    assert len(caplog.records) == 1  # not one a second
    assert repr(made) == f"<StrataPublisher of gw1: {KEPT_SECONDS} entries wait>"
    assert made.observed().dropped == 30
    store.failure = None
    await made.publish()
    assert store.sent == [(sent, "chat") for sent in range(1030, 1030 + KEPT_SECONDS)]
    await made.publish()
    assert len(store.sent) == KEPT_SECONDS


async def test_what_may_be_there_is_sent_again_under_the_same_number() -> None:
    sums, store = StrataSums(), Store()
    made = publisher(sums, store)
    sums.put(said(1000, cell(), cell(route="draw")))
    store.answers = False
    await made.publish()
    store.answers = True
    await made.publish()
    numbers = [entry.number for entry in store.taken]
    assert len(numbers) == 4
    assert numbers[:2] == numbers[2:]
    assert len(set(numbers)) == 2


async def test_a_route_that_the_store_refuses_holds_up_no_other() -> None:
    sums, store = StrataSums(), Store()
    made = publisher(sums, store)
    store.refuses = "bad"
    for sent in (1000, 1001):
        sums.put(said(sent, cell(route="bad"), cell()))
        await made.publish()
    assert store.sent == [(1000, "chat"), (1001, "chat")]
    store.refuses = ""
    await made.publish()
    assert store.sent[2:] == [(1000, "bad"), (1001, "bad")]


async def test_thousands_of_entries_go_in_pieces() -> None:
    sums, store = StrataSums(), Store()
    sums.put(said(1000, *(cell(route=f"r{number}") for number in range(1201))))
    await publisher(sums, store).publish()
    assert len({entry.route for entry in store.taken}) == len(store.taken) == 1201


async def test_at_its_end_it_sends_what_there_is() -> None:
    sums, store = StrataSums(), Store()
    made = publisher(sums, store)
    running = asyncio.create_task(made.run())
    await asyncio.sleep(0)
    sums.put(said(1000, cell()))
    made.end()
    async with asyncio.timeout(5):
        await running
    assert store.sent == [(1000, "chat")]


async def test_it_publishes_every_second() -> None:
    sums, store = StrataSums(), Store()
    running = asyncio.create_task(publisher(sums, store).run())
    sums.put(said(1000, cell()))
    async with asyncio.timeout(5):
        while not store.sent:  # noqa: ASYNC110  # it is the code under test that changes it
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait([running])


@pytest.fixture
async def log(fresh_valkey: Server) -> AsyncIterator[StrataLog]:
    work = WorkLink(Redis(url=fresh_valkey.url, timeout_seconds=0.2))
    yield StrataLog(work.get, Keys())
    await work.close()


async def publish_until_taken(made: StrataPublisher) -> None:
    async with asyncio.timeout(10):
        await made.publish()
        while ": 0 entries" not in repr(made):
            await asyncio.sleep(0.05)
            await made.publish()


@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_a_real_store_that_was_away_has_every_second_once(
    fresh_valkey: Server, log: StrataLog, how: str
) -> None:
    sums = StrataSums()
    made = publisher(sums, log)
    for sent in range(1000, 1012):
        if sent == 1004:
            fresh_valkey.kill() if how == "killed" else fresh_valkey.freeze()
        sums.put(said(sent, cell(arrived=sent)))
        await made.publish()
    fresh_valkey.start() if how == "killed" else fresh_valkey.thaw()
    await publish_until_taken(made)
    sums.put(said(1012, cell(arrived=1012)))
    await publish_until_taken(made)
    batches = await log.read("chat")
    arrived = [one.arrived for batch in batches for one in batch.cells]
    assert sorted(arrived) == list(range(1000, 1013))
    assert made.observed().dropped == 0

"""Numbers on their way from workers to control: none is told twice, and few are lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.metrics.strata import CellCounts
from gateway.process import link as module
from gateway.process.channel import Hello, Strata, Totals
from gateway.process.link import Link
from tests.process.test_feed import Channel, until


@pytest.fixture
async def channel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Channel]:
    monkeypatch.chdir(tmp_path)  # the path of a Unix socket must be short
    channel = Channel(Path())
    yield channel
    await channel.close()


class Heard:
    """What control has heard so far."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.seconds: list[int] = []

    def look(self) -> list[int]:
        self.seconds += [sent for sent, *_ in self._channel.feed.strata.take()]
        return self.seconds


def said(sent: int, note: str = "") -> Strata:
    return Strata(sent=sent, cells=(CellCounts(sent, "chat", "v1" + note, 1),))


async def test_a_connected_worker_is_heard_at_once(channel: Channel) -> None:
    heard = Heard(channel)
    worker = channel.worker(0)
    await until(lambda: len(channel.feed.workers) == 1, "the worker is connected")
    for sent in (1, 2):
        worker.link.say(said(sent))
    await until(lambda: heard.look() == [1, 2], "both seconds are there")


async def test_what_is_said_while_control_is_away_is_heard_once_by_the_next(
    channel: Channel,
) -> None:
    heard = Heard(channel)
    worker = channel.worker(0)
    await until(lambda: len(channel.feed.workers) == 1, "the worker is connected")
    worker.link.say(said(1))
    await until(lambda: heard.look() == [1], "the first second is there")
    await channel.end_control()
    await until(lambda: "connected: False" in repr(worker.link), "the worker has noticed")
    for sent in range(2, 5):
        worker.link.say(said(sent))
    channel.start_control()
    await until(lambda: heard.look() == [1, 2, 3, 4], "the others are there too")
    worker.link.say(said(5))
    await until(lambda: heard.look() == [1, 2, 3, 4, 5], "and it goes on")
    assert worker.link.dropped == 0


async def test_a_worker_that_ends_says_what_it_could_not_say(channel: Channel) -> None:
    heard = Heard(channel)
    worker = channel.worker(0)
    await until(lambda: len(channel.feed.workers) == 1, "the worker is connected")
    await channel._end(worker)
    worker.link.say(said(7))
    await worker.link.finish()
    await until(lambda: heard.look() == [7], "its last second is there")


def test_of_a_control_that_stays_away_the_last_two_minutes_are_kept() -> None:
    link = Link("nowhere", Hello(worker=0, pid=1, born=1), lambda _: None, Totals)
    for sent in range(150):
        link.say(said(sent))
    assert link.dropped == 30


async def test_a_control_that_stands_still_does_not_fill_the_workers_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_UNREAD_BYTES", 1000)
    monkeypatch.chdir(tmp_path)
    is_over = asyncio.Event()

    async def stand_still(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await is_over.wait()
        writer.close()

    async with await asyncio.start_unix_server(stand_still, "c", limit=1024):
        link = Link("c", Hello(worker=0, pid=1, born=1), lambda _: None, Totals)
        following = asyncio.create_task(link.run())
        await until(lambda: "connected: True" in repr(link), "it is connected")
        async with asyncio.timeout(10):
            while not link.dropped:
                link.say(said(1, "x" * 60_000))
                await asyncio.sleep(0)
        following.cancel()
        is_over.set()
        with contextlib.suppress(asyncio.CancelledError):
            await following

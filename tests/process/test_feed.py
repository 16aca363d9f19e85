"""The channel between control and workers, with real sockets on both ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from gateway.errors import ChannelError
from gateway.process.channel import (
    FrameReader,
    Hello,
    Holds,
    Totals,
    Update,
    decode_for_worker,
    encode,
)
from gateway.process.feed import Feed
from gateway.process.link import Link
from gateway.process.picture import Picture
from gateway.routing.table import Identity
from gateway.state.snapshot import MemberList
from tests.process.snapshots import WHITELIST, packed, small_list, snapshot, spec


async def until(condition: Callable[[], bool], what: str) -> None:
    try:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110  # it is the code under test that changes it
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"within 10 s: {what}") from None


class Channel:
    """A listening socket as the supervisor has it, and whoever serves or uses it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = str(folder / "c")
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(self.path)
        self.listening.listen(100)
        self._tasks: dict[object, asyncio.Task[None]] = {}
        self.feed = self.start_control()

    def start_control(self) -> Feed:
        self.feed = Feed(self.listening.dup(), self.folder)
        self._tasks[self.feed] = asyncio.create_task(self.feed.run())
        return self.feed

    async def end_control(self) -> None:
        await self._end(self.feed)

    async def _end(self, who: object) -> None:
        task = self._tasks.pop(who)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    def worker(self, index: int, born: int = 1) -> FakeWorker:
        worker = FakeWorker(self.path, index, born)
        self._tasks[worker] = asyncio.create_task(worker.link.run())
        return worker

    async def end_worker(self, worker: FakeWorker) -> None:
        await self._end(worker)
        await worker.link.finish()

    async def close(self) -> None:
        for who in list(self._tasks):
            await self._end(who)
        self.listening.close()


class FakeWorker:
    """The worker's own link and picture, without the process around them."""

    def __init__(self, path: str, index: int, born: int) -> None:
        self.picture = Picture(Identity())
        self.updates: list[Update] = []
        self.refuse_next = False
        self.counted = Totals()
        hello = Hello(worker=index, pid=os.getpid(), born=born, knows_heard=True)
        self.link = Link(path, hello, self._take, lambda: self.counted)

    def _take(self, update: Update) -> None:
        if self.refuse_next:
            self.refuse_next = False
            raise ChannelError("not this one")
        self.picture.apply(update)
        self.updates.append(update)

    def holds(self, sequence: int) -> bool:
        return self.sequence == sequence

    @property
    def sequence(self) -> int | None:
        return None if self.picture.table is None else self.picture.table.sequence


@pytest.fixture
async def channel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Channel]:
    monkeypatch.chdir(tmp_path)  # the path of a Unix socket must be short
    channel = Channel(Path())
    yield channel
    await channel.close()


def held(channel: Channel) -> list[int | None]:
    return [worker.sequence for worker in channel.feed.workers]


async def test_two_workers_get_the_same_update_and_say_that_they_hold_it(channel: Channel) -> None:
    workers = [channel.worker(0), channel.worker(1)]
    channel.feed.publish(snapshot(4, [spec(v2=5.0)], [small_list(b"alice")]))
    await until(lambda: held(channel) == [4, 4], "both hold 4")
    assert workers[0].updates == workers[1].updates
    assert [len(worker.updates) for worker in workers] == [1, 1]
    assert {(state.worker, state.pid) for state in channel.feed.workers} == {
        (0, os.getpid()),
        (1, os.getpid()),
    }


async def test_a_worker_hears_that_control_is_at_work_before_there_is_a_table(
    channel: Channel,
) -> None:
    channel.start_control()
    worker = channel.worker(0)
    await until(worker.link.was_heard.is_set, "it was heard")
    assert worker.sequence is None


async def test_a_worker_of_the_release_before_hears_nothing_that_it_cannot_read(
    channel: Channel,
) -> None:
    channel.feed.publish(snapshot(1, [spec()], []))
    reader, writer = await asyncio.open_unix_connection(channel.path)
    writer.write(encode(Hello(worker=0, pid=1, born=1)))
    length = int.from_bytes(await reader.readexactly(4), "big")
    assert isinstance(decode_for_worker(await reader.readexactly(length)), Update)
    writer.close()


async def test_a_change_of_weight_does_not_send_lists_again(channel: Channel) -> None:
    worker = channel.worker(0)
    members = small_list(*(f"user-{number}".encode() for number in range(10_000)))
    channel.feed.publish(snapshot(1, [spec()], [members]))
    await until(lambda: held(channel) == [1], "1 is held")
    channel.feed.publish(snapshot(2, [spec(v2=50.0)], [members]))
    await until(lambda: held(channel) == [2], "2 is held")
    assert worker.updates[1] == Update(sequence=2, routes=(spec(v2=50.0),))


async def test_a_worker_that_comes_later_gets_everything(channel: Channel) -> None:
    channel.feed.publish(snapshot(1, [spec()], [small_list(b"alice")]))
    first = channel.worker(0)
    await until(lambda: held(channel) == [1], "the first holds 1")
    channel.feed.publish(snapshot(2, [spec(v2=50.0)], [small_list(b"alice")]))
    await until(lambda: held(channel) == [2], "the first holds 2")
    second = channel.worker(1)
    await until(lambda: held(channel) == [2, 2], "both hold 2")
    assert [update.is_full for update in first.updates] == [True, False]
    assert [update.is_full for update in second.updates] == [True]


async def test_the_file_of_an_old_list_goes_when_all_have_mapped_the_new_one(
    channel: Channel,
) -> None:
    channel.worker(0)
    channel.feed.publish(snapshot(1, [spec()], [MemberList(WHITELIST, packed(1000), 1)]))
    await until(lambda: held(channel) == [1], "1 is held")
    [old] = Path().glob("list-*.table")
    channel.feed.publish(snapshot(2, [spec()], [MemberList(WHITELIST, packed(2000), 2)]))
    await until(lambda: held(channel) == [2], "2 is held")
    await until(lambda: not old.exists(), "the old file is gone")
    assert len(list(Path().glob("list-*.table"))) == 1


async def test_a_file_stays_while_a_worker_may_still_have_to_map_it(channel: Channel) -> None:
    _, writer = await asyncio.open_unix_connection(channel.path)
    writer.write(encode(Hello(worker=0, pid=1, born=1)))
    quick = channel.worker(1)
    channel.feed.publish(snapshot(1, [spec()], [MemberList(WHITELIST, packed(1000), 1)]))
    await until(lambda: quick.sequence == 1, "the quick one holds 1")
    [old] = Path().glob("list-*.table")
    channel.feed.publish(snapshot(2, [spec()], [MemberList(WHITELIST, packed(2000), 2)]))
    await until(lambda: held(channel) == [None, 2], "the quick one holds 2")
    assert old.exists()
    writer.write(encode(Holds(sequence=2)))
    await until(lambda: not old.exists(), "the old file is gone")
    writer.close()


async def test_a_worker_that_does_not_read_holds_up_nobody_and_then_gets_the_newest(
    channel: Channel,
) -> None:
    slow_reader, slow_writer = await asyncio.open_unix_connection(channel.path, limit=1024)
    slow_writer.write(encode(Hello(worker=0, pid=1, born=1)))
    ids = [f"user-{number:050d}".encode() for number in range(30_000)]
    members = small_list(*ids)
    channel.feed.publish(snapshot(1, [spec()], [members]))
    await until(lambda: len(channel.feed.workers) == 1, "the slow worker is connected")
    quick = channel.worker(1)
    for sequence in range(2, 40):
        members = replace(members, generation=sequence)
        channel.feed.publish(snapshot(sequence, [spec(v2=float(sequence))], [members]))
        await until(partial(quick.holds, sequence), "the quick one keeps up")
    frames = FrameReader()
    updates: list[Update] = []
    while not updates or updates[-1].sequence < 39:
        async with asyncio.timeout(10):
            data = await slow_reader.read(1 << 20)
        messages = [decode_for_worker(body) for body in frames.feed(data)]
        updates += [one for one in messages if isinstance(one, Update)]
    # What fits into the buffers was sent while it slept; all the rest is one step.
    assert len(updates) <= 4
    assert updates[-1].routes == (spec(v2=39.0),)
    slow_writer.write(encode(Holds(sequence=39)))
    await until(lambda: held(channel) == [39, 39], "both hold the newest")
    slow_writer.close()


async def test_workers_keep_their_table_without_control_and_a_new_control_feeds_them(
    channel: Channel,
) -> None:
    worker = channel.worker(0)
    channel.feed.publish(snapshot(7, [spec()], [small_list(b"alice")]))
    await until(lambda: held(channel) == [7], "7 is held")
    await channel.end_control()
    assert worker.sequence == 7
    channel.start_control()
    await until(lambda: len(channel.feed.workers) == 1, "the worker is back")
    assert worker.sequence == 7
    channel.feed.publish(snapshot(1, [spec(v2=30.0)]))
    await until(lambda: worker.sequence == 1, "the new control's numbers count")
    assert worker.updates[-1].is_full
    assert worker.picture.table is not None
    assert worker.picture.table.routes["chat"].spec.weights == {"v2": 30.0}


async def test_a_worker_that_cannot_follow_asks_for_everything(channel: Channel) -> None:
    worker = channel.worker(0)
    channel.feed.publish(snapshot(1, [spec()]))
    await until(lambda: held(channel) == [1], "1 is held")
    worker.refuse_next = True
    channel.feed.publish(snapshot(2, [spec(v2=20.0)]))
    await until(lambda: held(channel) == [2], "2 is held in the end")
    assert [update.is_full for update in worker.updates] == [True, True]


async def test_counts_arrive_and_are_kept_when_the_worker_ends(channel: Channel) -> None:
    worker = channel.worker(0)
    await until(lambda: len(channel.feed.workers) == 1, "the worker is connected")
    worker.counted = Totals(decisions=(("chat", "v2", "weight", 3),))
    await until(lambda: channel.feed.ledger.decisions() != {}, "the counts are there")
    worker.counted = Totals(decisions=(("chat", "v2", "weight", 4),))
    await channel.end_worker(worker)
    wanted = {("chat", "v2", "weight"): 4}
    await until(lambda: channel.feed.ledger.decisions() == wanted, "the last word is there")


async def test_counts_survive_a_control_that_is_killed(channel: Channel) -> None:
    gone, stays = channel.worker(0), channel.worker(1)
    gone.counted = Totals(decisions=(("chat", "v2", "weight", 3),))
    stays.counted = Totals(decisions=(("chat", "v2", "weight", 4),))
    wanted = {("chat", "v2", "weight"): 7}
    await until(lambda: channel.feed.ledger.decisions() == wanted, "both are counted")
    await channel.end_control()
    await channel._end(gone)  # while nobody hears it
    feed = channel.start_control()
    assert feed.ledger.decisions() == wanted
    await until(lambda: len(feed.workers) == 1, "the one that stays is back")
    stays.counted = Totals(decisions=(("chat", "v2", "weight", 5),))
    wanted = {("chat", "v2", "weight"): 8}
    await until(lambda: feed.ledger.decisions() == wanted, "it is counted once")


async def test_the_last_word_waits_for_a_control_that_is_being_replaced(channel: Channel) -> None:
    worker = channel.worker(0)
    await until(lambda: len(channel.feed.workers) == 1, "the worker is connected")
    await channel.end_control()
    await channel._end(worker)
    worker.counted = Totals(decisions=(("chat", "v2", "weight", 4),))
    saying = asyncio.create_task(worker.link.finish())
    await asyncio.sleep(0)
    feed = channel.start_control()
    await saying
    wanted = {("chat", "v2", "weight"): 4}
    await until(lambda: feed.ledger.decisions() == wanted, "the last word is there")


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\0\0",
        b"\0\0\0\1\xc1",
        b"\xff\xff\xff\xff",
        encode(Holds(sequence=1)),
        encode(Hello(worker=0, pid=1, born=1, protocol=99)),
        encode(Hello(worker=0, pid=1, born=1)) * 2,
        encode(Hello(worker=0, pid=1, born=1))[:-1],
    ],
)
async def test_nonsense_on_the_channel_ends_that_connection_and_no_other(
    channel: Channel, sent: bytes
) -> None:
    worker = channel.worker(3)
    channel.feed.publish(snapshot(1, [spec()]))
    await until(lambda: held(channel) == [1], "1 is held")
    reader, writer = await asyncio.open_unix_connection(channel.path)
    writer.write(sent)
    writer.write_eof()
    async with asyncio.timeout(10):
        await reader.read()
    writer.close()
    await until(lambda: len(channel.feed.workers) == 1, "only the good one is left")
    channel.feed.publish(snapshot(2, [spec()]))
    await until(lambda: worker.sequence == 2, "the good one goes on")


async def test_a_full_disk_delays_and_does_not_end_the_feeding(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = channel.worker(0)
    failures = [OSError(28, "No space left on device")]
    write_missing = channel.feed._files.write_missing

    def full_once(wanted: object) -> None:
        if failures:
            raise failures.pop()
        write_missing(wanted)  # type: ignore[arg-type]

    monkeypatch.setattr(channel.feed._files, "write_missing", full_once)
    monkeypatch.setattr(channel.feed._files, "is_missing_any", lambda wanted: True)
    channel.feed.publish(snapshot(1, [spec()]))
    await until(lambda: worker.sequence == 1, "it arrives after all")
    assert failures == []

"""A worker's end of the channel."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from gateway.process.channel import (
    Ends,
    FrameReader,
    Hello,
    Kept,
    Strata,
    ToControl,
    Totals,
    Update,
    decode_for_control,
    encode,
)
from gateway.process.link import Link

SECONDS = 5.0


def ignore(_update: Update) -> None:
    return


class Control:
    """Accepts one connection after the other and hangs up when it is told to."""

    def __init__(self) -> None:
        self.has_heard = asyncio.Event()
        self._hang_up = asyncio.Event()

    def hang_up(self) -> None:
        self._hang_up.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        self.has_heard.set()
        await self._hang_up.wait()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@pytest.mark.parametrize("steps", range(12))
async def test_a_worker_that_must_end_just_when_control_goes_does_end(
    tmp_path: Path, steps: int
) -> None:
    control = Control()
    path = str(tmp_path / "c")
    async with await asyncio.start_unix_server(control.serve, path) as server:
        link = Link(path, Hello(worker=0, pid=1, born=1), ignore, Totals)
        following = asyncio.create_task(link.run())
        await asyncio.wait_for(control.has_heard.wait(), SECONDS)
        server.close()
        control.hang_up()
        for _ in range(steps):  # one of them is the moment in which it clears up
            await asyncio.sleep(0)
        following.cancel()
        ended, _ = await asyncio.wait([following], timeout=SECONDS)
        if not ended:
            following.cancel()  # it has forgotten that it was told so before
        assert ended
        assert following.cancelled()


async def test_what_may_be_lost_is_offered_only_where_there_is_room(tmp_path: Path) -> None:
    control = Control()
    path = str(tmp_path / "c")
    link = Link(path, Hello(worker=0, pid=1, born=1), ignore, Totals)
    assert not link.offer(b"x")  # nobody is there
    async with await asyncio.start_unix_server(control.serve, path) as server:
        following = asyncio.create_task(link.run())
        await asyncio.wait_for(control.has_heard.wait(), SECONDS)
        taken = 0
        while link.offer(bytes(64 * 1024)):  # it reads no more
            taken += 1
            assert taken < 1000
        assert taken
        server.close()
        control.hang_up()
        following.cancel()
        await asyncio.wait([following], timeout=SECONDS)


class Heirs:
    """One control after the other; all but the last end before they have read anything."""

    def __init__(self, dying: int) -> None:
        self._dying = dying
        self.connections = 0
        self.heard: list[ToControl] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self.connections > self._dying:
            frames = FrameReader()
            while not any(isinstance(one, Ends) for one in self.heard):
                data = await reader.read(65536)
                self.heard += [decode_for_control(body) for body in frames.feed(data)]
            writer.write(encode(Update(sequence=1, is_full=True)) + encode(Kept()))
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def test_the_last_counts_are_said_until_a_control_confirms_that_it_has_them(
    tmp_path: Path,
) -> None:
    heirs = Heirs(dying=3)
    path = str(tmp_path / "c")
    counts = Totals(decisions=(("chat", "v1", "split", 7),))
    strata = Strata(sent=1)
    async with await asyncio.start_unix_server(heirs.serve, path):
        link = Link(path, Hello(worker=0, pid=1, born=1), ignore, lambda: counts)
        link.say(strata)
        await asyncio.wait_for(link.finish(), SECONDS)
    assert heirs.connections == 4
    hello, *said = heirs.heard
    assert isinstance(hello, Hello)
    assert said == [counts, strata, Ends()]

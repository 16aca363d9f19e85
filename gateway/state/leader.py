"""One gateway among many acts for all: it holds a lease, and it records edits made by hand.

The lease carries a term that only grows, also when the store loses it. Whatever the leader writes
names its term, and the write script refuses any other: a leader that was paused and comes back
cannot act any more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import cast

from gateway.errors import ConflictError, RefusedError, StoreError, StoreUnavailable
from gateway.state.history import Delta
from gateway.state.keeper import Keeper
from gateway.state.keys import Keys
from gateway.state.link import Link
from gateway.state.members import ListReader
from gateway.state.reader import of_other_type
from gateway.state.script import LEASE
from gateway.state.segments import Segments
from gateway.state.write import Author, Writer

log = logging.getLogger("graygate.state")

LEASE_SECONDS = 6.0
RENEW_SECONDS = 2.0
SETTLE_SECONDS = 0.05

BY_HAND = Author(by="redis", via="redis", why="edited in the store")


class Leader:
    """Tries for the lease; `term` is 0 while another gateway leads or the store is away."""

    def __init__(self, link: Callable[[], Awaitable[Link]], keys: Keys, own_id: str) -> None:
        self._link = link
        self._keys = keys
        self._own_id = own_id
        self.term = 0
        self.why_not = ""
        self.is_another_leading = False  # by the last answer of the store

    async def run(self) -> None:
        while True:
            await self.try_once()
            await asyncio.sleep(RENEW_SECONDS)

    async def try_once(self) -> None:
        term, why_not = 0, "another gateway leads"
        try:
            term = await self._ask(LEASE_SECONDS)
            self.is_another_leading = not term
        except StoreError as error:
            why_not = self._words(error)
            # Of a store that is away the watch tells; and that another one leads is no trouble.
            if not isinstance(error, StoreUnavailable) and why_not != self.why_not:
                log.warning("Nobody can lead, so edits made by hand are not recorded: %s", why_not)
        self.why_not = "" if term else why_not
        if term != self.term:
            log.info("Leading, term %d", term) if term else log.info("Not leading any more")
        self.term = term

    def _words(self, error: StoreError) -> str:
        return str(of_other_type(error, self._keys.leader, "string"))

    async def resign(self) -> None:
        """Give the lease back, so that another gateway need not wait for its end."""
        if self.term:
            self.term = 0
            await self._ask(0)

    async def _ask(self, seconds: float) -> int:
        link = await self._link()
        words: tuple[str | int, ...] = (
            self._own_id, int(seconds * 1000), int(self.is_another_leading)
        )  # fmt: skip
        return cast("int", await link.script(LEASE, [self._keys.leader], words))


class Recorder:
    """Gives every valid edit that the history does not hold an entry, made by `redis`."""

    def __init__(
        self,
        keeper: Keeper,
        lists: ListReader,
        writer: Writer,
        segments: Segments,
        leader: Leader,
    ) -> None:
        self._keeper = keeper
        self._segments = segments
        self._lists = lists
        self._writer = writer
        self._leader = leader
        self._woken = asyncio.Event()
        self._said = ""

    def wake(self) -> None:
        """Something changed: see whether the history knows."""
        self._woken.set()

    async def run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(RENEW_SECONDS):
                    await self._woken.wait()
            except TimeoutError:
                pass
            # Deciding by a change comes first; noting it down may wait this long.
            await asyncio.sleep(SETTLE_SECONDS)
            self._woken.clear()
            if self._leader.term:
                await self._record_all()

    async def _record_all(self) -> None:
        pending = self._lists.pending
        routes = sorted(self._keeper.unrecorded | pending.routes)
        records = [partial(self._record, name) for name in routes]
        records += [partial(self._record_segment, name) for name in sorted(pending.segments)]
        for record in records:
            try:
                await record()
            except (ConflictError, RefusedError):
                continue  # somebody wrote, or leads, or broke a key: the next reading tells
            except StoreUnavailable:
                return  # the watch reports a store that is away
            except StoreError as error:
                if str(error) != self._said:
                    log.warning("Edits made by hand cannot be recorded: %s", error)
                self._said = str(error)

    async def _record_segment(self, name: str) -> None:
        delta = Delta() if self._lists.is_scanning else self._lists.pending.next_of_segment(name)
        if delta:
            seen, term = self._lists.seen_segment(name), str(self._leader.term)
            await self._segments.record(name, delta, BY_HAND, seen, term)
            self._lists.pending.settle(f"segment/{name}", delta)

    async def _record(self, name: str) -> None:
        reading = self._keeper.reading(name)
        held = self._keeper.current.routes.get(name)
        if reading is None or held is None or reading.raw.history_problem is not None:
            return
        if held.spec is not reading.verdict.spec:
            return  # not in force (a stale store, a list that cannot be read): nothing to record
        if self._lists.seen_route(name) != reading.raw.revision:
            return  # entries were written that we have not heard: they may tell what is pending
        # What is left stays pending, and is recorded when the watch has seen this entry. Nobody who
        # waits for a list to be in force should wait for the history of another edit.
        pending = {} if self._lists.is_scanning else self._lists.pending.next_of(name)
        if reading.is_recorded and not pending:
            return
        term = str(self._leader.term)
        if await self._writer.record(reading.raw, BY_HAND, pending, term) is not None:
            for one, delta in pending.items():
                self._lists.pending.settle(one, delta)

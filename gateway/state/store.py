"""The store as the control process sees it: one object that follows, remembers and writes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Set
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from gateway.config.settings import Redis
from gateway.errors import StoreError, StoreUnavailable
from gateway.state.address import open_link
from gateway.state.answers import Answers
from gateway.state.audit import AuditTrail
from gateway.state.instances import Instances
from gateway.state.keeper import Keeper, Reading
from gateway.state.keys import Keys, Part
from gateway.state.lastgood import LastGood
from gateway.state.leader import Leader, Recorder
from gateway.state.link import Link
from gateway.state.members import ListReader
from gateway.state.proposals import Proposals
from gateway.state.release import ReleaseStore
from gateway.state.repopulate import repopulate
from gateway.state.segments import Segments
from gateway.state.snapshot import Refusal, Snapshot
from gateway.state.status import StoreStatus
from gateway.state.token_writer import TokenWriter
from gateway.state.tokens import TokenBook
from gateway.state.versions import UrlRule
from gateway.state.watch import Watch
from gateway.state.write import Author, Writer

log = logging.getLogger("graygate.state")

SAVE_AFTER_SECONDS = 0.25
SAVE_SECONDS = 1.0  # at most one save in so many seconds


class WorkLink:
    """A connection beside the watch's: opened when needed, never two at once."""

    def __init__(self, settings: Redis) -> None:
        self._settings = settings
        self._link: Link | None = None
        self._opening = asyncio.Lock()
        self._failed_at = 0.0
        self._failure = ""

    async def get(self) -> Link:
        async with self._opening:
            if self._link is not None and not self._link.is_closed:
                return self._link
            if time.monotonic() - self._failed_at < self._settings.timeout_seconds:
                raise StoreUnavailable(self._failure)
            try:
                self._link = await open_link(self._settings)
            except StoreError as error:
                self._failed_at, self._failure = time.monotonic(), str(error)
                raise
            return self._link

    async def close(self) -> None:
        if self._link is not None:
            self._link.close()
            await self._link.wait_closed()


class Store:
    """Follows the live routing state; `snapshot` is in force, `writer` changes it."""

    def __init__(
        self,
        settings: Redis,
        state_dir: Path | None,
        own_id: str,
        wrong_place: UrlRule | None = None,
    ) -> None:
        self.status = StoreStatus()
        self.keys = Keys(settings.prefix)
        self._last_good = LastGood(state_dir) if state_dir else None
        self._work = WorkLink(settings)
        self._keeper = Keeper(self.keys, self._load(), wrong_place)
        # Of its own: behind the writes of an import a scan would not get on.
        self._scans = WorkLink(settings)
        self._lists = ListReader(self.keys, self._keeper, self._scans.get, self._publish)
        self.tokens = TokenBook(self.keys, self._tell)
        self._release_ears: list[Callable[[str, Part], None]] = []
        self._watch = Watch(
            settings, self._keeper, self._lists, self.tokens, self.status, self._publish,
            self._tell_release,
        )  # fmt: skip
        self.writer = Writer(
            self._work.get, self.keys, lambda name: name in self.snapshot.routes, wrong_place
        )
        self.segments = Segments(self._work.get, self.keys, lambda: self.snapshot)
        self.releases = ReleaseStore(self._work.get, self.keys)
        self.answers = Answers(self._work.get, self.keys)
        self.proposals = Proposals(self._work.get, self.keys)
        self.audit = AuditTrail(self._work.get, self.keys)
        self.token_writer = TokenWriter(self._work.get, self.keys, self.tokens, self.audit)
        self.leader = Leader(self._work.get, self.keys, own_id)
        self.instances = Instances(self._work.get, self.keys, own_id, lambda: self.snapshot)
        self._recorder = Recorder(
            self._keeper, self._lists, self.writer, self.segments, self.leader
        )
        self._subscribers: list[Callable[[Snapshot], None]] = []
        self._published: Snapshot = self._keeper.current
        self._to_save: Snapshot = self._keeper.current
        self._said: frozenset[Refusal] = frozenset()
        self._is_confirmed = False  # a store has told us everything at least once
        self._unsaved = asyncio.Event()

    @property
    def snapshot(self) -> Snapshot:
        return self._keeper.current

    @property
    def unrecorded(self) -> Set[str]:
        """Routes whose valid form their history does not know; what is refused is no change."""
        readings = {name: self._keeper.reading(name) for name in self._keeper.unrecorded}
        return {name for name, one in readings.items() if one and one.verdict.spec is not None}

    def reading(self, name: str) -> Reading | None:
        """What the newest reading of a route said, accepted or not."""
        return self._keeper.reading(name)

    @property
    def read_names(self) -> frozenset[str]:
        """The routes that the store names, valid or not."""
        return self._keeper.names

    async def link(self) -> Link:
        """The connection for occasional reading, such as a history."""
        return await self._work.get()

    async def repopulate(self, author: Author) -> dict[str, int]:
        """Put what is in force back into a store that lost it; route -> new revision."""
        link = await self._work.get()
        return await repopulate(link, self._keeper, self._lists, self.writer, author)

    def subscribe(self, callback: Callable[[Snapshot], None]) -> None:
        """`callback` is called with every new snapshot, and now if there is one already."""
        self._subscribers.append(callback)
        if self.status.is_loaded:
            callback(self.snapshot)

    def subscribe_releases(self, callback: Callable[[str, Part], None]) -> None:
        """`callback` is told of which route the release, strata or commands were written.

        "" stands for which releases run. Told as far as the store pushes: a hint, not a promise.
        """
        self._release_ears.append(callback)

    async def run(self) -> None:
        """Follow the store until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._watch.run())
                tasks.create_task(self._lists.run())
                tasks.create_task(self.leader.run())
                tasks.create_task(self._recorder.run())
                tasks.create_task(self.instances.run())
                tasks.create_task(self.audit.run())
                tasks.create_task(self._save_changes())
        finally:
            with suppress(StoreError):  # then lease and entry run out by themselves
                await self.leader.resign()
                await self.instances.leave()
            await self._work.close()
            await self._scans.close()

    def _tell_release(self, route: str, part: Part) -> None:
        for ear in self._release_ears:
            ear(route, part)

    # The table in force

    def _publish(self) -> None:
        """Swap in what was read, and tell everybody when that is something new."""
        is_first = not self._is_confirmed
        snapshot = self._keeper.snapshot()
        if self.status.synced_at:
            self._is_confirmed = True
            self.status.is_from_disk = False
        self._recorder.wake()
        if snapshot is self._published and not is_first:
            return
        self._published = snapshot
        self.status.successes += 1
        self.status.changed_at = time.time()
        self._tell()
        for callback in self._subscribers:
            callback(snapshot)
        # Of this very moment: what the lists gain after it is not part of what is saved.
        self._to_save = replace(snapshot, behind=self._lists.behind(snapshot.routes))
        self._unsaved.set()

    def _tell(self) -> None:
        """Log and count each refusal once, when it appears."""
        warnings = self.snapshot.warnings
        refused = (*self.snapshot.refused, *self.tokens.refused)
        for word, found in (("Refused", refused), ("Doubtful", warnings)):
            for refusal in found:
                if refusal in self._said:
                    continue
                if word == "Refused":
                    self.status.rejected[refusal.route, refusal.reason] += 1
                log.warning(
                    "%s %s: %s",
                    word,
                    refusal.key,
                    refusal.text,
                    extra={"event": "refused", "route": refusal.route, "reason": refusal.reason},
                )
        self._said = frozenset((*refused, *warnings))

    # Disk

    def _load(self) -> Snapshot | None:
        if self._last_good is None:
            return None
        snapshot, problem = self._last_good.load()
        if problem is not None and problem != self._last_good.missing:
            log.warning("The last good table %s", problem)
        self.status.is_from_disk = snapshot is not None
        return snapshot

    async def _save_changes(self) -> None:
        if self._last_good is None:
            return
        is_working = True
        while True:
            await self._unsaved.wait()
            # In a thread, and yet it would make what brings the change to the workers wait.
            try:
                await asyncio.sleep(SAVE_AFTER_SECONDS)
            except asyncio.CancelledError:
                with suppress(OSError):
                    self._last_good.save(self._to_save)
                raise
            self._unsaved.clear()
            try:
                await asyncio.to_thread(self._last_good.save, self._to_save)
                is_working = True
            except OSError as error:
                if is_working:
                    log.warning("The last good table cannot be saved: %s", error)
                is_working = False
            await asyncio.sleep(SAVE_SECONDS)

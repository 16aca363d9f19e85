"""Large lists: a packed table each, brought up to date by what the history tells, or read anew.

Theory of operation. What our own tools do to a list stands in its history, so it needs no reading:
a few ids are laid over the table, many are put into a copy of it. Either is done only when the
store holds just as many ids as follow from it, counted in one step with the revision. Whatever is
not explained like this is a change by hand: then the whole set is scanned, in slices, on the work
connection, while the watch goes on. After an import, when nothing has come for a while, the list is
scanned once more: a hand that took as many ids off as it put on is found then.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from gateway.errors import StoreError, StoreUnavailable
from gateway.routing.lists import PackedTable, TableBuilder
from gateway.state.hearing import Hearing
from gateway.state.history import Delta, combine
from gateway.state.link import Link
from gateway.state.listed import Listed
from gateway.state.reconcile import digest_of, overlaid
from gateway.state.scan import IdTooLong, Scanned, apply, difference, scan
from gateway.state.snapshot import MemberList

log = logging.getLogger("graygate.state")

MAX_OVERLAY_IDS = 5_000  # each worker unpacks them; more are put into the table, at leisure
QUIET_SECONDS = 1.0  # with no further entry: an import is over
FOLD_PAUSE_SECONDS = 1.0  # each time all workers get another table
AGAIN_SECONDS = 1.0


@dataclass(slots=True)
class _Comparison:
    """A list before, its ids if they are known, the list after, and what was told in between."""

    before: MemberList
    slices: tuple[bytes, ...] | None
    after: Scanned
    told: list[Delta]
    since: list[Delta] = field(default_factory=list)  # told later, and part of the list by now


class LargeLists:
    """Keeps the large lists; `run` does what takes long."""

    def __init__(
        self,
        listed: Listed,
        hearing: Hearing,
        work_link: Callable[[], Awaitable[Link]],
        publish: Callable[[], None],
    ) -> None:
        self._listed = listed
        self._keeper = listed.keeper
        self._hearing = hearing
        self._work_link = work_link
        self._publish = publish
        self.slices: dict[str, tuple[bytes, ...]] = {}
        self._looked: dict[str, int] = {}  # how often the list was told of when we looked last
        self._to_scan: dict[str, None] = {}
        self._scanning = ""
        self._to_fold: dict[str, None] = {}
        self._folding = ""
        self._to_verify: dict[str, None] = {}
        self._verifying: set[str] = set()  # the scans that nobody waits for
        self._work_wanted = asyncio.Event()
        self._verify_wanted = asyncio.Event()
        self._scans_done = asyncio.Event()
        self._to_compare: deque[_Comparison] = deque()
        self._compare_wanted = asyncio.Event()

    def __repr__(self) -> str:
        counts = (len(self.slices), len(self._to_scan), len(self._to_fold), len(self._to_compare))
        return "<LargeLists: {} known, {} to scan, {} to fold, {} to compare>".format(*counts)

    @property
    def is_scanning(self) -> bool:
        """Whether somebody waits for a large list to be in force."""
        return bool(self._scanning or self._to_scan)

    @property
    def is_idle(self) -> bool:
        """Whether all is in force, looked through and compared."""
        waiting = self._to_fold or self._to_verify or self._to_compare
        return not (self.is_scanning or self._folding or waiting or self._compare_wanted.is_set())

    def is_coming(self, name: str) -> bool:
        """Whether the list is about to be read, or brought up to date."""
        return name in self._to_scan or name == self._scanning or self._is_folding(name)

    def scan_soon(self, name: str) -> None:
        self._verifying.discard(name)
        self._to_scan[name] = None
        self._work_wanted.set()
        # At once: who waits for the scans would else find them done, and go round for ever.
        self._scans_done.clear()

    def drop_scan(self, name: str) -> None:
        """The list became small before anybody came to it."""
        self._to_scan.pop(name, None)

    async def explains(self, link: Link, name: str) -> bool:
        """Bring a list up to date by what the history told; False when that is not all."""
        held = self._keeper.members(name)
        if held is None or name in self._to_scan:
            return False
        is_packed = isinstance(held.base, PackedTable)
        if not is_packed and not self._hearing.size(name):
            return False
        if self._is_folding(name) or self._is_much(held) or not is_packed:
            self._fold_soon(name)  # once more, if need be: it counts for itself
            return True
        card, revision = await self._hearing.count(link, name)
        if held is not self._keeper.members(name) or self._is_much(held):
            self._fold_soon(name)
            return True
        self._listed.cards[name] = card
        has_news = self._hearing.times(name) != self._looked.get(name, 0)
        self._looked[name] = self._hearing.times(name)
        told = self._hearing.told(name, revision)
        updated = overlaid(held, told)
        if len(updated) != card:
            return False
        if not has_news:
            if self._hearing.quiet_seconds(name) > QUIET_SECONDS:
                return False  # as many came as went by hand, or it is time for an audit
            self._verify_soon(name)  # most likely we are told twice of what we know
        self._hearing.take(name, revision)
        self._note_since(name, told)
        self._keeper.take_list(updated)
        return True

    async def run(self) -> None:
        """Read large lists and bring them up to date, one after the other, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._run_work())
            tasks.create_task(self._run_verifications())
            tasks.create_task(self._run_comparisons())

    async def _run_work(self) -> None:
        while True:
            await self._work_wanted.wait()
            self._work_wanted.clear()
            while self._to_scan or self._to_fold:
                is_scan = bool(self._to_scan)
                waiting, work = (
                    (self._to_scan, self._scan) if is_scan else (self._to_fold, self._fold)
                )
                name = next(iter(waiting))
                del waiting[name]
                try:
                    await work(name)
                except StoreUnavailable as error:
                    log.warning("The list %s could not be read: %s", name, error)
                    waiting[name] = None
                    await asyncio.sleep(AGAIN_SECONDS)
                except StoreError as error:
                    self._listed.problem_of_reply(name, error)
                    self._publish()
                except IdTooLong as error:
                    self._listed.problem(name, "too_large", str(error))
                    self._publish()
                if not self._to_scan:
                    self._scans_done.set()

    # What the history tells

    def _is_folding(self, name: str) -> bool:
        return name in self._to_fold or name == self._folding

    def _is_much(self, held: MemberList) -> bool:
        return _size(held) + self._hearing.size(held.name) > MAX_OVERLAY_IDS

    def _fold_soon(self, name: str) -> None:
        self._to_fold[name] = None
        self._work_wanted.set()

    async def _fold(self, name: str) -> None:
        """Put what was told into a copy of the table."""
        self._folding = name
        try:
            await self._fold_now(name)
        finally:
            self._folding = ""
        if name in self._to_fold and not self._to_scan:
            await asyncio.sleep(FOLD_PAUSE_SECONDS)

    async def _fold_now(self, name: str) -> None:
        card, revision = await self._hearing.count(await self._work_link(), name)
        held = self._keeper.members(name)
        self._listed.cards[name] = card
        if held is None or self._listed.is_small(name):
            return
        self._looked[name] = self._hearing.times(name)
        told = self._hearing.told(name, revision)
        slices = self.slices.get(name)
        if not isinstance(held.base, PackedTable) or _size(held) + _size(told) > MAX_OVERLAY_IDS:
            table, slices = await _packed(held, told, slices)
            updated = MemberList(name, table, next(self._listed.generations))
        else:
            updated = overlaid(held, told)
        if len(updated) != card:
            self.scan_soon(name)
            return
        if self._keeper.members(name) is not held:
            return  # it became small, or nobody needs it any more
        self._verify_soon(name)
        if slices is not None:
            self.slices[name] = slices
        self._hearing.take(name, revision)
        self._note_since(name, told)
        self._keeper.take_list(updated)
        self._publish()

    def _note_since(self, name: str, told: Delta) -> None:
        for waiting in self._to_compare:
            if waiting.before.name == name and told:
                waiting.since.append(told)

    # Looking through

    def _verify_soon(self, name: str) -> None:
        self._to_verify[name] = None
        self._verify_wanted.set()

    async def _run_verifications(self) -> None:
        while True:
            await self._verify_wanted.wait()
            await asyncio.sleep(QUIET_SECONDS)
            for name in list(self._to_verify):
                if self._hearing.quiet_seconds(name) >= QUIET_SECONDS:
                    del self._to_verify[name]
                    if isinstance(getattr(self._keeper.members(name), "base", None), PackedTable):
                        self.scan_soon(name)
                        self._verifying.add(name)
            if not self._to_verify:
                self._verify_wanted.clear()

    def _is_worth_it(self, name: str) -> bool:
        """While another import runs, what is told would pile up behind a mere look."""
        return name not in self._verifying or self._hearing.size(name) <= MAX_OVERLAY_IDS

    async def _scan(self, name: str) -> None:
        """Read a large list whole, and take it unless it became small or was lost meanwhile."""
        link = await self._work_link()
        hearing = self._hearing
        await hearing.hear_list(link, name)
        self._scanning = name
        hearing.open_window(name)
        try:
            expected = self._listed.cards.get(name, 0)
            scanned = await scan(
                link, self._listed.key(name), expected, lambda: self._is_worth_it(name)
            )
            if scanned is None:
                self._verify_soon(name)
                return
            builder, slices = scanned
            stands = await self._listed.stands(link, name)
            # Of what was written while we read we must have heard before we judge what we read.
            await hearing.hear_list(link, name)
            while window := hearing.drain_window():
                await apply(builder, window, slices)
        finally:
            hearing.close_window()
            self._scanning = ""
            if name not in self._to_scan:
                self._verifying.discard(name)
        if stands and not self._listed.is_small(name):
            self._take_scanned(name, Scanned(builder.finish(), tuple(slices)))

    def _take_scanned(self, name: str, scanned: Scanned) -> None:
        before, slices_before = self._keeper.members(name), self.slices.get(name)
        told = self._hearing.take(name)
        self._looked[name] = self._hearing.times(name)
        self.slices[name] = scanned.slices
        after = MemberList(name, scanned.table, next(self._listed.generations))
        if before is not None:
            expected = overlaid(before, told)
            if digest_of(expected) != scanned.table.digest:
                self._compare_soon(_Comparison(before, slices_before, scanned, [told]))
            elif isinstance(before.base, PackedTable) and expected is before:
                after = before  # there was nothing to find
            else:
                self._note_since(name, told)
        self._keeper.take_list(after)
        self._publish()

    # Comparing

    def _compare_soon(self, comparison: _Comparison) -> None:
        """One comparison waits for each list: while it is filled by hand, scan follows on scan."""
        for waiting in self._to_compare:
            if waiting.before.name == comparison.before.name:
                waiting.after = comparison.after
                waiting.told += [*waiting.since, *comparison.told]
                waiting.since = []
                return
        self._to_compare.append(comparison)
        self._compare_wanted.set()

    async def _run_comparisons(self) -> None:
        """What came and went is only for the history: it is looked for when no scan is due."""
        while True:
            await self._compare_wanted.wait()
            if self.is_scanning:
                await self._scans_done.wait()
                continue
            one = self._to_compare.popleft()
            delta = await difference(one.before, one.slices, one.after, combine(one.told))
            self._listed.note_by_hand(one.before.name, delta)
            self._publish()
            if not self._to_compare:
                self._compare_wanted.clear()

    def forget_unwanted(self) -> None:
        for name in self.slices.keys() - self._keeper.wanted_lists:
            if self._keeper.last_members(name) is None:
                del self.slices[name]


def _size(some: MemberList | Delta) -> int:
    return len(some.added) + len(some.removed)


async def _packed(
    held: MemberList, told: Delta, slices: tuple[bytes, ...] | None
) -> tuple[PackedTable, tuple[bytes, ...] | None]:
    """The list after what was told in one table, and its ids in slices as far as they are known."""
    grown = None if slices is None else list(slices)
    expected = len(held) + len(told.added)
    if isinstance(held.base, PackedTable):
        builder = TableBuilder(expected, held.base)
    else:
        builder, grown = TableBuilder(expected), []
        await apply(builder, Delta(held.base), grown)
    await apply(builder, Delta(held.added, held.removed), grown)
    await apply(builder, told, grown)
    return builder.finish(), None if grown is None else tuple(grown)

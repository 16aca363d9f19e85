"""Reading the lists: whitelists, blacklists and segments, from ten ids to millions.

A small list is read in one go. A large one is scanned in slices on the work connection while the
watch goes on: nothing waits for it but the list itself. A change of a large list that our own tools
made needs no scan at all: the history says which ids came and went.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import (
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import replace
from itertools import count
from typing import cast

from gateway.errors import StoreError, StoreUnavailable
from gateway.routing.lists import PackedTable, digest, segment_name
from gateway.state.history import Delta, combine, deltas_by_list, read_entries
from gateway.state.keeper import Keeper
from gateway.state.keys import Keys, SegmentKeys
from gateway.state.link import Link
from gateway.state.pending import Pending
from gateway.state.reader import unreadable
from gateway.state.scan import IdTooLong, Scanned, check_lengths, difference, scan
from gateway.state.snapshot import MemberList, Refusal
from gateway.state.write import IDS_PER_REVISION, list_key

log = logging.getLogger("graygate.state")

SMALL_IDS = 50_000
CARDS_AT_ONCE = 500
LISTS_AT_ONCE = 50
IDS_AT_ONCE = 20_000
MAX_OVERLAY_IDS = 20_000  # above it the table is packed anew, at leisure
MAX_IDS = 20_000_000


# A list before, its ids if they are known, the list after, and what the history told in between.
_Comparison = tuple[MemberList, tuple[bytes, ...] | None, Scanned, Delta]


class ListReader:
    """Brings the lists in the keeper up to date; `pending` is what no history entry explains."""

    def __init__(
        self,
        keys: Keys,
        keeper: Keeper,
        work_link: Callable[[], Awaitable[Link]],
        publish: Callable[[], None],
    ) -> None:
        self._keys = keys
        self._keeper = keeper
        self._work_link = work_link
        self._publish = publish
        self._generations = count(1 + max((m.generation for m in _lists(keeper)), default=0))
        self._cards: dict[str, int] = {}
        self._slices: dict[str, tuple[bytes, ...]] = {}
        self._seen_revisions = {n: h.revision for n, h in keeper.current.routes.items()}
        self._seen_segments: dict[str, int] = {}  # list name -> newest revision that was heard
        # Known from disk only, with no word of what happened to them since.
        self._unheard = {name for name in keeper.current.lists if name.startswith("segment/")}
        self._to_scan: dict[str, None] = {}
        self._scanning = ""
        # Told by the history, but not yet part of the list that is held: kept until the list was
        # read, or a connection that breaks in between would make it look like an edit by hand. And
        # the part of it that was told since the scan under way began, which the scan may have
        # missed.
        self._told: dict[str, list[Delta]] = {}
        self._told_while_scanning: list[Delta] = []
        self._scan_wanted = asyncio.Event()
        self._scans_done = asyncio.Event()
        self._to_compare: deque[_Comparison] = deque()
        self._compare_wanted = asyncio.Event()
        self.pending = Pending(IDS_PER_REVISION)

    async def refresh(self, link: Link, names: Iterable[str], routes: Iterable[str] = ()) -> None:
        """Read these lists again, and those that new entries of these routes' histories name."""
        names = list(names)
        await self._hear(link, routes)
        await self._hear_segments(link, names)
        keeper = self._keeper
        told = [name for name in self._told if not self._is_coming(name)]
        stale = [
            name
            for name in dict.fromkeys([*names, *told])
            if name in keeper.wanted_lists and not keeper.is_frozen_list(name)
        ]
        small: list[str] = []
        for name, card in (await self._read_cards(link, stale)).items():
            if card <= SMALL_IDS:
                small.append(name)
            elif card > MAX_IDS:
                text = f"the list has {card} ids, more than {MAX_IDS}; its last good members stay"
                self._problem(name, "too_large", text)
            elif not self._overlay(name, card):
                self._scan_soon(name)
        await self._read_small(link, small)

    async def check_cards(self, link: Link) -> None:
        """Read again whatever list has another number of ids than the one we hold."""
        names = list(self._keeper.wanted_lists)
        known = dict(self._cards)
        cards = await self._read_cards(link, names)
        changed = [name for name in names if cards.get(name) != known.get(name)]
        await self.refresh(link, changed)
        self._forget_unwanted()

    def everything(self) -> list[str]:
        return list(self._keeper.wanted_lists)

    def missing(self) -> list[str]:
        """Lists that are needed, not known yet, and not about to be."""
        return [name for name in self._keeper.missing_lists if not self._is_coming(name)]

    def small_lists(self, most: int) -> list[str]:
        return [n for n in self._keeper.wanted_lists if self._cards.get(n, 0) <= most]

    def slices_of(self, name: str) -> tuple[bytes, ...] | None:
        """The ids of a large list, packed in slices; None when only their hashes are known."""
        return self._slices.get(name)

    @property
    def is_scanning(self) -> bool:
        """Whether somebody waits for a large list to be in force."""
        return bool(self._scanning or self._to_scan)

    async def run(self) -> None:
        """Scan large lists one after the other, and find out what was done to them, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._run_scans())
            tasks.create_task(self._run_comparisons())

    async def _run_comparisons(self) -> None:
        """What came and went is only for the history: it is looked for when no scan is due."""
        while True:
            await self._compare_wanted.wait()
            if self.is_scanning:
                await self._scans_done.wait()
                continue
            before, slices_before, scanned, told = self._to_compare.popleft()
            delta = (await difference(before, slices_before, scanned)).without(told)
            self._note_by_hand(before.name, delta)
            self._publish()
            if not self._to_compare:
                self._compare_wanted.clear()

    async def _run_scans(self) -> None:
        while True:
            await self._scan_wanted.wait()
            self._scan_wanted.clear()
            self._scans_done.clear()
            while self._to_scan:
                name = next(iter(self._to_scan))
                del self._to_scan[name]
                try:
                    await self._scan(name)
                except StoreUnavailable as error:
                    log.warning("The list %s could not be scanned: %s", name, error)
                    self._to_scan[name] = None
                    await asyncio.sleep(1)
                except StoreError as error:
                    self._problem_of_reply(name, error)
                    self._publish()
                except IdTooLong as error:
                    self._problem(name, "too_large", str(error))
                    self._publish()
            self._scans_done.set()

    # History

    async def _hear(self, link: Link, routes: Iterable[str]) -> None:
        """Note what the histories say happened to lists since we last looked."""
        for route in routes:
            reading = self._keeper.reading(route)
            if reading is None or reading.raw.history_problem is not None:
                continue
            newest = reading.raw.revision
            seen = self._seen_revisions.get(route, newest)
            entries = []
            if newest > seen:
                entries = await read_entries(link, self._keys, route, after=seen)
            # Of one that was written since the route was read we just heard as well.
            self._seen_revisions[route] = max(newest, entries[-1].revision) if entries else newest
            for name, delta in deltas_by_list(entries).items():
                self._note_told(name, delta)
                self.pending.account(name, delta)

    async def _hear_segments(self, link: Link, names: Iterable[str]) -> None:
        keys, wanted = SegmentKeys(self._keys.prefix), self._keeper.wanted_lists
        segments = [
            name.partition("/")[2]
            for name in names
            if name.startswith("segment/") and name in wanted
        ]
        if not segments:
            return
        heads = [("XREVRANGE", keys.history(name), "+", "-", "COUNT", 1) for name in segments]
        for segment, reply in zip(segments, await link.pipeline(heads), strict=True):
            if not isinstance(reply, list):
                continue  # its history is of another type: nobody can write to it either
            name, newest = segment_name(segment), _revision(reply)
            seen = self._seen_segments.get(name, newest)
            self._seen_segments[name] = newest
            if newest <= seen:
                continue
            entries = await read_entries(link, keys, segment, after=seen)
            self._seen_segments[name] = max(newest, entries[-1].revision if entries else 0)
            delta = deltas_by_list(entries).get(name, Delta())
            self._note_told(name, delta)
            self.pending.account(name, delta)

    def seen_segment(self, segment: str) -> int:
        """The newest revision that was heard of a segment."""
        return self._seen_segments.get(segment_name(segment), 0)

    def _note_by_hand(self, name: str, delta: Delta) -> None:
        """What nobody told was done by hand, but for what happened while we were not there."""
        if name in self._unheard:
            self._unheard.discard(name)
        else:
            self.pending.add(name, delta)

    def _note_told(self, name: str, delta: Delta) -> None:
        # Combined when they are needed: an import tells fifty times, 20,000 ids each.
        if delta:
            self._told.setdefault(name, []).append(delta)
            if name == self._scanning:
                self._told_while_scanning.append(delta)

    # Small lists

    async def _read_cards(self, link: Link, names: Sequence[str]) -> dict[str, int]:
        cards: dict[str, int] = {}
        for start in range(0, len(names), CARDS_AT_ONCE):
            part = names[start : start + CARDS_AT_ONCE]
            replies = await link.pipeline([("SCARD", list_key(self._keys, n)) for n in part])
            for name, reply in zip(part, replies, strict=True):
                if isinstance(reply, StoreError):
                    self._problem_of_reply(name, reply)
                else:
                    cards[name] = self._cards[name] = int(cast("int", reply))
        return cards

    async def _read_small(self, link: Link, names: Sequence[str]) -> None:
        for part in _portions(names, self._cards):
            replies = await link.transaction(
                [("SMEMBERS", list_key(self._keys, name)) for name in part]
            )
            for name, reply in zip(part, replies, strict=True):
                if isinstance(reply, StoreError):
                    self._problem_of_reply(name, reply)
                elif reply or not self._keeper.members(name) or await self._stands(link, name):
                    self._take_small(name, frozenset(cast("Iterable[bytes]", reply)))

    async def _stands(self, link: Link, name: str) -> bool:
        """Whether the store still holds anything of a route that needs this list.

        A store that is flushed while we read shows empty lists beside routes that were read just
        before: such a list was lost, not emptied, and keeps its members like its route does.
        """
        owners = sorted(self._keeper.routes_of(name))
        keys = [key for owner in owners for key in self._keys.of_route(owner)]
        types = await link.transaction([("TYPE", key) for key in keys])
        return any(kind not in (b"none", "none") for kind in types)

    def _take_small(self, name: str, members: frozenset[bytes]) -> None:
        try:
            check_lengths(members)
        except IdTooLong as error:
            self._problem(name, "too_large", str(error))
            return
        told = combine(self._told.pop(name, []))
        self._to_scan.pop(name, None)  # it was large when that was asked for
        held = self._keeper.last_members(name)
        if held is not None and isinstance(held.base, frozenset) and held.base == members:
            self._keeper.take_list(held)  # nothing new, but any earlier problem is over
            self._account(name, held.base, members, told)
            return
        if held is not None and isinstance(held.base, frozenset):
            self._account(name, held.base, members, told)
        elif held is None and self._is_new_in(name):
            self._account(name, frozenset(), members, told)
        elif held is not None:  # it was large before
            added = frozenset(unit for unit in members if unit not in held.base)
            self._note_by_hand(name, Delta(added - told.added, is_unknown=not told))
        self._slices.pop(name, None)
        self._keeper.take_list(MemberList(name, members, next(self._generations)))

    def _is_new_in(self, name: str) -> bool:
        """Whether the list came with a version that its route got while we were watching."""
        _, route, *_ = name.split("/")
        return name.startswith("route/") and route in self._keeper.current.routes

    def _account(
        self, name: str, before: frozenset[bytes], after: frozenset[bytes], told: Delta
    ) -> None:
        """Whatever the history does not tell of this change was done by hand."""
        expected = (before | told.added) - told.removed
        unexplained = Delta(after - expected, expected - after)
        self._note_by_hand(name, unexplained)

    # Large lists

    def _overlay(self, name: str, card: int) -> bool:
        """Bring a large list up to date by what the history told; False when that is not all."""
        held, told = self._keeper.members(name), self._told.get(name)
        if held is None or not isinstance(held.base, PackedTable) or not told:
            return False
        updated = _overlaid(held, combine(told))
        if len(updated) != card:
            return False
        del self._told[name]
        self._keeper.take_list(updated)
        if len(updated.added) + len(updated.removed) > MAX_OVERLAY_IDS:
            self._scan_soon(name)
        return True

    def _scan_soon(self, name: str) -> None:
        self._to_scan[name] = None
        self._scan_wanted.set()
        # At once: who waits for the scans would else find them done, and go round for ever.
        self._scans_done.clear()

    def _is_coming(self, name: str) -> bool:
        return name in self._to_scan or name == self._scanning

    def _forget_unwanted(self) -> None:
        """Give back what is kept about lists that no route needs any more."""
        for kept in (self._cards, self._slices, self._told):
            for name in kept.keys() - self._keeper.wanted_lists:
                if self._keeper.last_members(name) is None:
                    del kept[name]

    async def _scan(self, name: str) -> None:
        """Read a large list whole, and take it unless it became small or was lost meanwhile."""
        link = await self._work_link()
        self._scanning, self._told_while_scanning = name, []
        try:
            scanned = await scan(link, list_key(self._keys, name), self._cards.get(name, 0))
            stands = await self._stands(link, name)
        finally:
            self._scanning = ""
        if not stands or self._cards.get(name, 0) <= SMALL_IDS:
            return
        before, slices_before = self._keeper.members(name), self._slices.get(name)
        told = combine(self._told.pop(name, []))
        self._slices[name] = scanned.slices
        packed = MemberList(name, scanned.table, next(self._generations))
        self._keeper.take_list(_overlaid(packed, combine(self._told_while_scanning)))
        self._publish()
        if before is not None and _digest(_overlaid(before, told)) != scanned.table.digest:
            self._compare_soon((before, slices_before, scanned, told))

    def _compare_soon(self, comparison: _Comparison) -> None:
        """One comparison waits for each list: while an import goes on, scan follows on scan."""
        _, _, scanned, told = comparison
        for place, (before, slices, _, earlier) in enumerate(self._to_compare):
            if before.name == comparison[0].name:
                self._to_compare[place] = (before, slices, scanned, combine([earlier, told]))
                return
        self._to_compare.append(comparison)
        self._compare_wanted.set()

    def _problem_of_reply(self, name: str, error: StoreError) -> None:
        self._cards.pop(name, None)  # so that the next look finds it mended
        wrong = unreadable(error, list_key(self._keys, name), "set")
        self._problem(name, wrong.reason, wrong.text)

    def _problem(self, name: str, reason: str, text: str) -> None:
        owners = sorted(self._keeper.routes_of(name))
        route = owners[0] if len(owners) == 1 else ""
        self._keeper.take_list_problem(
            name, Refusal(route, list_key(self._keys, name), reason, text)
        )


def _revision(newest: list[object]) -> int:
    """Of the newest entry of a stream, 0 when it has none."""
    match newest:
        case [[bytes(entry_id), *_], *_]:
            return int(entry_id.partition(b"-")[0])
    return 0


def _portions(names: Sequence[str], cards: Mapping[str, int]) -> Iterator[list[str]]:
    """The names in groups that can be read in one go without holding up others."""
    group: list[str] = []
    ids = 0
    for name in names:
        if group and (len(group) == LISTS_AT_ONCE or ids + cards[name] > IDS_AT_ONCE):
            yield group
            group, ids = [], 0
        group.append(name)
        ids += cards[name]
    if group:
        yield group


def _overlaid(held: MemberList, delta: Delta) -> MemberList:
    """The list with a delta on top of it."""
    if not delta:
        return held
    added, removed = set(held.added), set(held.removed)
    for unit in delta.added:
        removed.discard(unit)
        if unit not in held.base:
            added.add(unit)
    for unit in delta.removed:
        added.discard(unit)
        if unit in held.base:
            removed.add(unit)
    return replace(held, added=frozenset(added), removed=frozenset(removed))


def _digest(members: MemberList) -> int:
    base = members.base
    whole = base.digest if isinstance(base, PackedTable) else digest(base)
    return (whole + digest(members.added) - digest(members.removed)) % 2**64


def _lists(keeper: Keeper) -> list[MemberList]:
    return list(keeper.current.lists.values())

"""Reading the lists: whitelists, blacklists and segments, from ten ids to millions.

A small list is read in one go. A large one is scanned in slices on the work connection while the
watch goes on: nothing waits for it but the list itself. A change of a large list that our own tools
made needs no scan at all: the history says which ids came and went.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import cast

from gateway.errors import StoreError
from gateway.state.hearing import Hearing
from gateway.state.history import Delta
from gateway.state.keeper import Keeper
from gateway.state.keys import Keys
from gateway.state.large import LargeLists
from gateway.state.link import Link
from gateway.state.listed import Listed
from gateway.state.pending import Pending
from gateway.state.reconcile import overlaid
from gateway.state.scan import IdTooLong, check_lengths
from gateway.state.snapshot import HeldRoute, MemberList

CARDS_AT_ONCE = 500
LISTS_AT_ONCE = 50
IDS_AT_ONCE = 20_000
MAX_IDS = 20_000_000


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
        self._listed = Listed(keys, keeper)
        self._cards = self._listed.cards
        known = keeper.current
        seen = {n: known.behind.get(n, held.revision) for n, held in known.routes.items()}
        self._hearing = Hearing(keys, seen, self.pending.account)
        self._large = LargeLists(self._listed, self._hearing, work_link, publish)

    @property
    def pending(self) -> Pending:
        return self._listed.pending

    async def refresh(self, link: Link, names: Iterable[str], routes: Iterable[str] = ()) -> None:
        """Read these lists again, and those that new entries of these routes' histories name."""
        names = list(names)
        await self._hear(link, names, routes)
        keeper = self._keeper
        told = [name for name in self._hearing.names if not self._large.is_coming(name)]
        stale = [
            name
            for name in dict.fromkeys([*names, *told])
            if name in keeper.wanted_lists and not keeper.is_frozen_list(name)
        ]
        small: list[str] = []
        for name, card in (await self._read_cards(link, stale)).items():
            if self._listed.is_small(name):
                small.append(name)
            elif card > MAX_IDS:
                text = f"the list has {card} ids, more than {MAX_IDS}; its last good members stay"
                self._listed.problem(name, "too_large", text)
            elif not await self._large.explains(link, name):
                self._large.scan_soon(name)
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
        return [name for name in self._keeper.missing_lists if not self._large.is_coming(name)]

    def small_lists(self, most: int) -> list[str]:
        return [n for n in self._keeper.wanted_lists if self._cards.get(n, 0) <= most]

    def slices_of(self, name: str) -> tuple[bytes, ...] | None:
        """The ids of a large list, packed in slices; None when only their hashes are known.

        Some may not be on the list any more, and one may come twice.
        """
        return self._large.slices.get(name)

    @property
    def is_scanning(self) -> bool:
        """Whether somebody waits for a large list to be in force."""
        return self._large.is_scanning

    @property
    def is_idle(self) -> bool:
        """Whether nothing is left to do about any list, not even to record."""
        return self._large.is_idle and not self.pending

    async def run(self) -> None:
        """Do what takes long, for ever."""
        await self._large.run()

    # History

    async def _hear(self, link: Link, names: Sequence[str], routes: Iterable[str]) -> None:
        """Note what the histories say happened to lists since we last looked."""
        for route in routes:
            reading = self._keeper.reading(route)
            if reading is not None and reading.raw.history_problem is None:
                await self._hearing.hear_route(link, route, reading.raw.revision)
        wanted = self._keeper.wanted_lists
        segments = [n.partition("/")[2] for n in names if n.startswith("segment/") and n in wanted]
        if segments:
            await self._hearing.hear_segments(link, segments)

    def behind(self, routes: Mapping[str, HeldRoute]) -> Mapping[str, int]:
        """At which revision the lists of a route stand, where the route itself is further on."""
        return self._hearing.behind(routes)

    def seen_route(self, route: str) -> int:
        """The newest revision of a route of which it was heard what lists gained and lost."""
        return self._hearing.seen(f"route/{route}")

    def seen_segment(self, segment: str) -> int:
        """The newest revision that was heard of a segment."""
        return self._hearing.seen(f"segment/{segment}")

    # Small lists

    async def _read_cards(self, link: Link, names: Sequence[str]) -> dict[str, int]:
        cards: dict[str, int] = {}
        for start in range(0, len(names), CARDS_AT_ONCE):
            part = names[start : start + CARDS_AT_ONCE]
            replies = await link.pipeline([("SCARD", self._listed.key(n)) for n in part])
            for name, reply in zip(part, replies, strict=True):
                if isinstance(reply, StoreError):
                    self._listed.problem_of_reply(name, reply)
                else:
                    cards[name] = self._cards[name] = int(cast("int", reply))
        return cards

    async def _read_small(self, link: Link, names: Sequence[str]) -> None:
        shrunk = [name for name in names if self._was_large(name)]
        for name in shrunk:
            await self._read_shrunk(link, name)
        for part in _portions([name for name in names if name not in shrunk], self._cards):
            replies = await link.transaction(
                [("SMEMBERS", self._listed.key(name)) for name in part]
            )
            for name, reply in zip(part, replies, strict=True):
                if isinstance(reply, StoreError):
                    self._listed.problem_of_reply(name, reply)
                elif (
                    reply or not self._keeper.members(name) or await self._listed.stands(link, name)
                ):
                    self._take_small(name, frozenset(cast("Iterable[bytes]", reply)))

    def _was_large(self, name: str) -> bool:
        held = self._keeper.last_members(name)
        return held is not None and not isinstance(held.base, frozenset)

    async def _read_shrunk(self, link: Link, name: str) -> None:
        """Read a list that was large, with the revision of just that moment.

        Of a large list we may know the hashes only. So that a rollback that goes on while we read
        is nobody's edit by hand, what is read is compared with what was told up to there.
        """
        while True:
            held = self._keeper.last_members(name)
            reply, revision = await self._hearing.members(link, name)
            if isinstance(reply, StoreError):
                self._listed.problem_of_reply(name, reply)
                return
            if not reply and not await self._listed.stands(link, name):
                return
            if held is self._keeper.last_members(name):
                break  # nobody brought it up to date meanwhile
        self._take_small(name, frozenset(cast("Iterable[bytes]", reply)), revision)

    def _take_small(
        self, name: str, members: frozenset[bytes], revision: int | None = None
    ) -> None:
        try:
            check_lengths(members)
        except IdTooLong as error:
            self._listed.problem(name, "too_large", str(error))
            return
        told = self._hearing.take(name, revision)
        self._large.drop_scan(name)  # it was large when that was asked for
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
            expected = overlaid(held, told)
            added = frozenset(unit for unit in members if unit not in expected.container)
            is_unknown = len(expected) + len(added) != len(members)
            self._listed.note_by_hand(name, Delta(added, is_unknown=is_unknown))
        self._large.slices.pop(name, None)
        self._keeper.take_list(MemberList(name, members, next(self._listed.generations)))

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
        self._listed.note_by_hand(name, unexplained)

    def _forget_unwanted(self) -> None:
        """Give back what is kept about lists that no route needs any more."""
        for name in {*self._cards, *self._hearing.names} - self._keeper.wanted_lists:
            if self._keeper.last_members(name) is None:
                self._cards.pop(name, None)
                self._hearing.forget(name)
        self._large.forget_unwanted()


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

"""What small and large lists have in common: how many ids they have, and what is wrong with one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from gateway.errors import StoreError
from gateway.state.history import Delta
from gateway.state.keeper import Keeper
from gateway.state.keys import Keys
from gateway.state.link import Link
from gateway.state.pending import Pending
from gateway.state.reader import unreadable
from gateway.state.snapshot import Refusal
from gateway.state.write import IDS_PER_REVISION, list_key

SMALL_IDS = 50_000  # up to here a list is kept as it is, and read in one go


class Listed:
    """`cards` are the numbers of ids as last read; `pending` is what no history entry explains."""

    def __init__(self, keys: Keys, keeper: Keeper) -> None:
        self.keys = keys
        self.keeper = keeper
        self.cards: dict[str, int] = {}
        self.pending = Pending(IDS_PER_REVISION)
        held = keeper.current.lists.values()
        self.generations: Iterator[int] = count(1 + max((m.generation for m in held), default=0))
        # Known from disk only, with no word of what happened to them since.
        self._unheard = {name for name in keeper.current.lists if name.startswith("segment/")}

    def key(self, name: str) -> str:
        return list_key(self.keys, name)

    def is_small(self, name: str) -> bool:
        """Whether it had so few ids when they were counted last."""
        return self.cards.get(name, 0) <= SMALL_IDS

    def note_by_hand(self, name: str, delta: Delta) -> None:
        """What nobody told was done by hand, but for what happened while we were not there."""
        if name in self._unheard:
            self._unheard.discard(name)
        else:
            self.pending.add(name, delta)

    async def stands(self, link: Link, name: str) -> bool:
        """Whether the store still holds anything of a route that needs this list.

        A store that is flushed while we read shows empty lists beside routes that were read just
        before: such a list was lost, not emptied, and keeps its members like its route does.
        """
        owners = sorted(self.keeper.routes_of(name))
        keys = [key for owner in owners for key in self.keys.of_route(owner)]
        types = await link.transaction([("TYPE", key) for key in keys])
        return any(kind not in (b"none", "none") for kind in types)

    def problem_of_reply(self, name: str, error: StoreError) -> None:
        self.cards.pop(name, None)  # so that the next look finds it mended
        wrong = unreadable(error, self.key(name), "set")
        self.problem(name, wrong.reason, wrong.text)

    def problem(self, name: str, reason: str, text: str) -> None:
        owners = sorted(self.keeper.routes_of(name))
        route = owners[0] if len(owners) == 1 else ""
        self.keeper.take_list_problem(name, Refusal(route, self.key(name), reason, text))

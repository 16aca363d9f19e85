"""Each unit once, whichever gateway told of it, in bounded memory.

Where units stay on their version, a few unlucky ones fail again and again, a few busy ones have
slow requests, and some are never content. Requests are no independent draws any more: counted by
requests, equal versions are rolled back in every third release. Counted once per unit and stage,
they are not.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

import msgspec

# Users are taken for dealt anew when the odds to be on the candidate change by more.
_MOST_ALIKE = 1.4

# 20,000 hashes are 180 kB in the store.
MOST_UNITS = 20_000


class DistinctUnits(msgspec.Struct):
    """The units that were counted in this stage.

    When memory is full, every second unit is left out from now on, by its hash: on both versions
    alike, so what is left is as fair a draw as before.
    """

    seen: set[int] = msgspec.field(default_factory=set)
    mask: int = 0

    def count_new(self, hashes: Iterable[int]) -> int:
        """How many of these are told of for the first time."""
        return len(self.new(hashes))

    def new(self, hashes: Iterable[int]) -> set[int]:
        """Those of these that are told of for the first time."""
        new = set()
        for unit in hashes:
            if unit & self.mask or unit in self.seen:
                continue
            self.seen.add(unit)
            new.add(unit)
            if len(self.seen) > MOST_UNITS:
                self.mask = self.mask << 1 | 1
                self.seen = {kept for kept in self.seen if not kept & self.mask}
        return new

    def clear(self) -> None:
        """A new stage: everybody counts once more."""
        self.seen.clear()
        self.mask = 0


class Once(msgspec.Struct):
    """What is counted once for each unit since users were dealt: its times, its rating."""

    share: float | None = None  # of the candidate when they were dealt
    counted: dict[str, DistinctUnits] = msgspec.field(default_factory=dict)

    def of(self, what: str, *, is_candidate: bool) -> DistinctUnits:
        """Each version apart: whoever has moved counts on both."""
        return self.counted.setdefault(f"{what} {is_candidate:d}", DistinctUnits())

    def split(self, share: float) -> None:
        """The candidate's share is another one, and users may be on another version.

        A bandit moves a few of them all day. To count all of them anew each time would be to count
        the same ones again and again, which is what must not be.
        """
        before = self.share
        if before is not None:
            odds, at = _odds(before), _odds(share)
            if odds / _MOST_ALIKE < at < odds * _MOST_ALIKE:
                return
        self.share = share
        self.counted.clear()


def _odds(share: float) -> float:
    return share / (1.0 - share) if share < 1.0 else inf

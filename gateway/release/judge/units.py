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

# 20,000 hashes are 180 kB in the store, and 8,000 of 32 bits 40 kB.
MOST_UNITS = 20_000
MOST_TIMED = 8_000


class DistinctUnits(msgspec.Struct):
    """The units that were counted in this stage.

    When memory is full, every second unit is left out from now on, by its hash: how it fared has
    no say in that, so what is left is as fair a draw as before.
    """

    seen: set[int] = msgspec.field(default_factory=set)
    mask: int = 0

    def count_new(self, hashes: Iterable[int]) -> int:
        """How many of these are told of for the first time."""
        return len(self.new(hashes))

    def new(self, hashes: Iterable[int], most: int = MOST_UNITS) -> set[int]:
        """Those of these that are told of for the first time."""
        new = set()
        for unit in hashes:
            if unit & self.mask or unit in self.seen:
                continue
            self.seen.add(unit)
            new.add(unit)
            if len(self.seen) > most:
                self.mask = self.mask << 1 | 1
                self.seen = {kept for kept in self.seen if not kept & self.mask}
        return new

    def is_counted(self, unit: int) -> bool:
        """Whether it was counted, or is one of those that are left out."""
        return bool(unit & self.mask) or unit in self.seen

    def clear(self) -> None:
        """A new stage: everybody counts once more."""
        self.seen.clear()
        self.mask = 0


class Once(msgspec.Struct):
    """What is counted once for each unit: a time in an epoch, a bad rating in a release."""

    share: float | None = None  # of the candidate when they were dealt
    # Who was timed; each version apart, since whoever has moved is another case there.
    timed: dict[bool, DistinctUnits] = msgspec.field(default_factory=dict)
    # Of those who were timed: no epoch counts anybody twice. One begins when users are dealt, since
    # most of them stay where they are, and after a while, since else nobody would be timed again.
    epoch: int = 1
    began: int | None = None
    # By family: who gave a bad rating in this release, to whichever version.
    unhappy: dict[str, DistinctUnits] = msgspec.field(default_factory=dict)

    def time(self, units: Iterable[int], *, is_candidate: bool) -> set[int]:
        """Those of the units that are to be timed now."""
        return self.timed.setdefault(is_candidate, DistinctUnits()).new(units, MOST_TIMED)

    def rate(self, family: str, rated: Iterable[tuple[int, bool]]) -> tuple[int, int]:
        """How many units may still give their first bad rating, and how many of them do.

        As with errors: a unit without one counts whenever it rates.
        """
        is_bad: dict[int, bool] = {}
        for unit, bad in rated:
            is_bad[unit] = is_bad.get(unit, False) or bad
        counted = self.unhappy.setdefault(family, DistinctUnits())
        may = [unit for unit in is_bad if not counted.is_counted(unit)]
        return len(may), counted.count_new(unit for unit in may if is_bad[unit])

    def tick(self, now: int, seconds: int) -> None:
        """Another epoch begins when this one has lasted so long."""
        if self.began is None:
            self.began = now
        elif now - self.began >= seconds:
            self._begin(now)

    def set_back(self, now: int) -> None:
        """The clock was wrong: the epoch began now at the latest."""
        if self.began is not None:
            self.began = min(self.began, now)

    def _begin(self, now: int) -> None:
        self.began = now
        candidates = self.timed.get(True)
        if candidates is not None and candidates.seen:  # else it may as well go on
            self.epoch += 1
        self.timed.clear()

    def split(self, at: int, share: float) -> None:
        """The candidate's share is another one, and users may be on another version.

        A bandit moves a few of them all day. To count all of them anew each time would be to count
        the same ones again and again, which is what must not be.
        """
        before = self.share
        if before is not None:
            odds, now = _odds(before), _odds(share)
            if odds / _MOST_ALIKE < now < odds * _MOST_ALIKE:
                return
        self.share = share
        self._begin(at)


def _odds(share: float) -> float:
    return share / (1.0 - share) if share < 1.0 else inf

"""Each unit once, whichever gateway told of it, in bounded memory.

Where units stay on their version, a few unlucky ones fail again and again, a few busy ones have
slow requests, and some are never content. Requests are no independent draws any more: counted by
requests, equal versions are rolled back in every third release. Counted once per unit and stage,
they are not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from math import inf

import msgspec

from gateway.release.judge.counts import AtRisk
from gateway.release.judge.places import Came, Places
from gateway.release.judge.present import AGE_SECONDS, FIRST_BITS, Present, part_of, parted

# Users are taken for dealt anew when the odds to be on the candidate change by more.
_MOST_ALIKE = 1.4

# 20,000 hashes are 180 kB in the store, and 8,000 of 32 bits 40 kB.
MOST_UNITS = 20_000
MOST_TIMED = 8_000
# So long after users were dealt workers may not have told anew of everybody who is there.
PRESENT_SECONDS = 20


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
    # Who was timed, and on which version.
    timed: dict[bool, DistinctUnits] = msgspec.field(default_factory=dict)
    # Of those who were timed: no epoch counts anybody twice. One begins when users are dealt, since
    # most of them stay where they are, and after a while, since else nobody would be timed again.
    epoch: int = 1
    began: int | None = None
    is_due: bool = False  # users were dealt, and the epoch is too short to be over
    # By family: who gave a bad rating in this release, to whichever version.
    unhappy: dict[str, DistinctUnits] = msgspec.field(default_factory=dict)
    now: int = 0
    aged: int = 0
    # Since anybody has moved: from when on it is known who is there; who may fail, and by family
    # who may rate badly.
    present_from: int = 0
    may_fail: Present = msgspec.field(default_factory=Present)
    may_rate: dict[str, Present] = msgspec.field(default_factory=dict)
    failed: DistinctUnits = msgspec.field(default_factory=DistinctUnits)  # since users were dealt
    places: Places = msgspec.field(default_factory=Places)  # of all who failed in this release

    def meet(
        self, units: Iterable[int], failed: Collection[int], came: Came, unnamed: int = 0
    ) -> AtRisk:
        """Units that asked, and those that failed; of whom these could have been.

        Of those who failed some may have no name, since they were too many.
        """
        places = self.places
        named = (unit & FIRST_BITS for unit in failed)
        first = self.failed.new(unit for unit in named if not unit & places.mask)
        # Those who have names are thinned when they are too many.
        unnamed //= (self.failed.mask | places.mask) + 1
        again = [unit for unit in first if unit in places.known]
        of_again = sum(places.part(unit, came) for unit in again)
        known = parted(len(again), of_again)
        new = first.difference(again)
        others = self._parted(self.may_fail, units, new, self.failed, came, unnamed)
        self.may_fail.leave(again)
        places.learn(first, came)
        return AtRisk(others.candidate + known.candidate, others.stable + known.stable)

    def _parted(
        self,
        present: Present,
        units: Iterable[int],
        first: Collection[int],
        known: DistinctUnits,
        came: Came,
        unnamed: int = 0,
    ) -> AtRisk:
        of_all = part_of(came.share)
        bad = len(first) + unnamed
        if came.is_before:
            # They may be on another version by now.
            present.leave(first)
            return parted(bad, bad * of_all)
        units = list(units)
        present.meet(units, is_candidate=came.is_candidate)
        if self.now >= self.present_from:
            of_all = present.part(came.share)
        at_risk = present.leave(first, of_all)
        present.leave(unit for unit in units if unit in known.seen)
        return parted(bad, at_risk.candidate + unnamed * of_all)

    def time(self, units: Iterable[int], *, is_candidate: bool) -> set[int]:
        """Those of the units that are to be timed now.

        Whoever has moved in this epoch is not: beside those who were timed on his new version since
        the beginning, he would be one of the busy ones, who are the first to come again.
        """
        here = self.timed.setdefault(is_candidate, DistinctUnits())
        there = self.timed.get(not is_candidate)
        if there is not None:
            units = [unit for unit in units if unit not in there.seen]
        return here.new(units, MOST_TIMED)

    def rate(
        self, family: str, rated: Iterable[tuple[int, bool]], came: Came
    ) -> tuple[int, int, AtRisk]:
        """How many of these units may still give their first bad rating; how many do, of whom."""
        is_bad: dict[int, bool] = {}
        for unit, bad in rated:
            is_bad[unit] = is_bad.get(unit, False) or bad
        counted = self.unhappy.setdefault(family, DistinctUnits())
        may = [unit for unit in is_bad if not counted.is_counted(unit)]
        first = counted.new(unit for unit in may if is_bad[unit])
        present = self.may_rate.setdefault(family, Present())
        remembered = [unit for unit in is_bad if not unit & counted.mask]
        return len(may), len(first), self._parted(present, remembered, first, counted, came)

    def tick(self, now: int, seconds: int, least: int = 0) -> None:
        """Another epoch begins when this one lasted so long, or `least` when users were dealt."""
        self.now = now
        if now - self.aged >= AGE_SECONDS:
            self.aged = now
            for present in (self.may_fail, *self.may_rate.values()):
                present.age()
        if self.began is None:
            self.began = now
        elif now - self.began >= (least if self.is_due else seconds):
            self._begin(now)

    def set_back(self, now: int) -> None:
        """The clock was wrong: the epoch began now at the latest."""
        self.now = now
        self.aged = min(self.aged, now)
        self.present_from = min(self.present_from, now + PRESENT_SECONDS)
        if self.began is not None:
            self.began = min(self.began, now)

    def _begin(self, now: int) -> None:
        self.began = now
        self.is_due = False
        if self._has_timed:  # else it may as well go on
            self.epoch += 1
        self.timed.clear()

    @property
    def _has_timed(self) -> bool:
        candidates = self.timed.get(True)
        return candidates is not None and bool(candidates.seen)

    def split(self, at: int, share: float, least: int = 0) -> None:
        """The candidate's share is another one, and users may be on another version.

        A bandit moves a few of them all day. To count all of them anew each time would be to count
        the same ones again and again, which is what must not be. Nor is an epoch worth anything
        that is shorter than `least`: each that was must find more than the one before.
        """
        # Who came once stays among those who are there, by the share of his day: so they are met
        # anew whenever it is another one.
        self.present_from = at + PRESENT_SECONDS
        for present in (self.may_fail, *self.may_rate.values()):
            present.clear()
        if self.share is not None and not are_dealt(self.share, share):
            return
        self.share = share
        self.failed.clear()
        if self._has_timed and self.began is not None and at - self.began < least:
            self.is_due = True
        else:
            self._begin(at)


def are_dealt(before: float, now: float) -> bool:
    """Whether so many users change their version that all are taken for dealt anew."""
    odds = _odds(before)
    return before != now and not odds / _MOST_ALIKE < _odds(now) < odds * _MOST_ALIKE


def _odds(share: float) -> float:
    return share / (1.0 - share) if share < 1.0 else inf

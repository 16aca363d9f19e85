"""Who is there, on which version: of whom a first bad answer, or rating, could have been."""

from __future__ import annotations

from collections.abc import Iterable
from math import sqrt

import msgspec

from gateway.release.judge.counts import AT_RISK_EACH, AtRisk

FIRST_BITS = 0xFFFF_FFFF  # of a hash: those that workers tell of who is there
MOST_PRESENT = 16_384  # of more, how many there are is known within 1 %, less than any effect
LEAST_LEFT = 0.2  # of those who have been here for a while; fewer may be others than who fail
_FAR = 3.0  # standard deviations
AGE_SECONDS = 20  # who has been here for so long to twice as long, has been here for a while


class Side(msgspec.Struct):
    """The units on one version; who came lately stands apart from who has been here for a while.

    Each version is thinned for itself: else few would be left of a small share.
    """

    new: set[int] = msgspec.field(default_factory=set)
    recent: set[int] = msgspec.field(default_factory=set)
    old: set[int] = msgspec.field(default_factory=set)
    gone: set[int] = msgspec.field(default_factory=set)  # whose first bad one has been
    mask: int = 0

    @property
    def _all(self) -> tuple[set[int], ...]:
        return self.old, self.recent, self.gone, self.new

    def meet(self, units: Iterable[int]) -> None:
        old, recent, gone = self.old, self.recent, self.gone
        for unit in units:
            is_known = unit in old or unit in recent or unit in gone
            if not is_known and not unit & self.mask:
                self.new.add(unit)
        while sum(map(len, self._all)) > MOST_PRESENT:
            self.mask = self.mask << 1 | 1
            for some in self._all:
                some.difference_update([one for one in some if one & self.mask])

    def age(self) -> None:
        self.old |= self.recent
        self.recent, self.new = self.new, set()

    def leave(self, unit: int) -> None:
        for some in (self.old, self.recent, self.new):
            if unit in some:
                some.remove(unit)
                self.gone.add(unit)

    def forget(self, units: Iterable[int]) -> None:
        for some in self._all:
            some.difference_update(units)

    def came(self) -> int:
        """Those who have come lately, with those that are left out."""
        return (len(self.new) + len(self.recent)) * (self.mask + 1)

    def left(self) -> int:
        """Those who have been here for a while and were never bad."""
        return len(self.old) * (self.mask + 1)

    @property
    def is_worn(self) -> bool:
        return len(self.old) < LEAST_LEFT * (len(self.old) + len(self.gone))


class Present(msgspec.Struct):
    """The units on each version: what first bad answers, or ratings, are compared by.

    Whoever asks all day and is always content must count no more than one who asks once, or the
    version that he is on looks good by him alone.

    Of those who have been here for a while, the next one is any who was not bad yet: counted with
    the others, a version whose users fail sooner would look the better the longer it lasts. But
    whoever is bad when he has hardly come is one of all who come, and those are dealt by the
    weights. Those who are left may be quite others, as few as never fail, and beside few of them
    on a small version each newcomer would be a wonder.
    """

    candidate: Side = msgspec.field(default_factory=Side)
    stable: Side = msgspec.field(default_factory=Side)

    def meet(self, units: Iterable[int], *, is_candidate: bool) -> None:
        """These are on that version, and no more on the other."""
        here, there = self.candidate, self.stable
        if not is_candidate:
            here, there = there, here
        turned = set(map(_turned, units))
        here.meet(turned)
        there.forget(turned)

    def age(self) -> None:
        self.candidate.age()
        self.stable.age()

    def part(self, share: float) -> int:
        """The candidate's part of all who come, who should be dealt to it by this share.

        Where by far more of those who came lately are on the candidate than chance makes of it,
        something else has put them there, and its failures are no wonder.
        """
        candidate = self.candidate.came()
        total = candidate + self.stable.came()
        by_chance = total * share + _FAR * sqrt(total * share * (1.0 - share))
        return part_of(candidate / total if candidate > by_chance else share)

    def leave(self, units: Iterable[int], of_all: int = 0) -> AtRisk:
        """These were bad for the first time; of whom each of them could have been one.

        `of_all` is the candidate's part of all who come.
        """
        of_old = _part(self.candidate.left(), self.stable.left())
        if self.candidate.is_worn or self.stable.is_worn:
            of_old = of_all
        bad = candidate = 0
        for unit in map(_turned, units):
            is_old = unit in self.candidate.old or unit in self.stable.old
            bad += 1
            candidate += of_old if is_old else of_all
            self.candidate.leave(unit)
            self.stable.leave(unit)
        return parted(bad, candidate)

    def clear(self) -> None:
        self.candidate, self.stable = Side(), Side()


def parted(bad: int, candidate: int) -> AtRisk:
    """So many bad ones, of which so much would be the candidate's."""
    return AtRisk(candidate, bad * AT_RISK_EACH - candidate)


def part_of(share: float) -> int:
    return round(AT_RISK_EACH * share)


def _part(candidate: int, stable: int) -> int:
    total = candidate + stable
    return part_of(candidate / total) if total else 0


def _turned(unit: int) -> int:
    """The upper bits of 32 below: by the lower ones workers have thinned them already."""
    return (unit >> 16 | unit << 16) & FIRST_BITS

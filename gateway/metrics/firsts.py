"""The first request of each unit, for a judge who must not take a busy user for many.

Where units stay on their version, a few busy ones with slow requests make their version look slow.
So the judge times one request of each unit, and workers tell of one: of the first that arrives
after users were dealt. They tell of everybody again after a while, since the judge does not listen
while the candidate is cold, batches may be lost, and a version may become slow later; it is the
judge who counts each unit once, whichever worker told of it.
"""

from __future__ import annotations

from typing import Final

# Longer than a candidate's warm-up, so that who came meanwhile is told of soon after it.
AGAIN_SECONDS: Final = 75
AGAIN_AND_AGAIN_SECONDS: Final = 300
# A bandit changes weights all the time. A probe begins 20 s after the candidate was taken away.
_LEAST_SECONDS: Final = 15
_MOST_MET: Final = 16_384  # the judge remembers half as many of each version
MOST_A_SECOND: Final = 1000

UNIT_MASK: Final = 0xFFFF_FFFF  # two of a hundred thousand may be taken for one


class Firsts:
    """Which units of one route were told of, on one worker.

    Where there are too many, every second one is left out by its hash, on all versions alike: to
    leave out whoever comes last would leave out other users on the version with most of them.
    """

    __slots__ = ("_again_at", "_in_second", "_is_due", "_mask", "_since", "_told", "awaited", "met")

    def __init__(self) -> None:
        # Unit -> when the request to be timed arrived.
        self.awaited: dict[int, float] = {}
        self.met: set[int] = set()  # who was told of
        self._is_due = True
        self._since = self._again_at = 0
        self._mask = self._told = self._in_second = 0

    def __repr__(self) -> str:
        return f"<Firsts of {len(self.met)} units, {len(self.awaited)} on their way>"

    def is_first(self, unit: int, second: int, at: float) -> bool:
        """Whether this request, which arrives in the second, is the one to tell of."""
        met = self.met
        if unit in met or unit & self._mask or unit in self.awaited:
            return False
        if second != self._in_second:
            self._in_second, self._told = second, 0
        self._told += 1
        met.add(unit)
        self.awaited[unit] = at
        if self._told >= MOST_A_SECOND or len(met) > _MOST_MET:
            self._told = 0
            self._mask = self._mask << 1 | 1
            met.difference_update([one for one in met if one & self._mask])
        return True

    def dealt(self) -> None:
        """Users were dealt anew: each is to be told of once more."""
        self._is_due = True

    def tick(self, second: int) -> None:
        """To be called every second."""
        passed = second - self._since
        if self._is_due and not 0 <= passed < _LEAST_SECONDS:
            self._is_due = False
            wait = AGAIN_SECONDS
        elif passed < 0 or second >= self._again_at:
            wait = AGAIN_AND_AGAIN_SECONDS
        else:
            return
        self.met.clear()
        self._mask >>= 1
        self._since = second
        self._again_at = second + wait

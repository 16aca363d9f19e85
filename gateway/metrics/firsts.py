"""The first request of each unit, for a judge who must not take a busy user for many.

Where units stay on their version, a few busy ones with slow requests make their version look slow.
So the judge times one request of each unit, and workers tell of one: of the first that arrives
after users were dealt. They tell again after a while, and then ever more seldom, because the judge
does not listen while the candidate is cold, and batches may be lost; it is the judge who counts
each unit once, whichever worker told of it.
"""

from __future__ import annotations

from typing import Final

# Longer than a candidate's warm-up, so that who came meanwhile is told of soon after it.
AGAIN_SECONDS: Final = 75
# A bandit changes weights all the time.
_LEAST_SECONDS: Final = 30
_MOST_MET: Final = 100_000

UNIT_MASK: Final = 0xFFFF_FFFF  # two of a hundred thousand may be taken for one


class Firsts:
    """Which units of one route were told of, on one worker."""

    __slots__ = ("_again_at", "_is_due", "_since", "_wait", "awaited", "met")

    def __init__(self) -> None:
        self.awaited: dict[int, int] = {}  # unit -> second of arrival of the one to be timed
        self.met: set[int] = set()  # who was told of
        self._is_due = True
        self._since = self._again_at = self._wait = 0

    def __repr__(self) -> str:
        return f"<Firsts of {len(self.met)} units, {len(self.awaited)} on their way>"

    def is_first(self, unit: int, second: int) -> bool:
        """Whether this request, which arrives in the second, is the one to tell of."""
        met = self.met
        if unit in met or unit in self.awaited or len(met) >= _MOST_MET:
            return False
        met.add(unit)
        self.awaited[unit] = second
        return True

    def dealt(self) -> None:
        """Users were dealt anew: each is to be told of once more."""
        self._is_due = True

    def tick(self, second: int) -> None:
        """To be called every second."""
        if self._is_due and not 0 <= second - self._since < _LEAST_SECONDS:
            self._is_due = False
            self._wait = AGAIN_SECONDS
        elif second >= self._again_at:
            self._wait *= 2
        else:
            return
        self.met.clear()
        self._since = second
        self._again_at = second + self._wait

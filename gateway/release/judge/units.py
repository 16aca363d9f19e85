"""First bad answers of units: each unit once, whichever gateway told of it, in bounded memory.

Where units stay on their version, a few unlucky ones fail again and again, and requests are no
independent draws any more: counted by requests, equal versions are rolled back in every third
release. Counted once per unit and stage, they are not.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

# 20,000 hashes are 180 kB in the store.
MOST_UNITS = 20_000


class DistinctUnits(msgspec.Struct):
    """The units that had a bad answer in this stage.

    When memory is full, every second unit is left out from now on, by its hash: on both versions
    alike, so what is left is as fair a draw as before.
    """

    seen: set[int] = msgspec.field(default_factory=set)
    mask: int = 0

    def count_new(self, hashes: Iterable[int]) -> int:
        """How many of these are told of for the first time."""
        new = 0
        for unit in hashes:
            if unit & self.mask or unit in self.seen:
                continue
            self.seen.add(unit)
            new += 1
            if len(self.seen) > MOST_UNITS:
                self.mask = self.mask << 1 | 1
                self.seen = {kept for kept in self.seen if not kept & self.mask}
        return new

    def clear(self) -> None:
        """A new stage: everybody may fail once more."""
        self.seen.clear()
        self.mask = 0

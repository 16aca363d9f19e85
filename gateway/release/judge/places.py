"""Where those stand who fail again, on the line along which users are dealt.

The candidate has all below its share; as that grows or shrinks, users change their version one by
one, in the order in which they stand. Who has failed on stable at 5 % stands above it, and at 25 %
he is on the candidate with a chance of 20 in 95; who has failed on the candidate then is there in
any case. So each unit tells no more than its one place, bit by bit, however often it fails and the
weight moves: counted anew each time by the share alone, a few who always fail would condemn any
version that has one of them too many.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from gateway.release.judge.counts import AT_RISK_EACH
from gateway.release.judge.present import part_of

MOST_PLACES = 20_000  # 360 kB in the store
_ANYWHERE = (0, AT_RISK_EACH)


class Came(NamedTuple):
    """To which version requests came, and how users were dealt then."""

    is_candidate: bool
    # Of the candidate in that second; the largest and the least, while it changes.
    share: float
    least: float
    is_before: bool  # the last change of it


class Places(msgspec.Struct):
    """Of each unit that failed, the bounds of its place, in millionths.

    When memory is full, every second unit is left out by its hash, on both versions alike.
    """

    known: dict[int, tuple[int, int]] = msgspec.field(default_factory=dict)
    mask: int = 0

    def part(self, unit: int, came: Came) -> int:
        """The candidate's part in the failure of a unit that has failed before.

        Nothing is learnt of one who is where he cannot be: something else has moved him.
        """
        low, high = self.known[unit]
        share = min(max(part_of(came.share), low), high)
        part = round(AT_RISK_EACH * (share - low) / (high - low))
        if came.is_candidate:
            return part or AT_RISK_EACH
        return part if part < AT_RISK_EACH else 0

    def learn(self, units: Iterable[int], came: Came) -> None:
        """These have failed here."""
        for unit in units:
            if unit & self.mask:
                continue
            before = self.known.get(unit, _ANYWHERE)
            bounds = (_bounds(before, came), _bounds(_ANYWHERE, came))
            self.known[unit] = next((one for one in bounds if one[0] < one[1]), before)
            if len(self.known) > MOST_PLACES:
                self.mask = self.mask << 1 | 1
                self.known = {one: at for one, at in self.known.items() if not one & self.mask}


def _bounds(before: tuple[int, int], came: Came) -> tuple[int, int]:
    low, high = before
    if came.is_candidate:
        return low, min(high, part_of(came.share))
    return max(low, part_of(came.least)), high

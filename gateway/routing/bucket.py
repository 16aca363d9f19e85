"""Where a unit stands, and which candidate owns that place.

A unit's bucket is `xxh3_64(salt + ":" + unit)`, a point on a circle of 2**64 places. A weight is
rounded to a millionth of a percent and owns `micro * 2**64 // 10**8` places: whole numbers only, so
that any language finds the same owner.

Candidates sit on the circle so that growing rarely makes them meet. All versions but stable, active
or not, stand in natural order (v2 before v10). Number i belongs to pair i // 2, which has its
origin at 0, 1/2, 1/4, 3/4, 1/8, ... of the circle (van der Corput); the even one grows upwards from
the origin, the odd one downwards. In this order each takes the first places that nobody before it
has taken. Hence raising a weight never moves anyone off a candidate

- with two candidates of one pair, at any weights: they meet only where stable has run out;
- with up to 4 candidates of at most 25 % each, up to 8 of at most 12.5 % each, and so on.

More cannot be had without remembering every unit. Say it held for A, B and C at any weights: then
the places of each depend on its own weight alone, and A at 100 - x owns all but those of B at x,
and all but those of C at x. So B and C own the same places, although no place has two owners.

The layout depends on which versions exist: adding or removing one that sorts before an active
candidate moves units; setting a weight to 0 does not.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Final

from xxhash import xxh3_64_intdigest

CIRCLE: Final = 2**64
_MICRO: Final = 10**6  # millionths of a percent
_FULL: Final = 100 * _MICRO

_DIGITS: Final = re.compile(r"([0-9]+)")

Arc = tuple[int, int]  # places from the first up to, not including, the second


def natural_key(name: str) -> tuple[tuple[tuple[int, str], ...], str]:
    """Sorts names as people do: v2 before v10; equal-looking ones (v2, v02) by their text."""
    parts = _DIGITS.split(name)
    parts[1::2] = [digits.lstrip("0") for digits in parts[1::2]]
    # Numbers compare by length first; text between them has length 0, so only by its letters.
    return tuple((len(part) if i % 2 else 0, part) for i, part in enumerate(parts)), name


def bucket(salt: bytes, unit: bytes) -> int:
    """The place of a unit, 0 to 2**64 - 1."""
    return xxh3_64_intdigest(salt + b":" + unit)


def percent_of(place: int) -> float:
    """A place, or a number of places, as percent of the circle."""
    return place * 100 / CIRCLE


def threshold(percent: float) -> int:
    """How many places a weight owns."""
    return round(percent * _MICRO) * CIRCLE // _FULL


class Intervals:
    """Who owns which places; immutable."""

    __slots__ = ("cuts", "owners")

    def __init__(self, pieces: Mapping[Arc, str]) -> None:
        """Takes arcs that do not overlap; what they leave out belongs to nobody."""
        self.cuts: list[int] = []  # where the owner changes
        self.owners: list[str | None] = [None]  # one more than cuts
        for (first, end), owner in sorted(pieces.items()):
            self._change(first, owner)
            self._change(end, None)

    def _change(self, place: int, owner: str | None) -> None:
        if place == 0 or (self.cuts and self.cuts[-1] == place):
            self.owners[-1] = owner
        elif place < CIRCLE:
            self.cuts.append(place)
            self.owners.append(owner)
        # Two arcs of one owner that touch are one.
        if len(self.owners) > 1 and self.owners[-1] == self.owners[-2]:
            self.cuts.pop()
            self.owners.pop()

    def find(self, place: int) -> str | None:
        return self.owners[bisect_right(self.cuts, place)]

    def of(self, candidate: str) -> tuple[Arc, ...]:
        """The arcs of one candidate, from low to high."""
        ends = zip([0, *self.cuts], [*self.cuts, CIRCLE], self.owners, strict=True)
        return tuple((first, end) for first, end, owner in ends if owner == candidate)

    def __repr__(self) -> str:
        shares = [
            f"{owner} {percent_of(first):g}-{percent_of(end):g} %"
            for owner in dict.fromkeys(name for name in self.owners if name is not None)
            for first, end in self.of(owner)
        ]
        return f"<Intervals {', '.join(shares) or 'empty'}>"


def allocate(candidates: Sequence[str], weights: Mapping[str, float]) -> Intervals:
    """Give each candidate its places; `candidates` are all versions but stable, in natural order.

    Raises ValueError when weights cannot be had: unknown names, not 0 to 100, over 100 in sum.
    """
    needs = _needs(candidates, weights)
    free: list[Arc] = [(0, CIRCLE)]
    pieces: dict[Arc, str] = {}
    for index, candidate in enumerate(candidates):
        taken, free = _take(free, _origin(index // 2), index % 2 == 0, needs.get(candidate, 0))
        pieces.update(dict.fromkeys(taken, candidate))
    return Intervals(pieces)


def _needs(candidates: Sequence[str], weights: Mapping[str, float]) -> dict[str, int]:
    micros: dict[str, int] = {}
    for name, percent in weights.items():
        if name not in candidates:
            raise ValueError(f"There is no candidate {name}; weights go to existing candidates.")
        if not 0 <= percent <= 100:
            raise ValueError(f"The weight {percent:g} of {name} is not between 0 and 100 percent.")
        micros[name] = round(percent * _MICRO)
    total = sum(micros.values())
    if total > _FULL:
        raise ValueError(f"The weights add up to {total / _MICRO:g} percent; at most 100 can be.")
    needs = {name: threshold(percent) for name, percent in weights.items()}
    if total == _FULL:
        # Rounding down leaves a few of the 2**64 places over; at 100 % none may stay with stable.
        last = max((name for name in needs if needs[name]), key=candidates.index)
        needs[last] += CIRCLE - sum(needs.values())
    return needs


def _origin(pair: int) -> int:
    """The van der Corput sequence on the circle: 0, 1/2, 1/4, 3/4, 1/8, ..."""
    return int(f"{pair:064b}"[::-1], 2)


def _take(free: list[Arc], origin: int, upwards: bool, places: int) -> tuple[list[Arc], list[Arc]]:
    """The first free places from the origin on, in one direction; and what stays free."""
    above = [(max(first, origin), end) for first, end in free if end > origin]
    below = [(first, min(end, origin)) for first, end in free if first < origin]
    ordered = above + below if upwards else (above + below)[::-1]
    taken: list[Arc] = []
    left: list[Arc] = []
    for first, end in ordered:
        size = min(end - first, places)
        places -= size
        cut = first + size if upwards else end - size
        mine, others = ((first, cut), (cut, end)) if upwards else ((cut, end), (first, cut))
        taken += [mine] if mine[0] < mine[1] else []
        left += [others] if others[0] < others[1] else []
    return taken, sorted(left)

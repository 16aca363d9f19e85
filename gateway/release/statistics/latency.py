"""Is the candidate slower? Frozen thresholds and ranks, judged by the engine of `draws`.

Before the release, stable's own times fix six thresholds (its median up to its 99.9th percentile)
and a score for every bucket of the histogram: the share of stable's requests that were quicker.
They know nothing of the data that they judge, so drift that both versions share stays harmless.

- Tails: "at or above the threshold" is a bad event like any other. Finds what only some meet.
- Rank: the candidate's scores should sum up to what a fair draw from all requests gives. By
  Hoeffding (1963) the moments of a draw without replacement are at most those of one with it.
  Finds shifts of everything. Scores end at the 95th percentile: all above is one bucket, so nobody
  waits for the slowest request of a second before the others are judged.

A margin is made by sliding the candidate's times down by whole buckets, not by statistics on a
ratio. With the roles swapped, and the candidate slid down by k buckets, the same evidence refutes
"the candidate is slower by k buckets or more".
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from math import ceil, exp, log

import msgspec

from gateway.release.statistics.draws import TAIL_EFFECTS, Draws
from gateway.release.statistics.logs import ln_mean_exp

GROWTH = 1.05  # each bucket of the histograms is so much wider than the one below
QUANTILES = (0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
CAP_QUANTILE = 0.95
TILTS = (0.15, 0.3, 0.6, 1.2, 2.4)
TAILS_WEIGHT = 2 / 3

# Where the exponentials of rising and of falling scores begin in a list of sums.
_RISING = 1
_FALLING = 1 + len(TILTS)
SUMS = 1 + 2 * len(TILTS)


def edge_of(bucket: int) -> float:
    """The least time of a bucket, in seconds."""
    return float(GROWTH**bucket)


def slide_of(margin: float) -> int:
    """The buckets that a margin (0.05 = 5 %) slides the candidate down."""
    return ceil(log(1.0 + margin) / log(GROWTH) - 1e-9)


class Scale(msgspec.Struct, frozen=True):
    """What stable's times before the release fixed."""

    thresholds: tuple[int, ...]  # buckets; "over" is this one or above
    lowest: int  # the bucket of the first score
    scores: tuple[float, ...]  # of it and those above; the last one of all that are higher

    @property
    def cap(self) -> int:
        """The first of the buckets that share the last score."""
        return self.lowest + len(self.scores) - 1


def freeze(histogram: Mapping[int, int]) -> Scale | None:
    """The scale of these times; None without any."""
    total = sum(histogram.values())
    if not total:
        return None
    lowest, highest = min(histogram), max(histogram)
    counts = [histogram.get(bucket, 0) for bucket in range(lowest, highest + 2)]
    below = [0, *accumulate(counts)][:-1]
    thresholds = [lowest + _nearest(below, share * total) for share in QUANTILES]
    cap = thresholds[QUANTILES.index(CAP_QUANTILE)] - lowest
    scores = [(below[i] + counts[i] / 2) / total for i in range(cap)]
    scores.append((below[cap] / total + 1.0) / 2)
    return Scale(tuple(sorted(set(thresholds))), lowest, tuple(scores))


def _nearest(below: Sequence[int], wanted: float) -> int:
    """The place whose number is nearest; of two as near the upper, never the first."""
    place = max(bisect_left(below, wanted), 1)
    if place < len(below) and below[place] - wanted <= wanted - below[place - 1]:
        return place
    return max(min(place, len(below)) - 1, 1)


# Fixed-point numbers side by side in one integer: 64 bits behind the point, 32 before it.
_LANE_BITS = 96
_LANE = (1 << _LANE_BITS) - 1
_ONE = 1 << 64
_UNIT = 1.0 / _ONE


class Scores:
    """A scale made ready to sum up histograms, as they are and slid down by so many buckets.

    What one request adds to all of the sums is one long integer: so a bucket costs one
    multiplication and one addition, a fraction of what eleven numbers for every slide would cost.
    """

    __slots__ = ("_first", "_lanes", "_rows", "scale")

    def __init__(self, scale: Scale, slides: Sequence[int] = (0,)) -> None:
        self.scale = scale
        numbers = [_numbers(score) for score in (0.0, *scale.scores)]
        # What is below the lowest bucket adds, then what each bucket adds, up to the slid cap.
        self._first = scale.lowest - 1 + min(slides)
        last = len(numbers) - 1
        self._rows = [
            _packed(
                number
                for slide in slides
                for number in numbers[min(max(place + min(slides) - slide, 0), last)]
            )
            for place in range(last + 1 + max(slides) - min(slides))
        ]
        self._lanes = tuple(
            tuple(_LANE_BITS * (SUMS * place + number) for number in range(SUMS))
            for place in range(len(slides))
        )

    def sums(self, histogram: Mapping[int, int], beyond: int = 0) -> list[float]:
        """The sum of scores, less a half each, then the sums of exponentials; by the first slide.

        `beyond` requests are not in the histogram but known to be above the cap, slid or not.
        """
        return self.slid_sums(histogram, beyond)[0]

    def slid_sums(self, histogram: Mapping[int, int], beyond: int = 0) -> list[list[float]]:
        """The same for each of the slides."""
        rows, first = self._rows, self._first
        last = len(rows) - 1
        requests, packed = beyond, beyond * rows[last]
        for bucket, count in histogram.items():
            place = bucket - first
            packed += count * rows[0 if place < 0 else place if place < last else last]
            requests += count
        found = []
        for lanes in self._lanes:
            sums = [(packed >> lane & _LANE) * _UNIT for lane in lanes]
            sums[0] -= requests / 2
            found.append(sums)
        return found


def _numbers(score: float) -> tuple[float, ...]:
    """The score itself, for no lane can be negative, and its exponentials about the middle."""
    middle = score - 0.5
    rising = (exp(tilt * middle) for tilt in TILTS)
    falling = (exp(-tilt * middle) for tilt in TILTS)
    return (score, *rising, *falling)


def _packed(numbers: Iterable[float]) -> int:
    return sum(round(n * _ONE) << _LANE_BITS * place for place, n in enumerate(numbers))


class Slower(msgspec.Struct):
    """The evidence so far that one arm is slower than the other, of one metric and one slide."""

    tails: list[Draws]
    rank: list[float]

    @classmethod
    def over(cls, scale: Scale) -> Slower:
        return cls([Draws.over(TAIL_EFFECTS) for _ in scale.thresholds], [0.0] * len(TILTS))

    def observe_tail(self, cut: int, arm: int, total: int, over: int, arm_over: int) -> None:
        """One stratum of threshold number `cut`; `arm` is the one suspected to be slower."""
        self.tails[cut].observe(TAIL_EFFECTS, arm, total, over, arm_over)

    def observe_rank(
        self, arm: int, arm_sums: Sequence[float], other: int, other_sums: Sequence[float]
    ) -> None:
        """One stratum of scores; the smaller arm is the one that is seen as drawn."""
        if not arm or not other:
            return
        if arm <= other:
            drawn, score, first = arm, arm_sums[0], _RISING
        else:
            drawn, score, first = other, -other_sums[0], _FALLING
        total = arm + other
        self.rank = [
            so_far + tilt * score - drawn * log((mine + theirs) / total)
            for so_far, tilt, mine, theirs in zip(
                self.rank, TILTS, arm_sums[first:], other_sums[first:], strict=False
            )
        ]

    def ln_e(self) -> float:
        # Every threshold has as many effects: the mean of their means is the mean of all.
        tails = [ln for draws in self.tails for ln in draws.logs]
        return self._ln(ln_mean_exp(tails), ln_mean_exp(self.rank))

    def ln_e_since(self, mark: Slower) -> float:
        """The evidence of what came after this one was as `mark`."""
        tails = [
            now.ln_e_since(then.logs) for now, then in zip(self.tails, mark.tails, strict=True)
        ]
        ranks = [now - then for now, then in zip(self.rank, mark.rank, strict=True)]
        return self._ln(ln_mean_exp(tails), ln_mean_exp(ranks))

    @staticmethod
    def _ln(tails: float, rank: float) -> float:
        top = max(tails, rank)
        mean = TAILS_WEIGHT * exp(tails - top) + (1.0 - TAILS_WEIGHT) * exp(rank - top)
        return top + log(mean)

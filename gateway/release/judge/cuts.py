"""Latency by arrival second: what a second's histograms say at the moment each threshold is due.

A threshold tau is judged tau seconds after arrival. By then whoever was quicker has been told of;
all others, finished or not, are above it. So a candidate that never answers is seen as soon as tau
has passed, and nobody is judged only by those who survived. The same cut is taken for stable.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from math import ceil

import msgspec

from gateway.release.judge.baseline import Baseline
from gateway.release.judge.measured import METRICS, Cell, FirstTimes, histograms
from gateway.release.judge.settings import JudgeSettings
from gateway.release.judge.strata import Purpose, RankSums, TailCounts
from gateway.release.statistics.latency import Scale, Scores, edge_of, slide_of


class Timed(msgspec.Struct):
    """One version's requests of one arrival second, as far as they were told of."""

    arrived: int = 0
    finished: int = 0
    total: dict[int, int] = msgspec.field(default_factory=dict)
    first_byte: dict[int, int] = msgspec.field(default_factory=dict)
    gap: dict[int, int] = msgspec.field(default_factory=dict)

    def add(self, cell: Cell) -> None:
        self.arrived += cell.arrived
        self.finished += cell.finished
        for metric, added in histograms(cell).items():
            known = self.of(metric)
            if not known:
                known.update(added)  # so it is nearly always: one gateway, one batch
                continue
            for bucket, count in added.items():
                known[bucket] = known.get(bucket, 0) + count

    def of(self, metric: str) -> dict[int, int]:
        if metric == "total":
            return self.total
        return self.first_byte if metric == "first_byte" else self.gap

    def judged(self, metric: str) -> int:
        """How many have such a time, be it that it is not yet known.

        First byte and gap are told when a request has ended; who has not may yet have none.
        """
        timed = sum(self.of(metric).values())
        if metric != "total":
            return timed
        without = self.finished - timed
        # The batch that told of the arrivals may be lost, and a later one not.
        return max(self.arrived - max(without, 0), timed)


class Firsts(msgspec.Struct):
    """One version's units whose one timed request arrived in one second."""

    timed: Timed = msgspec.field(default_factory=Timed)
    awaited: set[int] = msgspec.field(default_factory=set)

    def add(self, new: set[int], times: Iterable[FirstTimes]) -> None:
        """Units that came, each for the first time, and ends of which not all are of such ones."""
        timed = self.timed
        timed.arrived += len(new - self.awaited)
        self.awaited |= new
        for unit, *buckets in times:
            if unit not in self.awaited:
                continue
            self.awaited.remove(unit)
            timed.finished += 1
            for metric, bucket in zip(METRICS, buckets, strict=True):
                if bucket is not None:
                    counts = timed.of(metric)
                    counts[bucket] = counts.get(bucket, 0) + 1


class Cut(msgspec.Struct, frozen=True):
    """One threshold, or the rank, of one metric; due so many seconds after arrival."""

    metric: str
    place: int  # of the threshold; -1 is the rank
    wait: int
    name: str = ""  # for what is pending

    @property
    def is_rank(self) -> bool:
        return self.place < 0


def cuts_of(settings: JudgeSettings, baseline: Baseline) -> tuple[Cut, ...]:
    """All cuts, those that are due first in front."""
    cuts = []
    for metric, scale in baseline.scales.items():
        if metric not in settings.latency_margins:
            continue
        furthest = max(slides_of(settings, metric))
        for place, bucket in [*enumerate(scale.thresholds), (-1, scale.cap)]:
            wait = ceil(edge_of(bucket + furthest))
            cuts.append(Cut(metric, place, wait, f"{metric} {place}"))
    totals = sorted(cut.wait for cut in cuts if cut.metric == "total")
    if totals:
        # The others are told when the request has ended. To judge them sooner would be to judge
        # short answers only, and a candidate that is quicker would seem to have the longer ones.
        nearly_all = totals[max(len(totals) - 2, 0)]
        cuts = [
            cut if cut.metric == "total" else msgspec.structs.replace(cut, wait=nearly_all)
            for cut in cuts
        ]
    return tuple(sorted(cuts, key=lambda cut: cut.wait))


def slides_of(settings: JudgeSettings, metric: str, purpose: Purpose = "both") -> tuple[int, ...]:
    """How far the candidate is slid down, in the order of `TailCounts.candidate_over`."""
    alarm = (0, slide_of(settings.latency_margins[metric]))
    proof = (slide_of(settings.latency_proof_margin),)
    if purpose == "both":
        return alarm + proof
    return alarm if purpose == "alarm" else proof


class Cutter:
    """Takes the cuts of one release."""

    def __init__(
        self, settings: JudgeSettings, baseline: Baseline, purpose: Purpose = "both"
    ) -> None:
        self.cuts = cuts_of(settings, baseline)
        self._purpose = purpose
        self._scales: Mapping[str, Scale] = baseline.scales
        self._slides = {m: slides_of(settings, m, purpose) for m in settings.latency_margins}
        judged = {
            metric: scale for metric, scale in baseline.scales.items() if metric in self._slides
        }
        self._scores = {metric: Scores(scale) for metric, scale in judged.items()}
        self._slid_scores = {m: Scores(scale, self._slides[m]) for m, scale in judged.items()}

    def take(
        self, cuts: Sequence[Cut], candidate: Timed, stable: Timed, epoch: int = 0
    ) -> list[TailCounts | RankSums]:
        """What each of these cuts says of one second."""
        known: dict[str, tuple[_Ordered, _Ordered]] = {}
        taken: list[TailCounts | RankSums] = []
        for cut in cuts:
            metric = cut.metric
            both = known.get(metric)
            if both is None:
                both = known[metric] = (_Ordered(candidate, metric), _Ordered(stable, metric))
            counts = self._rank(metric, *both) if cut.is_rank else self._tail(cut, *both)
            counts.epoch = epoch
            taken.append(counts)
        return taken

    def _tail(self, cut: Cut, candidate: _Ordered, stable: _Ordered) -> TailCounts:
        metric, threshold = cut.metric, self._scales[cut.metric].thresholds[cut.place]
        return TailCounts(
            metric=metric,
            cut=cut.place,
            purpose=self._purpose,
            candidate_n=candidate.judged,
            candidate_over=[candidate.over(threshold + slide) for slide in self._slides[metric]],
            stable_n=stable.judged,
            stable_over=stable.over(threshold),
        )

    def _rank(self, metric: str, candidate: _Ordered, stable: _Ordered) -> RankSums:
        return RankSums(
            metric=metric,
            purpose=self._purpose,
            candidate_n=candidate.judged,
            candidate=candidate.sums(self._slid_scores[metric]),
            stable_n=stable.judged,
            stable=stable.sums(self._scores[metric])[0],
        )


class _Ordered:
    """One version's times by one metric, summed up once for all thresholds that are due."""

    __slots__ = ("_below", "_buckets", "_histogram", "judged")

    def __init__(self, timed: Timed, metric: str) -> None:
        self._histogram = timed.of(metric)
        self._buckets = sorted(self._histogram)
        # How many are below each of the buckets, and at the end how many there are.
        self._below = [0, *accumulate(map(self._histogram.__getitem__, self._buckets))]
        self.judged = timed.judged(metric)

    def over(self, threshold: int) -> int:
        return self.judged - self._below[bisect_left(self._buckets, threshold)]

    def sums(self, scores: Scores) -> list[list[float]]:
        return scores.slid_sums(self._histogram, self.judged - self._below[-1])


def due(cuts: tuple[Cut, ...], taken: int, waited: int) -> tuple[Cut, ...]:
    """Those that come after the first `taken` and have waited long enough."""
    end = taken
    while end < len(cuts) and cuts[end].wait <= waited:
        end += 1
    return cuts[taken:end]

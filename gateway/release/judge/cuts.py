"""Latency by arrival second: what a second's histograms say at the moment each threshold is due.

A threshold tau is judged tau seconds after arrival. By then whoever was quicker has been told of;
all others, finished or not, are above it. So a candidate that never answers is seen as soon as tau
has passed, and nobody is judged only by those who survived. The same cut is taken for stable.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import ceil

import msgspec

from gateway.release.judge.baseline import Baseline
from gateway.release.judge.measured import Cell, histograms
from gateway.release.judge.settings import JudgeSettings
from gateway.release.judge.strata import RankSums, TailCounts
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
        if metric != "total":
            return sum(self.of(metric).values())
        without = self.finished - sum(self.total.values())
        return max(self.arrived - max(without, 0), 0)


class Cut(msgspec.Struct, frozen=True):
    """One threshold, or the rank, of one metric; due so many seconds after arrival."""

    metric: str
    place: int  # of the threshold; -1 is the rank
    wait: int


def cuts_of(settings: JudgeSettings, baseline: Baseline) -> tuple[Cut, ...]:
    """All cuts, those that are due first in front."""
    cuts = []
    for metric, scale in baseline.scales.items():
        if metric not in settings.latency_margins:
            continue
        furthest = max(slides_of(settings, metric))
        for place, bucket in [*enumerate(scale.thresholds), (-1, scale.cap)]:
            cuts.append(Cut(metric, place, ceil(edge_of(bucket + furthest))))
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


def slides_of(settings: JudgeSettings, metric: str) -> tuple[int, ...]:
    """How far the candidate is slid down, in the order of `TailCounts.candidate_over`."""
    margin = slide_of(settings.latency_margins[metric])
    proof = slide_of(settings.latency_proof_margin)
    return (0, margin, proof)


class Cutter:
    """Takes the cuts of one release."""

    def __init__(self, settings: JudgeSettings, baseline: Baseline) -> None:
        self.cuts = cuts_of(settings, baseline)
        self._scales: Mapping[str, Scale] = baseline.scales
        self._scores = {metric: Scores(scale) for metric, scale in baseline.scales.items()}
        self._slides = {metric: slides_of(settings, metric) for metric in settings.latency_margins}

    def take(self, cut: Cut, candidate: Timed, stable: Timed) -> TailCounts | RankSums:
        if cut.place < 0:
            return self._rank(cut, candidate, stable)
        return self._tail(cut, candidate, stable)

    def _tail(self, cut: Cut, candidate: Timed, stable: Timed) -> TailCounts:
        metric, threshold = cut.metric, self._scales[cut.metric].thresholds[cut.place]
        candidate_n, stable_n = candidate.judged(metric), stable.judged(metric)
        slides = self._slides[metric]
        return TailCounts(
            metric=metric,
            cut=cut.place,
            candidate_n=candidate_n,
            candidate_over=[
                _over(candidate.of(metric), candidate_n, threshold + slide) for slide in slides
            ],
            stable_n=stable_n,
            stable_over=_over(stable.of(metric), stable_n, threshold),
        )

    def _rank(self, cut: Cut, candidate: Timed, stable: Timed) -> RankSums:
        metric, scores = cut.metric, self._scores[cut.metric]
        candidate_n, stable_n = candidate.judged(metric), stable.judged(metric)
        return RankSums(
            metric=metric,
            candidate_n=candidate_n,
            candidate=[
                _sums(scores, candidate.of(metric), candidate_n, slide)
                for slide in self._slides[metric]
            ],
            stable_n=stable_n,
            stable=_sums(scores, stable.of(metric), stable_n, 0),
        )


def _over(histogram: Mapping[int, int], judged: int, threshold: int) -> int:
    below = sum([count for bucket, count in histogram.items() if bucket < threshold])
    return max(judged - below, 0)


def _sums(scores: Scores, histogram: Mapping[int, int], judged: int, slide: int) -> list[float]:
    return scores.sums(histogram, judged - sum(histogram.values()), slide)


def due(cuts: tuple[Cut, ...], taken: int, waited: int) -> Iterator[Cut]:
    """Those that come after the first `taken` and have waited long enough."""
    for cut in cuts[taken:]:
        if cut.wait > waited:
            return
        yield cut

"""One family of measurements: what was counted, and the evidence that the candidate is worse."""

from __future__ import annotations

from math import inf, log

import msgspec

from gateway.release.judge.baseline import Baseline
from gateway.release.judge.counts import Counts
from gateway.release.judge.epochs import Past
from gateway.release.judge.settings import JudgeSettings
from gateway.release.judge.strata import RankSums, TailCounts
from gateway.release.statistics.curve import Curve
from gateway.release.statistics.draws import RATE_EFFECTS, Draws
from gateway.release.statistics.latency import QUANTILES, Scale, Slower, slide_of
from gateway.release.statistics.logs import exp_capped, ln_mean_exp

NOISY = 1.5
NOISY_MARGIN = 1.25
LARGE_SHARE = 0.25
# The threshold whose counts people are shown.
_SHOWN_QUANTILE = 0.95


def error_margin(settings: JudgeSettings, noise: float | None, share: float) -> float:
    """The ratio of error rates that is still taken for equal.

    Endpoints have good and bad minutes that no version is to blame for. Where stable's noise was
    measured, it decides; where not, a large share of the candidate does, since it finds the least
    differences.
    """
    named = settings.rate_margins.get("errors")
    if named is not None:
        return named
    is_noisy = share >= LARGE_SHARE if noise is None else noise > NOISY
    return NOISY_MARGIN if is_noisy else 1.0


class RateFamily(msgspec.Struct):
    """Requests or events of which some are bad."""

    draws: Draws = msgspec.field(default_factory=lambda: Draws.over(RATE_EFFECTS))
    curve: Curve = msgspec.field(default_factory=Curve)
    counts: Counts = msgspec.field(default_factory=Counts)
    # By the nominal share: stable's rate may differ between stages that saw different days.
    by_share: dict[float, Counts] = msgspec.field(default_factory=dict)
    bad_seconds: int = 0  # different seconds in which the candidate had a bad one
    ln_peak: float = 0.0
    # Since the evidence was last 1 or less: what the present rise is made of.
    rise: Counts = msgspec.field(default_factory=Counts)
    rise_from: int | None = None
    risen_at: int = 0
    mark: list[float] | None = None

    def observe(
        self,
        second: int,
        share: float,
        counts: Counts,
        bad_seconds: int,
        margin: float = 1.0,
        noise: float = 1.0,
    ) -> None:
        """One stratum of this family."""
        new = (counts.candidate, counts.candidate_bad, counts.stable, counts.stable_bad)
        self.counts.add(*new)
        self.by_share.setdefault(share, Counts()).add(*new)
        self.rise.add(*new)
        bad = counts.candidate_bad + counts.stable_bad
        if not bad:
            return  # without a bad request nothing speaks for or against anybody
        self.bad_seconds += bad_seconds
        candidate, total = counts.candidate, counts.candidate + counts.stable
        if margin > 1.0:
            self.draws.observe_beyond(
                RATE_EFFECTS, margin, candidate, total, bad, counts.candidate_bad
            )
        else:
            self.draws.observe(RATE_EFFECTS, candidate, total, bad, counts.candidate_bad)
        self.curve.observe(candidate, total, bad, counts.candidate_bad)
        ln_e = self.draws.ln_e(noise)
        self.ln_peak = max(self.ln_peak, ln_e)
        if ln_e <= 0.0:
            self.rise = Counts()
            self.rise_from = None
        elif self.rise_from is None:
            self.rise_from = second
        self.risen_at = max(self.risen_at, second)

    def ln_e(self, noise: float) -> float:
        return self.draws.ln_e(noise)

    def ln_fresh(self, noise: float) -> float:
        return 0.0 if self.mark is None else self.draws.ln_e_since(self.mark, noise)

    def span_seconds(self) -> int:
        return 0 if self.rise_from is None else self.risen_at - self.rise_from + 1

    def may_hold(self, settings: JudgeSettings) -> bool:
        """Whether enough was seen at all: two bad requests may be one accident."""
        return self.counts.candidate_bad >= settings.hold_minimum_bad

    def may_roll_back(self, settings: JudgeSettings) -> bool:
        is_enough = self.counts.candidate_bad >= settings.minimum_bad
        is_lasting = self.bad_seconds >= settings.minimum_bad_seconds
        return is_enough and is_lasting and self.rise.excess() >= settings.error_excess

    def expected(self) -> tuple[int, int, float]:
        """(bad, requests, bad at stable's rate) of the candidate, where stable could be seen."""
        bad = requests = 0
        expected = 0.0
        for counts in self.by_share.values():
            if counts.stable:
                bad += counts.candidate_bad
                requests += counts.candidate
                expected += counts.candidate * counts.stable_bad / counts.stable
        return bad, requests, expected


class MetricLatency(msgspec.Struct):
    """One metric of the latency family: slower by anything, by the margin, or surely not."""

    scale: Scale
    slides: tuple[int, int, int]  # of `anything`, `margin`, `proof`
    anything: Slower
    margin: Slower
    proof: Slower  # that stable is slower than the candidate less the slide
    curve: Curve = msgspec.field(default_factory=Curve)
    counts: Counts = msgspec.field(default_factory=Counts)
    mark: Slower | None = None

    @classmethod
    def of(cls, scale: Scale, margin: float, proof_margin: float) -> MetricLatency:
        slides = (0, slide_of(margin), slide_of(proof_margin))
        return cls(scale, slides, Slower.over(scale), Slower.over(scale), Slower.over(scale))

    def observe_tail(self, tail: TailCounts) -> None:
        candidate, stable = tail.candidate_n, tail.stable_n
        total = candidate + stable
        if tail.purpose != "alarm":
            over = tail.candidate_over[-1] + tail.stable_over
            self.proof.observe_tail(tail.cut, stable, total, over, tail.stable_over)
        if tail.purpose == "proof":
            return
        plain, slid, *_ = tail.candidate_over
        self.anything.observe_tail(tail.cut, candidate, total, plain + tail.stable_over, plain)
        self.margin.observe_tail(tail.cut, candidate, total, slid + tail.stable_over, slid)
        if tail.cut == shown_cut(self.scale):
            self.curve.observe(candidate, total, plain + tail.stable_over, plain)
            self.counts.add(candidate, plain, stable, tail.stable_over)

    def observe_rank(self, rank: RankSums) -> None:
        candidate, stable = rank.candidate_n, rank.stable_n
        if rank.purpose != "alarm":
            self.proof.observe_rank(stable, rank.stable, candidate, rank.candidate[-1])
        if rank.purpose == "proof":
            return
        plain, slid, *_ = rank.candidate
        self.anything.observe_rank(candidate, plain, stable, rank.stable)
        self.margin.observe_rank(candidate, slid, stable, rank.stable)


def shown_cut(scale: Scale) -> int:
    """The number of the threshold at stable's 95th percentile, or of the one next to it."""
    place = QUANTILES.index(_SHOWN_QUANTILE)
    return min(place, len(scale.thresholds) - 1)


class LatencyFamily(msgspec.Struct):
    """Total time, time to the first byte and largest gap, averaged: one guardrail, three views.

    Where units stay, each is timed once in an epoch, and a version may become slow after that. What
    each epoch finds is evidence by itself; a mean of them, by weights that were fixed beforehand,
    is evidence, too, while a product would count the same units again and again.
    """

    metrics: dict[str, MetricLatency] = msgspec.field(default_factory=dict)
    ln_e: float = 0.0  # with the margins: what rolls back
    ln_hold: float = 0.0  # without them
    ln_peak: float = 0.0
    rise_from: int | None = None
    risen_at: int = 0
    epoch: int = 0  # the present one; 0 = there are none
    past: Past = msgspec.field(default_factory=Past)
    past_hold: Past = msgspec.field(default_factory=Past)

    @classmethod
    def of(cls, settings: JudgeSettings, baseline: Baseline) -> LatencyFamily:
        margins = settings.latency_margins
        return cls(
            {
                metric: MetricLatency.of(scale, margins[metric], settings.latency_proof_margin)
                for metric, scale in baseline.scales.items()
                if metric in margins
            }
        )

    def observe(
        self, second: int, tails: tuple[TailCounts, ...], ranks: tuple[RankSums, ...]
    ) -> None:
        epochs = [*(tail.epoch for tail in tails), *(rank.epoch for rank in ranks)]
        newest = max(epochs, default=0)
        if newest > self.epoch:
            self._enter(newest)
        for tail in tails:
            if tail.purpose != "alarm" or tail.epoch == self.epoch:
                self.metrics[tail.metric].observe_tail(tail)
        for rank in ranks:
            if rank.purpose != "alarm" or rank.epoch == self.epoch:
                self.metrics[rank.metric].observe_rank(rank)
        self.ln_e = self.past.ln_with(self.epoch, self._margin())
        self.ln_hold = self.past_hold.ln_with(self.epoch, self._anything())
        self.ln_peak = max(self.ln_peak, self.ln_e)
        if self.ln_e <= 0.0:
            self.rise_from = None
        elif self.rise_from is None:
            self.rise_from = second
        self.risen_at = max(self.risen_at, second)

    def _margin(self) -> float:
        return self._mean([metric.margin.ln_e() for metric in self.metrics.values()])

    def _anything(self) -> float:
        return self._mean([metric.anything.ln_e() for metric in self.metrics.values()])

    def _enter(self, epoch: int) -> None:
        """What was found so far stays as it is; what comes is judged by itself."""
        if self.epoch:
            self.past.put(self.epoch, self._margin())
            self.past_hold.put(self.epoch, self._anything())
        self.epoch = epoch
        for metric in self.metrics.values():
            metric.anything, metric.margin = (Slower.over(metric.scale) for _ in range(2))
            if metric.mark is not None:
                metric.mark = Slower.over(metric.scale)

    def is_seen(self, fewest: int) -> bool:
        """Whether so many of the candidate's requests were judged by any metric."""
        return any(metric.counts.candidate >= fewest for metric in self.metrics.values())

    def ln_fresh(self) -> float:
        marked = [(m.margin, m.mark) for m in self.metrics.values() if m.mark is not None]
        return self._mean([now.ln_e_since(then) for now, then in marked])

    def ln_proof(self) -> float:
        """The least of the metrics: it must be shown of each that the candidate keeps up."""
        return min((metric.proof.ln_e() for metric in self.metrics.values()), default=-inf)

    def span_seconds(self) -> int:
        return 0 if self.rise_from is None else self.risen_at - self.rise_from + 1

    @staticmethod
    def _mean(logs: list[float]) -> float:
        return ln_mean_exp(logs) if logs else 0.0

    def is_proven(self, alpha: float) -> bool:
        return self.ln_proof() >= log(1.0 / alpha)

    def shown(self) -> tuple[str, MetricLatency] | None:
        """The metric with the most evidence, to be shown to people; None without any."""
        if not self.metrics:
            return None
        return max(self.metrics.items(), key=lambda item: exp_capped(item[1].anything.ln_e()))

"""One family of measurements: what was counted, and the evidence that the candidate is worse."""

from __future__ import annotations

from math import inf, log

import msgspec

from gateway.release.judge.baseline import Baseline
from gateway.release.judge.counts import NOBODY, AtRisk, Counts
from gateway.release.judge.cuts import cuts_of
from gateway.release.judge.epochs import Epochs, claim_of
from gateway.release.judge.settings import JudgeSettings
from gateway.release.judge.strata import RankSums, TailCounts
from gateway.release.statistics.curve import Curve
from gateway.release.statistics.draws import RATE_EFFECTS, Draws
from gateway.release.statistics.latency import QUANTILES, Scale, Slower, slide_of
from gateway.release.statistics.logs import exp_capped, ln_mean_exp

NOISY = 1.5
NOISY_MARGIN = 1.25
LARGE_SHARE = 0.25
# Epochs that are over and whose slow requests are awaited; what is told of one comes so much later.
MOST_PAST = 12
_TOLD_SECONDS = 120
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
        at_risk: AtRisk | None = None,
    ) -> None:
        """One stratum of this family; who is `at_risk` says whom a bad one could have been."""
        new = (counts.candidate, counts.candidate_bad, counts.stable, counts.stable_bad)
        self.counts.add(*new)
        self.by_share.setdefault(share, Counts()).add(*new)
        self.rise.add(*new, at_risk or NOBODY)
        bad = counts.candidate_bad + counts.stable_bad
        if not bad:
            return  # without a bad request nothing speaks for or against anybody
        self.bad_seconds += bad_seconds
        candidate, stable = at_risk or (counts.candidate, counts.stable)
        total = candidate + stable
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


class Shown(msgspec.Struct):
    """One metric's times in one epoch, for people."""

    metric: str
    scale: Scale
    curve: Curve
    counts: Counts
    ln_e: float


class PastMetric(msgspec.Struct):
    """One metric's alarms in one epoch: slower by anything, and by the margin."""

    anything: Slower
    margin: Slower

    def observe_tail(self, tail: TailCounts) -> None:
        observe_tail(self.anything, self.margin, tail)

    def observe_rank(self, rank: RankSums) -> None:
        observe_rank(self.anything, self.margin, rank)


def observe_tail(anything: Slower, margin: Slower, tail: TailCounts) -> None:
    candidate, total = tail.candidate_n, tail.candidate_n + tail.stable_n
    plain, slid, *_ = tail.candidate_over
    anything.observe_tail(tail.cut, candidate, total, plain + tail.stable_over, plain)
    margin.observe_tail(tail.cut, candidate, total, slid + tail.stable_over, slid)


def observe_rank(anything: Slower, margin: Slower, rank: RankSums) -> None:
    plain, slid, *_ = rank.candidate
    anything.observe_rank(rank.candidate_n, plain, rank.stable_n, rank.stable)
    margin.observe_rank(rank.candidate_n, slid, rank.stable_n, rank.stable)


class Past(msgspec.Struct):
    """An epoch that is over: whoever was timed last in it may still be waiting for his answer."""

    number: int
    ended: int
    metrics: dict[str, PastMetric]

    def ln_margin(self) -> float:
        return self._claimed([metric.margin.ln_e() for metric in self.metrics.values()])

    def ln_anything(self) -> float:
        return self._claimed([metric.anything.ln_e() for metric in self.metrics.values()])

    def _claimed(self, logs: list[float]) -> float:
        return claim_of(self.number, ln_mean_exp(logs))


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
    # Of the epoch before, for people; and of all that are over.
    before: Shown | None = None
    candidate_before: int = 0

    @classmethod
    def of(cls, scale: Scale, margin: float, proof_margin: float) -> MetricLatency:
        slides = (0, slide_of(margin), slide_of(proof_margin))
        return cls(scale, slides, Slower.over(scale), Slower.over(scale), Slower.over(scale))

    def turn(self, name: str, ln_e: float) -> None:
        """An epoch is over, with this evidence; proof goes on, since it takes all requests."""
        if self.counts.candidate:
            self.before = Shown(name, self.scale, self.curve, self.counts, ln_e)
        self.candidate_before += self.counts.candidate
        self.curve, self.counts = Curve(), Counts()
        self.anything, self.margin = Slower.over(self.scale), Slower.over(self.scale)
        if self.mark is not None:
            self.mark = Slower.over(self.scale)

    def observe_tail(self, tail: TailCounts) -> None:
        candidate, stable = tail.candidate_n, tail.stable_n
        total = candidate + stable
        if tail.purpose != "alarm":
            over = tail.candidate_over[-1] + tail.stable_over
            self.proof.observe_tail(tail.cut, stable, total, over, tail.stable_over)
        if tail.purpose == "proof":
            return
        observe_tail(self.anything, self.margin, tail)
        plain = tail.candidate_over[0]
        if tail.cut == shown_cut(self.scale):
            self.curve.observe(candidate, total, plain + tail.stable_over, plain)
            self.counts.add(candidate, plain, stable, tail.stable_over)

    def observe_rank(self, rank: RankSums) -> None:
        candidate, stable = rank.candidate_n, rank.stable_n
        if rank.purpose != "alarm":
            self.proof.observe_rank(stable, rank.stable, candidate, rank.candidate[-1])
        if rank.purpose != "proof":
            observe_rank(self.anything, self.margin, rank)


def shown_cut(scale: Scale) -> int:
    """The number of the threshold at stable's 95th percentile, or of the one next to it."""
    place = QUANTILES.index(_SHOWN_QUANTILE)
    return min(place, len(scale.thresholds) - 1)


class LatencyFamily(msgspec.Struct):
    """Total time, time to the first byte and largest gap, averaged: one guardrail, three views.

    Where units stay, each is timed once in an epoch; see `epochs`.
    """

    metrics: dict[str, MetricLatency] = msgspec.field(default_factory=dict)
    ln_e: float = 0.0  # with the margins: what rolls back
    ln_hold: float = 0.0  # without them
    ln_peak: float = 0.0
    rise_from: int | None = None
    risen_at: int = 0
    # Of what rolls back, of what holds, and of what is fresh since the mark.
    margin: Epochs = msgspec.field(default_factory=Epochs)
    anything: Epochs = msgspec.field(default_factory=Epochs)
    fresh: Epochs = msgspec.field(default_factory=Epochs)
    # Where users are dealt more often than the slowest wait, all slow answers come too late for the
    # epoch that they were timed in.
    past: list[Past] = msgspec.field(default_factory=list)
    longest_wait: int = 0

    @classmethod
    def of(cls, settings: JudgeSettings, baseline: Baseline) -> LatencyFamily:
        margins = settings.latency_margins
        waits = [cut.wait for cut in cuts_of(settings, baseline)]
        return cls(
            {
                metric: MetricLatency.of(scale, margins[metric], settings.latency_proof_margin)
                for metric, scale in baseline.scales.items()
                if metric in margins
            },
            longest_wait=max(waits, default=0),
        )

    def observe(
        self, second: int, tails: tuple[TailCounts, ...], ranks: tuple[RankSums, ...]
    ) -> None:
        epochs = [*(tail.epoch for tail in tails), *(rank.epoch for rank in ranks)]
        newest = max(epochs, default=0)
        if newest > self.margin.number:
            self._enter(newest, second)
        latest = second - self.longest_wait - _TOLD_SECONDS
        self.past = [past for past in self.past[-MOST_PAST:] if past.ended >= latest]
        over = {past.number: past.metrics for past in self.past}
        for tail in tails:
            if tail.purpose != "alarm" or tail.epoch == self.margin.number:
                self.metrics[tail.metric].observe_tail(tail)
            elif tail.epoch in over:
                over[tail.epoch][tail.metric].observe_tail(tail)
        for rank in ranks:
            if rank.purpose != "alarm" or rank.epoch == self.margin.number:
                self.metrics[rank.metric].observe_rank(rank)
            elif rank.epoch in over:
                over[rank.epoch][rank.metric].observe_rank(rank)
        margins = [self.margin.ln(self._margin()), *(past.ln_margin() for past in self.past)]
        self.ln_e = max(margins)
        anything = [self.anything.ln(self._anything()), *(p.ln_anything() for p in self.past)]
        self.ln_hold = max(anything)
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

    def _enter(self, epoch: int, second: int) -> None:
        """What comes now is judged by itself."""
        if self.margin.number:
            over = {name: PastMetric(m.anything, m.margin) for name, m in self.metrics.items()}
            self.past.append(Past(self.margin.number, second, over))
        is_fresh = any(m.mark is not None and m.mark != m.margin for m in self.metrics.values())
        if is_fresh:  # an epoch in which nothing was timed has no part in it
            self.fresh.enter(self.fresh.number + 1, self._fresh())
        seen = {name: self.anything.claimed(m.anything.ln_e()) for name, m in self.metrics.items()}
        self.margin.enter(epoch, self._margin())
        self.anything.enter(epoch, self._anything())
        for name, metric in self.metrics.items():
            metric.turn(name, seen[name])

    def is_seen(self, fewest: int) -> bool:
        """Whether so many of the candidate's requests were judged by any metric."""
        return any(m.candidate_before + m.counts.candidate >= fewest for m in self.metrics.values())

    def set_mark(self) -> None:
        """From here on `ln_fresh` counts."""
        for metric in self.metrics.values():
            packed = msgspec.msgpack.encode(metric.margin)
            metric.mark = msgspec.msgpack.decode(packed, type=Slower)
        self.fresh = Epochs(number=min(self.margin.number, 1))

    def ln_fresh(self) -> float:
        return self.fresh.ln(self._fresh())

    def _fresh(self) -> float:
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

    def shown(self) -> Shown | None:
        """What there is most evidence from, to be shown to people; None without any metric."""
        now = [
            Shown(name, m.scale, m.curve, m.counts, self.anything.claimed(m.anything.ln_e()))
            for name, m in self.metrics.items()
        ]
        before = [m.before for m in self.metrics.values() if m.before is not None]
        return max((*now, *before), key=lambda shown: exp_capped(shown.ln_e), default=None)

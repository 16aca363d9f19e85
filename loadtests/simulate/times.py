"""Made-up latencies: log-normal, median 200 ms, sigma 1, so a 99th percentile of two seconds."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from itertools import accumulate
from math import erf, log, sqrt
from random import Random

from gateway.release.judge.baseline import Baseline
from gateway.release.judge.cuts import Cutter, Timed
from gateway.release.judge.settings import JudgeSettings
from gateway.release.judge.strata import RankSums, Stratum, TailCounts
from gateway.release.statistics.latency import GROWTH, SUMS, Scale, Scores, Slower, freeze
from loadtests.simulate.world import RATE, poisson, split

MEDIAN = 0.2
P99 = MEDIAN * 10.240  # exp(2.3263)
LOWEST, HIGHEST = -150, 170  # buckets

Below = Callable[[float], float]  # the share of requests that are quicker than so many seconds


def lognormal(seconds: float) -> float:
    return 0.5 * (1.0 + erf(log(seconds / MEDIAN) / sqrt(2.0))) if seconds > 0.0 else 0.0


def slower_by(factor: float) -> Below:
    """Every request takes so many times as long."""
    return lambda seconds: lognormal(seconds / factor)


def slow_tail(seconds: float) -> float:
    """The slowest hundredth takes twice as long."""
    if seconds <= P99:
        return lognormal(seconds)
    return 0.99 if seconds <= 2 * P99 else lognormal(seconds / 2)


class Times:
    """Requests with latencies from one distribution, ready to be drawn by the bucket."""

    def __init__(self, below: Below) -> None:
        shares = [below(GROWTH ** (bucket + 1)) for bucket in range(LOWEST, HIGHEST)]
        self._sums = shares
        self._choices = _quick_table(shares)

    def draw(self, dice: Random, count: int) -> list[int]:
        """The buckets of so many requests."""
        table, size, uniform = self._choices, len(self._choices), dice.random
        return [table[int(uniform() * size)] for _ in range(count)]


def _quick_table(shares: list[float]) -> list[int]:
    """The distribution as a long table of equal parts: quantiles to a 200,000th."""
    size = 200_000
    return [
        LOWEST + min(bisect_right(shares, (place + 0.5) / size), len(shares) - 1)
        for place in range(size)
    ]


@cache
def times_of(name: str) -> Times:
    return Times(
        {
            "same": lognormal,
            "5 %": slower_by(1.05),
            "10 %": slower_by(1.1),
            "x1.5": slower_by(1.5),
            "tail": slow_tail,
        }[name]
    )


def scale_of(dice: Random, requests: int = 120_000) -> Scale:
    """What ten minutes of stable would have frozen."""
    scale = freeze(Counter(times_of("same").draw(dice, requests)))
    assert scale is not None
    return scale


def baseline_of(dice: Random) -> Baseline:
    return Baseline(scales={"total": scale_of(dice)}, noise=1.0, seconds=600, requests=120_000)


def strata(
    dice: Random, settings: JudgeSettings, baseline: Baseline, share: float, kind: str, seconds: int
) -> Iterator[Stratum]:
    """One stratum a second, with all times known at once."""
    cutter = Cutter(settings, baseline)
    same, other = times_of("same"), times_of(kind)
    for second in range(seconds):
        candidate = _timed(other.draw(dice, poisson(dice, RATE * share)))
        stable = _timed(same.draw(dice, poisson(dice, RATE * (1.0 - share))))
        taken = cutter.take(cutter.cuts, candidate, stable)
        yield Stratum(
            second=second,
            weight=share,
            tails=tuple(counts for counts in taken if isinstance(counts, TailCounts)),
            ranks=tuple(counts for counts in taken if isinstance(counts, RankSums)),
        )


def _timed(buckets: list[int]) -> Timed:
    return Timed(arrived=len(buckets), finished=len(buckets), total=dict(Counter(buckets)))


class EqualSeconds:
    """Seconds of two equal versions, quickly.

    A second's requests are drawn once, then who of them was the candidate's is drawn every time it
    is used: that is just what "equal" means, so seconds may be used again and again.
    """

    def __init__(self, dice: Random, seconds: int = 1500) -> None:
        self._dice = dice
        self.scale = scale_of(dice)
        scores = Scores(self.scale)
        times = times_of("same")
        self._seconds = []
        for _ in range(seconds):
            buckets = times.draw(dice, poisson(dice, RATE))
            sums = scores.sums(Counter(buckets))
            ranks = [scores.sums({bucket: 1})[0] for bucket in buckets]
            levels = [bisect_right(self.scale.thresholds, bucket) for bucket in buckets]
            self._seconds.append((sums, ranks, levels, self._over(levels)))

    def with_dice(self, dice: Random) -> EqualSeconds:
        """The same seconds, split by other dice."""
        self._dice = dice
        return self

    def _over(self, levels: list[int]) -> list[int]:
        counts = Counter(levels)
        cuts = len(self.scale.thresholds)
        above = list(accumulate(counts[cuts - place] for place in range(cuts)))
        return above[::-1]

    def observe(self, slower: Slower, share: float) -> None:
        """One second more."""
        dice = self._dice
        sums, ranks, levels, over = self._seconds[int(dice.random() * len(self._seconds))]
        total = len(ranks)
        candidate = split(dice, total, share)
        if not candidate:
            return
        chosen = dice.sample(range(total), candidate)
        candidate_over = self._over([levels[place] for place in chosen])
        for cut, mine in enumerate(candidate_over):
            slower.observe_tail(cut, candidate, total, over[cut], mine)
        score = sum(ranks[place] for place in chosen)
        # Of the exponentials only the sum of both versions counts: all of it stands on one side.
        slower.observe_rank(
            candidate, [score, *sums[1:]], total - candidate, [sums[0] - score, *[0.0] * (SUMS - 1)]
        )

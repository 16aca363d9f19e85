"""Made-up traffic: what two versions would have answered, second by second, in virtual time.

Only the seconds in which something is bad are drawn one by one; in the others nothing could have
gone otherwise, and they are told of together.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from functools import cache
from itertools import accumulate
from math import ceil, exp, lgamma, log, sqrt
from random import Random

from gateway.metrics.strata import CellCounts
from gateway.release.judge.judge import Judge
from gateway.release.judge.strata import Arm, Stratum
from gateway.state.strata import Batch

RATE = 200.0  # requests per second, both versions together
HOURS_2 = 7200


@cache
def _poisson_table(mean: float) -> tuple[int, list[float]]:
    """The first value worth having, and the sums of probabilities from it on."""
    first = max(int(mean - 9 * sqrt(mean)) - 5, 0)
    last = int(mean + 10 * sqrt(mean)) + 15
    logs = (k * log(mean) - mean - lgamma(k + 1) for k in range(first, last))
    return first, list(accumulate(exp(value) for value in logs))


def poisson(dice: Random, mean: float) -> int:
    if mean <= 0.0:
        return 0
    first, sums = _poisson_table(mean)
    return first + bisect_right(sums, dice.random())


@cache
def _binomial_sums(n: int, p: float) -> list[float]:
    logs = (
        lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + k * log(p) + (n - k) * log(1.0 - p)
        for k in range(n + 1)
    )
    return list(accumulate(exp(value) for value in logs))


def split(dice: Random, n: int, share: float) -> int:
    """How many of n requests go to the candidate; quick where few different n occur."""
    return min(bisect_right(_binomial_sums(n, share), dice.random()), n)


def binomial(dice: Random, n: int, p: float) -> int:
    return sum(dice.random() < p for _ in range(n))


def seconds_until(dice: Random, rate: float) -> int:
    """How many seconds pass without an event before the one that has some."""
    return int(log(1.0 - dice.random()) / -rate)


class Errors:
    """Requests of which some are bad, at one share and with rates that stay."""

    def __init__(self, share: float, stable: float, candidate: float, rate: float = RATE) -> None:
        self.share = share
        self._of_candidate = rate * share
        self._of_stable = rate * (1.0 - share)
        self._bad_candidate = self._of_candidate * candidate
        self._bad_stable = self._of_stable * stable
        self._stable = stable
        self._candidate = candidate

    def strata(self, dice: Random, first: int, seconds: int) -> Iterator[Stratum]:
        """Those of so many seconds, as the accumulator would close them."""
        bad_rate = self._bad_candidate + self._bad_stable
        part = self._bad_candidate / bad_rate
        good_candidate = round(self._of_candidate * (1.0 - self._candidate), 9)
        good_stable = round(self._of_stable * (1.0 - self._stable), 9)
        now, end = first, first + seconds
        while True:
            idle = seconds_until(dice, bad_rate)
            if now + idle >= end:
                yield self._idle(dice, end - now, end - 1)
                return
            if idle:
                yield self._idle(dice, idle, now + idle - 1)
            now += idle
            bad = _at_least_one(dice, bad_rate)
            candidate_bad = binomial(dice, bad, part)
            yield self._stratum(
                now,
                poisson(dice, good_candidate) + candidate_bad,
                candidate_bad,
                poisson(dice, good_stable) + bad - candidate_bad,
                bad - candidate_bad,
            )
            now += 1

    def _idle(self, dice: Random, seconds: int, last: int) -> Stratum:
        candidate = about(dice, self._of_candidate * (1.0 - self._candidate) * seconds)
        stable = about(dice, self._of_stable * (1.0 - self._stable) * seconds)
        return self._stratum(last, candidate, 0, stable, 0)

    def _stratum(
        self, second: int, candidate: int, candidate_bad: int, stable: int, stable_bad: int
    ) -> Stratum:
        return Stratum(
            second=second,
            weight=self.share,
            is_split_known=False,
            candidate=Arm(
                arrived=candidate,
                finished=candidate,
                bad=candidate_bad,
                bad_seconds=int(candidate_bad > 0),
            ),
            stable=Arm(arrived=stable, finished=stable, bad=stable_bad),
        )


def _at_least_one(dice: Random, mean: float) -> int:
    """A Poisson count that is not 0."""
    none = exp(-mean)
    point = none + dice.random() * (1.0 - none)
    count, chance = 1, none * mean
    total = none + chance
    while point > total and count < 10_000:
        count += 1
        chance *= mean / count
        total += chance
    return count


def about(dice: Random, mean: float) -> int:
    """A Poisson count of whatever mean, by its normal approximation where it is large."""
    if mean < 50.0:
        return poisson(dice, mean)
    return max(ceil(dice.gauss(mean, sqrt(mean)) - 0.5), 0)


def until_rollback(judge: Judge, family: str, strata: Iterator[Stratum]) -> tuple[bool, int | None]:
    """Whether it was ever held, and in which second it was rolled back."""
    was_held = False
    for stratum in strata:
        judge.observe(stratum)
        holds, rolls_back = judge.alarms_of(family)
        was_held = was_held or holds
        if rolls_back:
            return True, stratum.second
    return was_held, None


def one_second(second: int, candidate: tuple[int, int], stable: tuple[int, int]) -> Batch:
    """What one gateway sends: (requests, bad ones) of both versions."""
    cells = tuple(
        CellCounts(second, "chat", version, arrived=n, finished=n, bad=bad)
        for version, (n, bad) in (("v2", candidate), ("v1", stable))
    )
    return Batch(f"{second}-0", "g1", second, cells)

"""Traffic that is not made of independent requests: the traps for every test by requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import accumulate
from math import exp, floor, log, sqrt
from random import Random

from gateway.metrics.strata import PER_LOG
from gateway.release.judge.baseline import Baseline
from gateway.release.judge.cuts import Cutter, Timed
from gateway.release.judge.judge import Judge
from gateway.release.judge.settings import JudgeSettings
from gateway.release.judge.strata import Arm, RankSums, Stratum, TailCounts
from gateway.release.statistics.latency import freeze
from gateway.release.statistics.noise import HalfMinute, overdispersion
from loadtests.simulate.times import MEDIAN
from loadtests.simulate.world import HOURS_2, RATE, Errors, about, poisson, until_rollback

ERRORS = 0.01
USERS = 3000
BAD_USERS = 0.02
BAD_USERS_FAIL = 0.3
ACTIVITY = 1.2  # of the Pareto distribution: few users make most of the requests
USERS_DIFFER = 0.5  # sigma of the logarithm of users' own latencies; that of requests is 1 in all
DIFFER_SECONDS = 1200


def noisy_endpoints(dice: Random, settings: JudgeSettings, cv: float, share: float) -> bool:
    """Whether equal versions are rolled back, each with good and bad minutes of its own."""
    minutes = [_half_minute(dice, cv) for _ in range(10)]
    judge = Judge(settings, Baseline(noise=overdispersion(minutes)))
    return until_rollback(judge, "errors", _noisy(dice, cv, share))[1] is not None


def _noisy(dice: Random, cv: float, share: float) -> Iterator[Stratum]:
    for minute in range(HOURS_2 // 60):
        stable, candidate = (ERRORS * _factor(dice, cv) for _ in range(2))
        yield from Errors(share, stable, candidate).strata(dice, 60 * minute, 60)


def _factor(dice: Random, cv: float) -> float:
    return dice.gammavariate(1.0 / cv**2, cv**2)


def _half_minute(dice: Random, cv: float) -> HalfMinute:
    half = round(RATE * 60 / 2)
    bad = [about(dice, half * ERRORS * _factor(dice, cv)) for _ in range(2)]
    return HalfMinute(half, bad[0], 2 * half, sum(bad))


def few_users_fail(dice: Random, settings: JudgeSettings, share: float) -> bool:
    """Whether equal versions are rolled back when users stay and a few of them own all errors."""
    judge = Judge(settings, Baseline(noise=1.0))
    return until_rollback(judge, "errors", _sticky(dice, share))[1] is not None


def _sticky(dice: Random, share: float) -> Iterator[Stratum]:
    rates = [dice.paretovariate(ACTIVITY) for _ in range(USERS)]
    scale = RATE / sum(rates)
    arms = [dice.random() < share for _ in range(USERS)]
    # Seconds of failure of each user that fails at all; all else is counted, not drawn.
    failures: dict[int, list[int]] = {}
    for user in range(USERS):
        if dice.random() < BAD_USERS:
            rate, now = rates[user] * scale * BAD_USERS_FAIL, dice.expovariate(1.0)
            while (now := now + dice.expovariate(rate)) < HOURS_2:
                failures.setdefault(int(now), []).append(user)
    # The share of requests is not that of users: the busy ones decide.
    of_candidate = scale * sum(rate for rate, mine in zip(rates, arms, strict=True) if mine)
    for second in sorted(failures):
        failed = failures[second]
        yield Stratum(
            second=second,
            weight=share,
            is_split_known=False,
            candidate=_arm(dice, of_candidate, [user for user in failed if arms[user]]),
            stable=_arm(dice, RATE - of_candidate, [user for user in failed if not arms[user]]),
        )


def _arm(dice: Random, rate: float, failed: list[int]) -> Arm:
    requests = poisson(dice, round(rate)) + len(failed)
    return Arm(
        finished=requests,
        bad=len(failed),
        bad_seconds=int(bool(failed)),
        # Whoever is busy comes more than once a second.
        units=max(round(requests * 0.8), len(set(failed))),
        bad_units=failed,
    )


class Crowd:
    """Users that stay on their version, and whose requests always take long or never do."""

    def __init__(self, dice: Random, share: float) -> None:
        self._dice = dice
        self._busy = list(accumulate(dice.paretovariate(ACTIVITY) for _ in range(USERS)))
        self._slow = [exp(dice.gauss(0.0, USERS_DIFFER)) for _ in range(USERS)]
        self._is_candidate = [dice.random() < share for _ in range(USERS)]

    def requests(self, count: int) -> tuple[Counter[int], Counter[int]]:
        """The latencies of so many: the candidate's and stable's, by bucket."""
        candidate: Counter[int] = Counter()
        stable: Counter[int] = Counter()
        dice, rest = self._dice, sqrt(1.0 - USERS_DIFFER**2)
        for user in dice.choices(range(USERS), cum_weights=self._busy, k=count):
            seconds = MEDIAN * self._slow[user] * exp(dice.gauss(0.0, rest))
            arm = candidate if self._is_candidate[user] else stable
            arm[floor(log(seconds) * PER_LOG)] += 1
        return candidate, stable


def users_differ(dice: Random, settings: JudgeSettings, share: float) -> bool:
    """Whether equal versions are rolled back for latency within `DIFFER_SECONDS`."""
    crowd = Crowd(dice, share)
    before = sum(crowd.requests(60_000), Counter())
    scale = freeze(before)
    assert scale is not None
    baseline = Baseline(scales={"total": scale}, noise=1.0, seconds=300, requests=60_000)
    judge, cutter = Judge(settings, baseline), Cutter(settings, baseline)
    for second in range(DIFFER_SECONDS):
        arms = [_timed(arm) for arm in crowd.requests(round(RATE))]
        taken = cutter.take(cutter.cuts, *arms)
        tails = tuple(counts for counts in taken if isinstance(counts, TailCounts))
        ranks = tuple(counts for counts in taken if isinstance(counts, RankSums))
        judge.observe(Stratum(second=second, weight=share, tails=tails, ranks=ranks))
        if judge.alarms_of("latency")[1]:
            return True
    return False


def _timed(buckets: Counter[int]) -> Timed:
    return Timed(arrived=buckets.total(), finished=buckets.total(), total=dict(buckets))

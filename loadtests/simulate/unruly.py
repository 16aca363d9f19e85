"""Traffic that is not made of independent requests: the traps for every test by requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate
from math import exp, inf, sqrt
from random import Random

from gateway.metrics.firsts import Firsts
from gateway.metrics.strata import CellCounts, bucket_of
from gateway.release.judge.baseline import Baseline
from gateway.release.judge.gather import Accumulator
from gateway.release.judge.judge import Judge
from gateway.release.judge.memory import LATENCY
from gateway.release.judge.settings import JudgeSettings
from gateway.release.judge.strata import Stratum
from gateway.release.statistics.latency import freeze
from gateway.release.statistics.noise import HalfMinute, overdispersion
from gateway.state.strata import Batch
from loadtests.simulate.times import MEDIAN
from loadtests.simulate.world import HOURS_2, RATE, Errors, about, poisson, until_rollback

ERRORS = 0.01
USERS = 3000
BAD_USERS = 0.02
BAD_USERS_FAIL = 0.3
ACTIVITY = 1.2  # of the Pareto distribution: few users make most of the requests
USERS_DIFFER = 0.5  # sigma of the logarithm of users' own latencies; that of requests is 1 in all
ROUTE, CANDIDATE, STABLE = "chat", "v2", "v1"


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
    baseline = Baseline(noise=1.0)
    gather = Accumulator(ROUTE, CANDIDATE, STABLE, settings, baseline)
    gather.split(0, share)
    strata = _gathered(gather, _sticky(dice, share))
    return until_rollback(Judge(settings, baseline), "errors", strata)[1] is not None


def _gathered(gather: Accumulator, seconds: Iterator[tuple[CellCounts, ...]]) -> Iterator[Stratum]:
    for second, cells in enumerate(seconds):
        gather.add(Batch(f"{second}", "g", second, cells))
        yield from gather.close(second + 1, ["g"])


def _sticky(dice: Random, share: float) -> Iterator[tuple[CellCounts, ...]]:
    rates = [dice.paretovariate(ACTIVITY) for _ in range(USERS)]
    scale = RATE / sum(rates)
    units = [dice.getrandbits(32) for _ in range(USERS)]
    arms = [dice.random() < share for _ in range(USERS)]
    # Seconds of failure of each user that fails at all, and of the first request of everybody; all
    # else is counted, not drawn.
    failures: dict[int, list[int]] = {}
    firsts: dict[int, list[int]] = {}
    for user in range(USERS):
        first = dice.expovariate(rates[user] * scale)
        if dice.random() < BAD_USERS:
            rate, now = rates[user] * scale * BAD_USERS_FAIL, 0.0
            while (now := now + dice.expovariate(rate)) < HOURS_2:
                failures.setdefault(int(now), []).append(user)
                first = min(first, now)
        firsts.setdefault(int(first), []).append(user)
    # The share of requests is not that of users: the busy ones decide.
    of_candidate = scale * sum(rate for rate, mine in zip(rates, arms, strict=True) if mine)
    known: set[int] = set()
    for second in range(HOURS_2):
        failed, came = failures.get(second, []), firsts.get(second, [])
        cells = []
        for version, rate, mine in (
            (CANDIDATE, of_candidate, True),
            (STABLE, RATE - of_candidate, False),
        ):
            bad = [user for user in failed if arms[user] is mine]
            cell = CellCounts(second, ROUTE, version, bad=len(bad))
            cell.arrived = cell.finished = poisson(dice, round(rate)) + len(bad)
            cell.bad_units = [units[user] for user in dict.fromkeys(bad) if user not in known]
            # Whoever is busy comes more than once a second.
            cell.units = max(round(cell.finished * 0.8), len(cell.bad_units))
            cell.first_units = [units[user] for user in came if arms[user] is mine]
            cells.append(cell)
        known.update(failed)
        yield tuple(cells)


class Crowd:
    """Users that stay on their version, and whose requests always take long or never do.

    `slower`: so many times as long on the candidate, from that second on. Two workers tell of them.
    """

    def __init__(self, dice: Random, slower: float, begins: int) -> None:
        self._dice = dice
        self._slower = slower
        self._begins = begins
        self._busy = list(accumulate(dice.paretovariate(ACTIVITY) for _ in range(USERS)))
        self._slow = [MEDIAN * exp(dice.gauss(0.0, USERS_DIFFER)) for _ in range(USERS)]
        self._places = [dice.random() for _ in range(USERS)]
        self._share = 0.0
        self._workers = [Firsts(), Firsts()]

    def split(self, share: float) -> None:
        self._share = share
        for firsts in self._workers:
            firsts.dealt()

    def second(self, second: int) -> list[CellCounts]:
        """Both versions' cells; all that arrives in a second ends in it."""
        cells = {version: CellCounts(second, ROUTE, version) for version in (CANDIDATE, STABLE)}
        dice, rest = self._dice, sqrt(1.0 - USERS_DIFFER**2)
        count = round(RATE)
        for number, user in enumerate(dice.choices(range(USERS), cum_weights=self._busy, k=count)):
            is_candidate = self._places[user] < self._share
            cell = cells[CANDIDATE if is_candidate else STABLE]
            seconds = self._slow[user] * exp(dice.gauss(0.0, rest))
            is_slow = is_candidate and second >= self._begins
            bucket = bucket_of(seconds * self._slower if is_slow else seconds)
            cell.arrived += 1
            cell.total[bucket] = cell.total.get(bucket, 0) + 1
            firsts = self._workers[number % 2]
            if firsts.is_first(user, second, float(second)):
                del firsts.awaited[user]
                cell.first_units.append(user)
                cell.first_times.append((user, bucket, None, None))
        for cell in cells.values():
            cell.finished = cell.arrived
        for firsts in self._workers:
            firsts.tick(second)
        return list(cells.values())


def users_differ(
    dice: Random,
    settings: JudgeSettings,
    stages: Sequence[tuple[float, int]],
    slower: float = 1.0,
    begins: int = 0,
) -> dict[str, float]:
    """Whether latency rolls back, and when; stages are shares and how many seconds each lasts."""
    crowd = Crowd(dice, slower, begins)
    before: Counter[int] = Counter()
    for second in range(-300, 0):
        for cell in crowd.second(second):
            before.update(cell.total)
    scale = freeze(before)
    assert scale is not None
    baseline = Baseline(scales={"total": scale}, noise=1.0, seconds=300, requests=before.total())
    judge = Judge(settings, baseline)
    gather = Accumulator(ROUTE, CANDIDATE, STABLE, settings, baseline)
    begun = 0
    for share, seconds in stages:
        crowd.split(share)
        gather.split(begun, share)
        for second in range(begun, begun + seconds):
            gather.add(Batch(f"{second}", "g", second, tuple(crowd.second(second)), ()))
            for stratum in gather.close(second + 1, ["g"]):
                judge.observe(stratum)
            if judge.alarms_of(LATENCY)[1]:
                return {"found": 1.0, "seconds": float(second - begins)}
        begun += seconds
    return {"found": 0.0, "seconds": inf}

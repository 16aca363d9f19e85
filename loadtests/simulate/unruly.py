"""Traffic that is not made of independent requests: the two traps for every test by requests."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from gateway.release.judge.baseline import Baseline
from gateway.release.judge.judge import Judge
from gateway.release.judge.settings import JudgeSettings
from gateway.release.judge.strata import Arm, Stratum
from gateway.release.statistics.noise import HalfMinute, overdispersion
from loadtests.simulate.world import HOURS_2, RATE, Errors, about, poisson, until_rollback

ERRORS = 0.01
USERS = 3000
BAD_USERS = 0.02
BAD_USERS_FAIL = 0.3
ACTIVITY = 1.2  # of the Pareto distribution: few users make most of the requests


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

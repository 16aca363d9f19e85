"""Batches and strata for the tests of the judge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import exp, floor, log
from random import Random

from gateway.metrics.strata import CellCounts, EventCounts
from gateway.release.judge.baseline import Baseline
from gateway.release.judge.gather import Accumulator
from gateway.release.judge.judge import Judge
from gateway.release.judge.settings import JudgeSettings
from gateway.release.judge.strata import Arm, Stratum
from gateway.release.statistics.latency import GROWTH, freeze
from gateway.state.strata import Batch
from loadtests.simulate.world import poisson

ROUTE, CANDIDATE, STABLE = "chat", "v2", "v1"
QUIET = Baseline(noise=1.0)
START = 1_700_000_000


def cell(version: str, second: int, **counts: object) -> CellCounts:
    return CellCounts(second, ROUTE, version, **counts)  # type: ignore[arg-type]


def batch(
    sent: int,
    *cells: CellCounts,
    gateway: str = "g1",
    events: Iterable[EventCounts] = (),
) -> Batch:
    return Batch(f"{sent}-{gateway}", gateway, sent, cells, tuple(events))


def answers(
    second: int,
    candidate: tuple[int, int],
    stable: tuple[int, int],
    weight: float = 0.1,
) -> Stratum:
    """(requests, bad ones) of both versions."""
    return Stratum(
        second=second,
        weight=weight,
        candidate=Arm(
            arrived=candidate[0],
            finished=candidate[0],
            bad=candidate[1],
            bad_seconds=int(candidate[1] > 0),
        ),
        stable=Arm(arrived=stable[0], finished=stable[0], bad=stable[1]),
    )


def times(dice: Random, count: int, factor: float = 1.0) -> Counter[int]:
    """Buckets of log-normal times, median 200 ms."""
    drawn = (factor * 0.2 * exp(dice.gauss(0.0, 1.0)) for _ in range(count))
    return Counter(floor(log(time) / log(GROWTH)) for time in drawn)


def timed_baseline(*metrics: str) -> Baseline:
    scale = freeze(times(Random(1), 20_000))
    assert scale is not None
    return Baseline(scales={metric: scale for metric in metrics}, noise=1.0)


def traffic(
    dice: Random,
    seconds: int,
    *,
    share: float = 0.1,
    bad: float = 0.01,
    candidate_bad: float = 0.01,
    factor: float = 1.0,
    rate: float = 200.0,
) -> list[Batch]:
    """One gateway's batches: all that arrived in a second ended in it, and is told of at once."""
    made = []
    for second in range(START, START + seconds):
        cells = []
        for version, part, chance, slower in (
            (CANDIDATE, share, candidate_bad, factor),
            (STABLE, 1.0 - share, bad, 1.0),
        ):
            arrived = poisson(dice, rate * part)
            failed = sum(dice.random() < chance for _ in range(arrived))
            found = times(dice, arrived, slower)
            cells.append(
                cell(
                    version, second, arrived=arrived, finished=arrived, bad=failed,
                    client_errors=poisson(dice, 0.02 * arrived), total=dict(found),
                )
            )  # fmt: skip
        made.append(batch(second, *cells))
    return made


def gatherer(
    settings: JudgeSettings, baseline: Baseline = QUIET, share: float = 0.1
) -> Accumulator:
    gather = Accumulator(ROUTE, CANDIDATE, STABLE, settings, baseline)
    gather.split(START - 100.0, share)
    return gather


def judged(settings: JudgeSettings, baseline: Baseline, batches: Iterable[Batch]) -> Judge:
    """What is known after these batches, each of them read in the second it was sent in."""
    judge, gather = Judge(settings, baseline), gatherer(settings, baseline)
    last = START
    for one in batches:
        gather.add(one)
        last = max(last, one.sent)
        for stratum in gather.close(last + 1):
            judge.observe(stratum)
    for stratum in gather.close(last + 200):
        judge.observe(stratum)
    return judge

"""What judging one release costs: `python -m loadtests.judging [ROUNDS]`.

Prints the least, the median and the most of several rounds, in microseconds of processor time per
second of traffic.
A metric of latency is tested against seven cuts in three directions (slower at all, slower by more
than the margin, surely no slower), an error rate in one. What one metric and one of its tests cost
is the difference to the same traffic judged by its errors alone: with all that is done to gather,
cut and lengthen what is tested.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from random import Random
from statistics import median

import msgspec

from gateway.metrics.strata import CellCounts
from gateway.release.judge.baseline import Baseline
from gateway.release.judge.gather import Accumulator
from gateway.release.judge.judge import Judge
from gateway.release.judge.settings import JudgeSettings
from gateway.release.statistics.draws import RATE_EFFECTS, TAIL_EFFECTS, Draws
from gateway.release.statistics.latency import QUANTILES
from gateway.state.strata import Batch
from loadtests.simulate.times import scale_of, times_of
from loadtests.simulate.world import RATE, binomial, poisson

ROUNDS = 5
SECONDS = 400
CALLS = 20_000
RATES = (RATE, 5 * RATE)
TESTS = 3 * (len(QUANTILES) + 1)  # of one metric: six thresholds and the rank, in three directions
START = 1_800_000_000


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    print(f"{'microseconds':<58}{'min':>9}{'median':>9}{'max':>9}")
    for name, effects in (("rates", RATE_EFFECTS), ("tails", TAIL_EFFECTS)):
        draws = Draws.over(effects)
        per_call = [timed(lambda: draws.observe(effects, 20, 200, 3, 1)) for _ in range(rounds)]  # noqa: B023
        show(f"one stratum of one test, {name}", per_call)
    for rate in RATES:
        for share in (0.01, 0.5):
            errors = show_release((), rate, share, rounds, 0.0)
            for metrics in (("total",), ("total", "first_byte", "gap")):
                show_release(metrics, rate, share, rounds, errors)


def show_release(
    metrics: tuple[str, ...], rate: float, share: float, rounds: int, errors: float
) -> float:
    """Prints all about such a release; the median of its judging."""
    times = [whole(metrics, rate, share, seed) for seed in range(rounds)]
    judging = [found["judging"] for found in times]
    name = f"{share:.0%} of {rate:.0f} requests/s, errors"
    show(f"{name}{''.join(f', {metric}' for metric in metrics)}", judging)
    if metrics:
        each = [(found - errors) / len(metrics) for found in judging]
        show("   one metric of it", each)
        show("   one test of that metric", [found / TESTS for found in each])
    show("   its evidence, with sentences", [found["evidence"] for found in times])
    show("   its state, to be stored", [found["state"] for found in times])
    print(f"   bytes of that state: {times[-1]['bytes']:,.0f}")
    return median(judging)


def show(name: str, times: list[float]) -> None:
    times = sorted(times)
    print(f"{name:<58}{times[0]:>9.2f}{median(times):>9.2f}{times[-1]:>9.2f}")


def timed(run: Callable[[], object], calls: int = CALLS) -> float:
    started = time.process_time()
    for _ in range(calls):
        run()
    return (time.process_time() - started) / calls * 1e6


def whole(metrics: tuple[str, ...], rate: float, share: float, seed: int) -> dict[str, float]:
    """Microseconds per second of one release, from batches to alarms."""
    dice = Random(seed)
    settings = JudgeSettings(latency_margins=dict.fromkeys(metrics, 0.05))
    baseline = Baseline(scales={metric: scale_of(dice, 20_000) for metric in metrics}, noise=1.0)
    judge = Judge(settings, baseline)
    gather = Accumulator("chat", "v2", "v1", settings, baseline)
    gather.split(START, share)
    batches = list(traffic(dice, metrics, rate, share))
    started = time.process_time()
    for batch in batches:
        gather.add(batch)
        for stratum in gather.close(batch.sent + 1, ("g1",)):
            judge.observe(stratum)
        judge.alarms_of("errors")
        judge.alarms_of("latency")
    judging = (time.process_time() - started) / len(batches) * 1e6
    stored = msgspec.msgpack.encode((judge.state(), gather.state()))
    return {
        "judging": judging,
        "evidence": timed(lambda: judge.evidence(START + SECONDS, 100 * share), 100),
        "state": timed(lambda: msgspec.msgpack.encode((judge.state(), gather.state())), 100),
        "bytes": float(len(stored)),
    }


def traffic(dice: Random, metrics: tuple[str, ...], rate: float, share: float) -> Iterator[Batch]:
    times = times_of("same")
    for second in range(START, START + SECONDS):
        cells = []
        for version, part in (("v2", share), ("v1", 1.0 - share)):
            count = poisson(dice, rate * part)
            histograms = {metric: dict(Counter(times.draw(dice, count))) for metric in metrics}
            cells.append(
                CellCounts(
                    second, "chat", version, arrived=count, finished=count,
                    bad=binomial(dice, count, 0.01), total=histograms.get("total", {}),
                    first_byte=histograms.get("first_byte", {}), gap=histograms.get("gap", {}),
                )
            )  # fmt: skip
        yield Batch(f"{second}-0", "g1", second, tuple(cells))


if __name__ == "__main__":
    main()

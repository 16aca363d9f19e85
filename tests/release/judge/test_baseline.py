from __future__ import annotations

from random import Random

import msgspec

from gateway.release.judge.baseline import Baseline, BaselineProbe
from tests.release.judge.parts import (
    CANDIDATE,
    ROUTE,
    STABLE,
    START,
    batch,
    cell,
    times,
    traffic,
)


def stable_minute(number: int, half_bad: int, bad: int) -> object:
    return batch(
        START // 60 * 60 + 60 * number,
        cell(STABLE, START, finished=6000, bad=bad, half_finished=3000, half_bad=half_bad),
    )


def probe_of(*halves: tuple[int, int]) -> BaselineProbe:
    probe = BaselineProbe(ROUTE, STABLE)
    for number, (half_bad, bad) in enumerate(halves):
        probe.add(stable_minute(number, half_bad, bad))  # type: ignore[arg-type]
    return probe


def test_it_is_ready_after_ten_minutes_and_two_thousand_requests() -> None:
    probe = BaselineProbe(ROUTE, STABLE)
    probe.add(batch(START, cell(STABLE, START, finished=1500)))
    assert not probe.is_ready()
    probe.add(batch(START + 598, cell(STABLE, START, finished=1500)))
    assert not probe.is_ready()
    probe.add(batch(START + 599, cell(STABLE, START)))
    assert probe.is_ready()
    assert "3000 requests in 600 s" in repr(probe)


def test_only_stable_of_this_route_is_looked_at() -> None:
    probe = BaselineProbe(ROUTE, STABLE)
    other = cell(STABLE, START, finished=9)
    other.route = "other"
    probe.add(batch(START, cell(CANDIDATE, START, finished=9), other))
    assert probe.requests == 0
    assert probe.seconds == 0
    assert probe.freeze() == Baseline(seconds=0)


def test_times_are_frozen_to_scales() -> None:
    probe = BaselineProbe(ROUTE, STABLE)
    for one in traffic(Random(1), 20):
        probe.add(one)
    baseline = probe.freeze()
    assert set(baseline.scales) == {"total"}
    assert len(baseline.scales["total"].thresholds) == 6
    assert baseline.bad > 0


def test_a_metric_with_few_values_gets_no_scale() -> None:
    probe = BaselineProbe(ROUTE, STABLE)
    few, many = dict(times(Random(1), 199)), dict(times(Random(1), 200))
    probe.add(batch(START, cell(STABLE, START, finished=200, total=many, gap=few)))
    assert set(probe.freeze().scales) == {"total"}


def test_noise_is_learnt_minute_by_minute() -> None:
    calm = probe_of(*[(30, 60)] * 10).freeze()
    noisy = probe_of(*[(10, 60), (50, 60)] * 5).freeze()
    assert calm.noise == 1.0
    assert noisy.noise is not None
    assert noisy.noise > 20.0
    assert probe_of((30, 60)).freeze().noise is None


def test_people_are_warned_of_what_will_not_be_judged() -> None:
    told = " ".join(Baseline(requests=5).warnings())
    assert "only 5 requests" in told
    assert "latency will not be judged" in told
    assert "noise is not known" in told


def test_people_are_warned_of_a_noisy_or_halved_stable() -> None:
    noisy = " ".join(probe_of(*[(10, 60), (50, 60)] * 5).freeze().warnings())
    assert "vary" in noisy
    broken = " ".join(probe_of(*[(50, 60)] * 10).freeze().warnings())
    assert "one endpoint may be bad" in broken


def test_it_can_be_stored() -> None:
    probe = BaselineProbe(ROUTE, STABLE)
    for one in traffic(Random(2), 20):
        probe.add(one)
    baseline = probe.freeze()
    assert msgspec.json.decode(msgspec.json.encode(baseline), type=Baseline) == baseline

"""The machine under the real judge; the long runs with many seeds are no part of the tests."""

from __future__ import annotations

import pytest

from gateway.release.conduct.judging import settings_of
from gateway.release.judge.baseline import Baseline
from gateway.release.judge.judge import Judge
from gateway.release.machine.status import decode, encode
from tests.release.machine.simulated import START, Simulation

SEEDS = (1, 2, 3)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_good_candidate_has_nearly_everything_within_ten_minutes(seed: int) -> None:
    story = Simulation(seed)
    assert story.run(600, 0.001).baking
    assert story.status.weight_wanted == 95


@pytest.mark.parametrize("seed", SEEDS)
def test_a_candidate_with_half_a_percent_of_errors_is_rolled_back(seed: int) -> None:
    story = Simulation(seed)
    assert story.run(1200, 0.005).phase.value == "rolled-back"
    assert story.bad <= 40


@pytest.mark.parametrize("seed", SEEDS)
def test_a_crash_is_quarantined_within_seconds_probed_and_rolled_back(seed: int) -> None:
    story = Simulation(seed)
    while not story.status.probe and story.now < START + 60:
        story.tick(1.0)
    assert story.now - START <= 8
    assert story.run(60, 1.0).phase.value == "rolled-back"
    assert any("a probe confirmed it" in decision.text for decision in story.status.decisions)


def test_a_controller_that_dies_each_tick_ends_the_same() -> None:
    whole, broken = Simulation(7), Simulation(7)
    for _ in range(400):
        whole.tick(0.004)
        broken.tick(0.004)
        settings = settings_of(broken.plan, is_sticky=False)
        broken.judge = Judge(settings, Baseline(noise=1.0), broken.judge.state())
        broken.status = decode(encode(broken.status))
        assert broken.status == whole.status

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


@pytest.mark.parametrize("seed", SEEDS)
def test_errors_that_begin_in_the_bake_are_rolled_back(seed: int) -> None:
    story = Simulation(seed, bake={"duration": "2h", "holdback": 5})
    story.run(600, 0.001)
    story.bake(1200, 0.001)
    assert story.status.phase.value == "baking"
    assert story.bake(300, 0.02) < 200
    for _ in range(400):  # a rise of few seconds is probed first, which may not confirm it
        story.tick(0.02)
    assert story.status.phase.value == "rolled-back"
    assert any("errors rose after the promotion" in d.text for d in story.status.decisions)


@pytest.mark.parametrize(("warm", "phase"), [("1h", "rolled-back"), (0, "hold")])
def test_without_a_holdback_the_same_pages_or_goes_back_to_a_warm_stable(
    warm: object, phase: str
) -> None:
    story = Simulation(1, bake={"duration": "2h", "holdback": 0, "keep_warm": warm})
    story.run(600, 0.001)
    story.bake(300, 0.001)
    assert (story.status.phase.value, story.status.weight_wanted) == ("baking", 100)
    assert story.bake(60, 0.02) < 60
    assert story.status.phase.value == phase
    assert any("errors rose after the promotion" in d.text for d in story.status.decisions)


def test_a_controller_that_dies_each_tick_ends_the_same() -> None:
    whole, broken = Simulation(7), Simulation(7)
    for _ in range(400):
        whole.tick(0.004)
        broken.tick(0.004)
        settings = settings_of(broken.plan, is_sticky=False)
        broken.judge = Judge(settings, Baseline(noise=1.0), broken.judge.state())
        broken.status = decode(encode(broken.status))
        assert broken.status == whole.status

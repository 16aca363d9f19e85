from __future__ import annotations

from random import Random

import pytest

from gateway.release.statistics.detector import UPDATES_TO_FALSE_ALARM, Detector
from loadtests.simulate.world import poisson


def seconds_to_alarm(dice: Random, rate: float, *, is_alone: bool) -> int:
    """After an hour without a change, the new version (95 %) begins to fail more often."""
    detector = Detector()
    detector.idle(3600)
    for second in range(1, 5000):
        new_bad = poisson(dice, 190 * rate)
        if is_alone:
            detector.observe_alone(200, poisson(dice, 200 * rate), 0.001)
        else:
            stable_bad = poisson(dice, 0.01)
            detector.observe(190, 200, new_bad + stable_bad, new_bad)
        if detector.is_alarm():
            return second
    return 5000


def test_a_crash_is_found_in_seconds_with_and_without_the_old_version() -> None:
    dice = Random(4)
    for is_alone in (False, True):
        detector = Detector()
        detector.idle(3600)
        for _ in range(2):
            if is_alone:
                detector.observe_alone(200, 200, 0.001)
            else:
                detector.observe(190, 200, 190, 190)
        assert detector.is_alarm()
    assert seconds_to_alarm(dice, 0.02, is_alone=True) < 30


def test_a_rate_of_two_percent_is_found_in_minutes_beside_the_old_version() -> None:
    dice = Random(8)
    times = sorted(seconds_to_alarm(dice, 0.02, is_alone=False) for _ in range(9))
    assert times[4] < 200


def test_equal_versions_run_for_days_without_an_alarm() -> None:
    dice, detector = Random(6), Detector()
    for _ in range(20_000):  # with 9 seconds between two that have a bad request: two days
        detector.idle(9)
        bad = 1
        detector.observe(190, 200, bad, int(dice.random() < 0.95))
        assert not detector.is_alarm()


def test_what_never_happened_grows_by_one_a_second_only() -> None:
    detector = Detector()
    detector.idle(1000)
    assert abs(detector.mean() - 1000.0) < 1e-9
    detector.observe(190, 200, 0, 0)
    assert abs(detector.mean() - 1001.0) < 1e-9
    assert not detector.is_alarm()
    detector.idle(int(UPDATES_TO_FALSE_ALARM))
    assert detector.is_alarm()


def test_a_margin_and_stables_own_noise_make_it_slower() -> None:
    plain, forgiving, noisy = Detector(), Detector(), Detector()
    gains = plain.observe(190, 200, 12, 12)
    assert max(forgiving.observe(190, 200, 12, 12, margin=1.25)) < max(gains)
    assert noisy.observe(190, 200, 12, 12, noise=3.0) == [gain / 3.0 for gain in gains]
    alone = Detector().observe_alone(200, 12, 0.001)
    assert Detector().observe_alone(200, 12, 0.001, noise=3.0) == [gain / 3.0 for gain in alone]


def test_an_alarm_that_nobody_heeds_never_overflows() -> None:
    detector = Detector()
    for _ in range(500):
        detector.observe(190, 200, 190, 190)
        detector.observe_alone(200, 200, 0.001)
    assert detector.mean() <= 1e300


def test_a_reference_that_leaves_no_room_above_it_says_nothing() -> None:
    detector = Detector()
    detector.observe_alone(200, 200, 1.0)
    detector.observe_alone(200, 200, 0.0)
    assert detector.mean() == pytest.approx(2.0)

from __future__ import annotations

from collections.abc import Iterator
from math import log
from random import Random

import msgspec
import pytest

from gateway.release.judge.baseline import Baseline
from gateway.release.judge.counts import Counts
from gateway.release.judge.judge import Judge
from gateway.release.judge.late import Late, old_rate
from gateway.release.judge.memory import JudgeState
from gateway.release.judge.settings import JudgeSettings
from gateway.release.judge.strata import Arm, Stratum
from gateway.release.statistics.detector import UPDATES_TO_FALSE_ALARM
from loadtests.simulate.world import binomial, poisson
from tests.release.judge.parts import QUIET, START, answers

SETTINGS = JudgeSettings()
KNOWN = Baseline(noise=1.0, requests=100_000, bad=100)
BAKE = 0.95  # the candidate's share
OLD = 0.001


def second_of(
    dice: Random, second: int, rate: float, *, share: float = BAKE, requests: float = 200.0
) -> Stratum:
    candidate, stable = poisson(dice, requests * share), poisson(dice, requests * (1.0 - share))
    bad = binomial(dice, candidate, rate), binomial(dice, stable, OLD)
    return answers(START + second, (candidate, bad[0]), (stable, bad[1]), share)


def baked(dice: Random, seconds: int, baseline: Baseline = QUIET, share: float = BAKE) -> Judge:
    """So long a bake of equal versions."""
    judge = Judge(SETTINGS, baseline)
    for second in range(seconds):
        judge.observe(second_of(dice, second, OLD, share=share), is_baking=True)
    return judge


def errors_of(judge: Judge) -> tuple[bool, bool]:
    """(whether the family itself rolls back, whether the watch of the bake does)."""
    [family] = [f for f in judge.evidence(START, 95.0).families if f.name == "errors"]
    return family.e >= SETTINGS.rollback_at("errors"), family.rose_late


def seconds_until(judge: Judge, strata: Iterator[Stratum]) -> tuple[int, int]:
    """After how many seconds the family, and the watch, speak for a rollback."""
    by_family = by_watch = 0
    for passed, stratum in enumerate(strata, start=1):
        judge.observe(stratum, is_baking=True)
        found = errors_of(judge)
        by_family = by_family or (found[0] and passed)
        by_watch = by_watch or (found[1] and passed)
        if by_family and by_watch:
            return by_family, by_watch
    raise AssertionError(f"not found: {by_family}, {by_watch}")


def test_errors_that_rise_late_are_found_sooner_than_by_the_evidence_of_the_whole_release() -> None:
    slower = quicker = 0
    for seed in range(5):
        dice = Random(seed)
        judge = baked(dice, 1200)
        rising = (second_of(dice, second, 0.02) for second in range(1200, 2400))
        by_family, by_watch = seconds_until(judge, rising)
        assert by_watch < 150
        slower += by_family > by_watch
        quicker += by_family < by_watch
    assert (slower, quicker) == (5, 0)


def test_a_crash_is_found_in_two_seconds_with_and_without_a_holdback() -> None:
    for share in (BAKE, 1.0):
        dice = Random(3)
        judge = baked(dice, 600, KNOWN, share)
        for second in (600, 601):
            judge.observe(second_of(dice, second, 1.0, share=share), is_baking=True)
        evidence = judge.evidence(START + 602.0, 100 * share)
        assert evidence.must_roll_back and evidence.must_hold
        assert evidence.causes == ("errors",)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_equal_versions_bake_for_days_without_an_alarm(seed: int) -> None:
    # 20 requests a second, one error in a hundred, a stratum each minute. One alarm in 30 days is
    # what the watch is made for: other seeds may have one.
    dice, late = Random(seed), Late()
    for minute in range(2 * 24 * 60):
        stable, candidate = poisson(dice, 60.0), poisson(dice, 1140.0)
        bad = binomial(dice, candidate, 0.01), binomial(dice, stable, 0.01)
        late.observe(60 * minute, Counts(candidate, bad[0], stable, bad[1]), 1.0, 1.0)
        assert not late.is_alarm(SETTINGS, 0.01)


def test_only_the_bake_is_watched() -> None:
    dice = Random(1)
    judge = Judge(SETTINGS, QUIET)
    for second in range(50):
        judge.observe(second_of(dice, second, 1.0))
    assert judge.state().late is None
    assert errors_of(judge) == (True, False)


def test_without_a_holdback_the_old_rate_is_the_measure() -> None:
    dice = Random(2)
    judge = baked(dice, 600, KNOWN, share=1.0)
    for second in range(600, 700):
        judge.observe(second_of(dice, second, 0.02, share=1.0), is_baking=True)
    assert errors_of(judge) == (False, True)
    [family] = [f for f in judge.evidence(START, 100.0).families if f.name == "errors"]
    assert not family.is_calm and family.e < SETTINGS.calm_below
    assert family.why.startswith("errors rose after the promotion: ")
    assert "nothing is held back on stable, which had 0.1" in family.why


def test_the_old_rate_is_all_that_was_seen_of_stable_and_never_nothing() -> None:
    seen = Counts(stable=900, stable_bad=9)
    assert old_rate(SETTINGS, Baseline(requests=99, bad=0), seen) == 10 / 1000
    by_unit = JudgeSettings(unit="unit")
    assert old_rate(by_unit, Baseline(requests=99, bad=50), seen) == 10 / 901
    assert old_rate(SETTINGS, Baseline(), Counts()) == 1.0  # nothing is known: nothing is found


def test_what_was_found_is_told_with_its_beginning() -> None:
    late = Late()
    for second in range(600):
        late.observe(second, Counts(190, int(second % 5 == 0), 10, int(second % 50 == 0)), 1.0, 1.0)
    late.observe(599, Counts(190, 0, 10, 2), 1.0, 1.0)
    for second in range(600, 640):
        late.observe(second, Counts(190, 10, 10, 0), 1.0, 1.0)
    risen = late.risen()
    assert late.is_alarm(SETTINGS, OLD)
    assert (risen.candidate_bad, risen.stable_bad) == (400, 0)
    assert late.span_seconds() == 40


def test_stored_in_the_middle_it_goes_on_as_if_nothing_had_happened() -> None:
    dice = Random(5)
    straight, broken = baked(Random(4), 30), baked(Random(4), 30)
    for second in range(30, 120):
        stratum = second_of(dice, second, 0.03)
        straight.observe(stratum, is_baking=True)
        stored = msgspec.msgpack.encode(broken.state())
        broken = Judge(SETTINGS, QUIET, msgspec.msgpack.decode(stored, type=JudgeState))
        broken.observe(stratum, is_baking=True)
    assert broken.state() == straight.state()
    assert errors_of(straight)[1]


def test_a_state_that_was_stored_before_there_was_a_watch_is_read() -> None:
    stored = msgspec.to_builtins(baked(Random(1), 3).state())
    del stored["late"]
    packed = msgspec.msgpack.encode(stored)
    judge = Judge(SETTINGS, QUIET, msgspec.msgpack.decode(packed, type=JudgeState))
    judge.observe(second_of(Random(2), 3, OLD), is_baking=True)
    assert judge.state().late is not None


def test_a_mark_lets_the_watch_begin_anew() -> None:
    dice = Random(6)
    judge = baked(dice, 10)
    for second in range(10, 60):
        judge.observe(second_of(dice, second, 0.2), is_baking=True)
    assert errors_of(judge)[1]
    judge.mark()
    assert not errors_of(judge)[1]
    for second in range(60, 70):
        judge.observe(second_of(dice, second, 0.2), is_baking=True)
    assert errors_of(judge)[1]


def test_a_mark_before_the_bake_begins_no_watch() -> None:
    judge = Judge(SETTINGS, QUIET)
    judge.mark()
    assert judge.state().late is None


@pytest.mark.parametrize(
    ("counts", "seconds"),
    [(Counts(190, 190, 10, 0), 1), (Counts(2, 1, 10, 0), 2), (Counts(10**6, 900, 10**5, 40), 60)],
    ids=["one second", "two bad ones", "less than a thousandth more"],
)
def test_it_asks_for_as_many_and_as_much_as_any_rollback(counts: Counts, seconds: int) -> None:
    late = Late()
    late.detector.idle(int(UPDATES_TO_FALSE_ALARM))
    for second in range(seconds):
        late.observe(second, counts, 1.0, 1.0)
    assert late.detector.is_alarm()
    assert not late.is_alarm(SETTINGS, OLD)


def test_a_family_without_a_share_of_the_false_alarms_only_holds() -> None:
    settings = JudgeSettings(family_weights={"latency": 1.0})
    judge = Judge(settings, QUIET)
    for second in range(5):
        judge.observe(second_of(Random(second), second, 1.0), is_baking=True)
    assert judge.alarms_of("errors") == (True, False)


def test_what_is_noisy_by_itself_or_has_a_margin_takes_longer() -> None:
    gains = []
    for margin, noise in ((1.0, 1.0), (1.25, 1.0), (1.0, 4.0)):
        late = Late()
        late.observe(1, Counts(190, 8, 10, 0), margin, noise)
        gains.append(log(max(late.detector.levels)))
    assert gains[0] > gains[1] > 0.0
    assert gains[2] == pytest.approx(gains[0] / 4.0)


def test_units_are_counted_as_the_errors_of_units_are() -> None:
    def stratum(second: int, unit: int) -> Stratum:
        return Stratum(
            second=START + second,
            weight=BAKE,
            candidate=Arm(arrived=95, finished=95, bad=20, units=90, bad_units=[unit]),
            stable=Arm(arrived=5, finished=5, units=5),
        )

    judge = Judge(JudgeSettings(unit="unit"), QUIET)
    for second in range(100):
        judge.observe(stratum(second, unit=1), is_baking=True)  # one unit, again and again
    late, family = judge.state().late, judge.state().rates["errors"]
    assert late is not None
    assert (late.counts.candidate_bad, late.counts.candidate) == (1, family.counts.candidate)
    assert not errors_of(judge)[1]


def test_silence_is_passed_as_updates_but_not_without_end() -> None:
    late = Late()
    late.observe(100, Counts(190, 0, 10, 0), 1.0, 1.0)
    late.observe(111, Counts(190, 0, 10, 0), 1.0, 1.0)
    assert late.detector.mean() == pytest.approx(12.0)
    late.observe(10**9, Counts(190, 0, 10, 0), 1.0, 1.0)  # a clock that jumped
    assert late.detector.mean() == pytest.approx(73.0)


def test_what_comes_late_of_a_second_makes_no_second_more() -> None:
    late = Late()
    for second in range(100, 150):
        late.observe(second, Counts(190, 0, 10, 0), 1.0, 1.0)
        late.observe(second - 3, Counts(5, 0, 1, 0), 1.0, 1.0)
    assert late.detector.mean() == pytest.approx(50.0)


def test_seconds_in_which_the_candidate_has_no_traffic_are_not_watched() -> None:
    judge = baked(Random(1), 5, KNOWN, share=1.0)
    judge.observe(answers(START + 5, (0, 0), (200, 1), 0.0), is_baking=True)  # in a quarantine
    late = judge.state().late
    assert late is not None and late.is_alone
    assert late.counts.stable == 0

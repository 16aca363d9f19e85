from __future__ import annotations

from math import log
from random import Random
from typing import Any

import msgspec
import pytest

from gateway.release.judge.baseline import Baseline
from gateway.release.judge.counts import AtRisk, Counts
from gateway.release.judge.families import (
    MOST_PAST,
    LatencyFamily,
    MetricLatency,
    RateFamily,
    error_margin,
    shown_cut,
)
from gateway.release.judge.settings import JudgeSettings
from gateway.release.judge.strata import RankSums, TailCounts
from gateway.release.statistics.latency import Scale, Slower
from tests.release.judge.parts import timed_baseline

SETTINGS = JudgeSettings()


def family_of(*strata: tuple[int, int, int, int]) -> RateFamily:
    """(candidate, bad ones, stable, bad ones), a second each."""
    family = RateFamily()
    for second, counts in enumerate(strata):
        family.observe(second, 0.1, Counts(*counts), int(counts[1] > 0))
    return family


@pytest.mark.parametrize(
    ("noise", "share", "margin"),
    [
        (1.0, 0.5, 1.0),  # measured, and there is none
        (1.4, 0.5, 1.0),
        (1.6, 0.01, 1.25),
        (None, 0.1, 1.0),
        (None, 0.25, 1.25),  # not known, and small differences would be found
    ],
)
def test_the_margin_of_errors_follows_from_noise_or_share(
    noise: float | None, share: float, margin: float
) -> None:
    assert error_margin(SETTINGS, noise, share) == margin
    named = JudgeSettings(rate_margins={"errors": 1.5})
    assert error_margin(named, noise, share) == 1.5


def test_two_bad_requests_may_be_one_accident() -> None:
    family = family_of((2, 1, 200, 0), (2, 1, 200, 0))
    assert family.may_hold(SETTINGS)
    assert not family.may_roll_back(SETTINGS)


def test_three_bad_requests_in_one_second_may_be_one_accident_too() -> None:
    family = family_of((3, 3, 200, 0))
    assert family.ln_e(1.0) > log(400)
    assert not family.may_roll_back(SETTINGS)
    family.observe(1, 0.1, Counts(3, 1, 200, 0), 1)
    assert family.may_roll_back(SETTINGS)


def test_a_tiny_excess_is_no_reason_to_go_back() -> None:
    tiny = family_of(*[(5000, 3, 5000, 0)] * 10)
    assert tiny.ln_e(1.0) > log(400)
    assert not tiny.may_roll_back(SETTINGS)


def test_the_excess_is_that_of_the_present_rise_not_of_the_good_hours_before() -> None:
    family = family_of(*[(100_000, 10, 100_000, 10)] * 20)
    for second in range(20, 40):
        family.observe(second, 0.5, Counts(100, 10, 100, 0), 1)
    assert family.counts.excess() < SETTINGS.error_excess
    assert family.may_roll_back(SETTINGS)
    assert family.span_seconds() <= 20


def test_who_is_always_content_does_not_hide_how_bad_it_is_for_others() -> None:
    """Two of thirty fail, but twenty-odd of those are robots: of the people it is two of nine."""
    family = RateFamily()
    for second in range(10):
        counts = Counts(30, 2, 60, 1)
        family.observe(second, 0.1, counts, 1, at_risk=AtRisk(10, 90))
    assert family.rise.excess() == pytest.approx(2 / 9 - 1 / 81)
    plain = Counts(300, 20, 600, 10)
    assert plain.excess() == pytest.approx(20 / 300 - 10 / 600)


def test_its_span_is_the_time_in_which_the_evidence_rose() -> None:
    assert family_of((2, 0, 200, 1)).span_seconds() == 0
    family = family_of((2, 0, 200, 1), (2, 0, 200, 0), (2, 2, 200, 0), (2, 1, 200, 0))
    assert family.span_seconds() == 2


def test_what_stable_would_have_given_is_counted_stage_by_stage() -> None:
    family = RateFamily()
    family.observe(0, 0.1, Counts(100, 3, 900, 90), 1)
    family.observe(1, 0.5, Counts(500, 6, 500, 5), 1)
    family.observe(2, 1.0, Counts(1000, 50, 0, 0), 1)  # nobody to compare with
    bad, requests, expected = family.expected()
    assert (bad, requests) == (9, 600)
    assert expected == pytest.approx(100 * 0.1 + 500 * 0.01)


def test_a_margin_takes_evidence_away() -> None:
    plain, lenient = RateFamily(), RateFamily()
    for second in range(30):
        counts = Counts(100, 4, 100, 3)
        plain.observe(second, 0.5, counts, 1)
        lenient.observe(second, 0.5, counts, 1, margin=1.25)
    assert lenient.ln_e(1.0) < plain.ln_e(1.0)


def test_nothing_is_fresh_without_a_mark() -> None:
    family = family_of(*[(2, 1, 200, 0)] * 5)
    assert family.ln_fresh(1.0) == 0.0
    family.mark = list(family.draws.logs)
    family.observe(9, 0.1, Counts(2, 1, 200, 0), 1)
    assert 0.0 < family.ln_fresh(1.0) < family.ln_e(1.0)


def test_the_threshold_that_people_see_is_the_95th_percentile() -> None:
    assert shown_cut(timed_baseline("total").scales["total"]) == 3
    assert shown_cut(Scale((11,), 10, (0.5, 1.0))) == 0


def test_latency_averages_its_metrics() -> None:
    baseline = timed_baseline("total", "first_byte", "gap")
    family = LatencyFamily.of(SETTINGS, baseline)
    tail = TailCounts(
        metric="gap", cut=3, candidate_n=50, candidate_over=[30, 29, 20],
        stable_n=950, stable_over=47,
    )  # fmt: skip
    family.observe(7, (tail,), ())
    alone = family.metrics["gap"].margin.ln_e()
    assert family.ln_e == pytest.approx(alone - log(3), abs=1e-6)
    assert family.ln_hold > family.ln_e
    assert family.span_seconds() == 1
    shown = family.shown()
    assert shown is not None
    assert shown.metric == "gap"
    assert (shown.counts.candidate_bad, shown.counts.stable_bad) == (30, 47)


def test_all_metrics_must_be_shown_to_keep_up() -> None:
    family = LatencyFamily.of(SETTINGS, timed_baseline("total", "gap"))
    dice = Random(3)
    for second in range(400):
        over = sum(dice.random() < 0.45 for _ in range(50))
        stable_over = sum(dice.random() < 0.5 for _ in range(50))
        tail = TailCounts(
            metric="total", cut=0, candidate_n=50, candidate_over=[over, over, over // 2],
            stable_n=50, stable_over=stable_over,
        )  # fmt: skip
        family.observe(second, (tail,), ())
    assert family.metrics["total"].proof.ln_e() > log(20)
    assert not family.is_proven(0.05)
    del family.metrics["gap"]
    assert family.is_proven(0.05)


def observed(**counts: Any) -> MetricLatency:
    tail = TailCounts(metric="total", cut=3, stable_n=95, stable_over=5, **counts)
    family = LatencyFamily.of(SETTINGS, timed_baseline("total"))
    family.observe(1, (tail,), ())
    return family.metrics["total"]


def test_what_is_meant_for_alarms_proves_nothing_and_the_other_way_round() -> None:
    both = observed(candidate_n=5, candidate_over=[4, 3, 1])
    alarm = observed(candidate_n=5, candidate_over=[4, 3], purpose="alarm")
    proof = observed(candidate_n=5, candidate_over=[1], purpose="proof")
    for mine, other in ((alarm, proof), (proof, alarm)):
        is_alarm = mine is alarm
        assert (mine.margin == both.margin) == is_alarm
        assert (mine.anything == both.anything) == is_alarm
        assert (mine.counts == both.counts) == is_alarm
        assert (mine.proof == both.proof) != is_alarm
        assert other.counts != mine.counts


def margin_of(family: LatencyFamily) -> Slower:
    return family.metrics["total"].margin


def unit_tail(epoch: int, over: int) -> TailCounts:
    return TailCounts(
        metric="total", cut=3, purpose="alarm", epoch=epoch, candidate_n=50,
        candidate_over=[over, over], stable_n=950, stable_over=47,
    )  # fmt: skip


def test_a_new_epoch_begins_anew_and_what_the_last_one_found_stays_for_its_time() -> None:
    family = LatencyFamily.of(SETTINGS, timed_baseline("total"))
    family.observe(1, (unit_tail(1, 25),), ())
    first, held = (one.ln_e() for one in (margin_of(family), family.metrics["total"].anything))
    family.observe(700, (unit_tail(2, 2),), ())
    assert margin_of(family).ln_e() < 1 < first
    assert family.ln_e == pytest.approx(first - log(2))
    assert family.ln_hold == pytest.approx(held - log(2))
    family.observe(1300, (unit_tail(3, 2),), ())
    assert family.ln_e < 0 and family.ln_hold < 0


def test_people_are_shown_the_epoch_that_speaks_loudest_and_nobody_twice() -> None:
    family = LatencyFamily.of(SETTINGS, timed_baseline("total"))
    for epoch, over in ((1, 25), (2, 2), (3, 1)):
        family.observe(600 * epoch, (unit_tail(epoch, over),), ())
        shown = family.shown()
        assert shown is not None and shown.counts.candidate == 50
        assert shown.counts.candidate_bad == (25 if epoch < 3 else shown.counts.candidate_bad)
    assert shown is not None and shown.counts.candidate_bad < 25
    assert family.is_seen(150)


def test_ranks_of_an_epoch_that_is_over_are_left_out_too() -> None:
    family = LatencyFamily.of(SETTINGS, timed_baseline("total"))
    family.observe(700, (unit_tail(2, 2),), ())
    before = family.ln_e
    sums = [[9.0, *[9.0] * 10]] * 2
    late = RankSums(
        metric="total", purpose="alarm", epoch=1, candidate_n=9, candidate=sums,
        stable_n=9, stable=[0.0, *[9.0] * 10],
    )  # fmt: skip
    family.observe(701, (), (late,))
    assert family.ln_e == before


def test_fresh_evidence_goes_over_epochs_as_all_evidence_does() -> None:
    family = LatencyFamily.of(SETTINGS, timed_baseline("total"))
    family.observe(1, (unit_tail(1, 25),), ())
    family.set_mark()
    assert family.ln_fresh() <= 0.0
    family.observe(700, (unit_tail(2, 25),), ())  # nothing came of the first since the mark
    fresh = family.ln_fresh()
    assert fresh == pytest.approx(margin_of(family).ln_e() - log(2))
    family.observe(1300, (unit_tail(3, 2),), ())
    assert family.ln_fresh() == pytest.approx(fresh)
    family.observe(1900, (unit_tail(4, 2),), ())
    assert family.ln_fresh() < 0.0


def test_what_an_epoch_that_is_over_still_has_to_say_is_left_out() -> None:
    family = LatencyFamily.of(SETTINGS, timed_baseline("total"))
    family.observe(700, (unit_tail(2, 25),), ())
    before = family.ln_e
    family.observe(701, (unit_tail(1, 50),), ())
    assert family.ln_e == before


def test_what_is_slow_counts_for_the_epoch_it_was_timed_in_though_others_have_begun() -> None:
    family = LatencyFamily.of(SETTINGS, timed_baseline("total"))
    for epoch in (1, 2, 3, 4):  # users are dealt every ten seconds
        family.observe(10 * epoch, (unit_tail(epoch, 2),), ())
    quiet = family.ln_e
    packed = msgspec.msgpack.encode(family)
    family = msgspec.msgpack.decode(packed, type=LatencyFamily)
    family.observe(60, (unit_tail(2, 49),), ())
    assert family.ln_e > log(400) > quiet
    alone = LatencyFamily.of(SETTINGS, timed_baseline("total"))
    for over in (2, 49):
        alone.observe(1, (unit_tail(1, over),), ())
    # All of the second epoch, by the second epoch's share.
    assert family.ln_e == pytest.approx(alone.ln_e + log(1 * 2) - log(2 * 3))
    assert family.ln_hold >= family.ln_e


def test_an_epoch_is_forgotten_when_nothing_of_it_can_come_any_more() -> None:
    family = LatencyFamily.of(SETTINGS, timed_baseline("total"))
    for epoch in range(1, MOST_PAST + 5):
        family.observe(epoch, (unit_tail(epoch, 2),), ())
    assert len(family.past) == MOST_PAST
    family.observe(20, (unit_tail(MOST_PAST, 49),), ())
    assert family.ln_e > log(400)
    family.observe(20 + family.longest_wait + 121, (), ())
    assert family.past == [] and family.ln_e < 0.0


def test_slowness_that_begins_late_is_found_by_a_later_epoch() -> None:
    family = LatencyFamily.of(SETTINGS, timed_baseline("total"))
    for epoch in range(1, 6):
        family.observe(600 * epoch, (unit_tail(epoch, 2),), ())
    assert family.ln_e < log(2)
    family.observe(3600, (unit_tail(6, 40),), ())
    assert family.ln_e > log(400)


def test_without_scales_there_is_no_latency_to_judge() -> None:
    family = LatencyFamily.of(SETTINGS, Baseline())
    family.observe(1, (), ())
    assert family.ln_e == 0.0
    assert not family.is_seen(1)
    assert family.shown() is None
    assert not family.is_proven(0.05)

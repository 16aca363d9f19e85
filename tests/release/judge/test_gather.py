from __future__ import annotations

from math import exp
from random import Random

import msgspec
import pytest

from gateway.metrics.strata import EventCounts
from gateway.release.judge.baseline import Baseline
from gateway.release.judge.gather import EPOCH_SECONDS, Accumulator, AccumulatorState
from gateway.release.judge.settings import JudgeSettings
from gateway.release.judge.strata import Stratum
from gateway.release.statistics.latency import Scale
from gateway.state.strata import Batch
from tests.release.judge.parts import (
    CANDIDATE,
    QUIET,
    ROUTE,
    STABLE,
    START,
    batch,
    cell,
    gatherer,
    timed_baseline,
    traffic,
)

SETTINGS = JudgeSettings()


def full(second: int, gateway: str = "g1", bad: int = 0) -> Batch:
    return batch(
        second,
        cell(CANDIDATE, second, arrived=5, finished=5, bad=bad),
        cell(STABLE, second, arrived=20, finished=20),
        gateway=gateway,
    )


def totals(strata: list[Stratum]) -> tuple[int, int, int]:
    return (
        sum(s.candidate.finished for s in strata),
        sum(s.candidate.bad for s in strata),
        sum(s.stable.finished for s in strata),
    )


def test_a_second_closes_two_seconds_after_it() -> None:
    gather = gatherer(SETTINGS)
    gather.add(full(START))
    assert gather.close(START + 2) == []
    (stratum,) = gather.close(START + 3)
    assert (stratum.second, stratum.weight) == (START, 0.1)
    assert (stratum.candidate.finished, stratum.stable.finished) == (5, 20)


def test_it_closes_at_once_when_all_living_gateways_have_sent_it() -> None:
    gather = gatherer(SETTINGS)
    gather.add(full(START, "g1"))
    assert gather.close(START, ["g1", "g2"]) == []
    gather.add(full(START, "g2"))
    (stratum,) = gather.close(START, ["g1", "g2"])
    assert stratum.candidate.finished == 10


def test_without_a_living_gateway_it_waits_out_its_time() -> None:
    gather = gatherer(SETTINGS)
    gather.add(full(START))
    assert gather.close(START, []) == []
    assert len(gather.close(START + 3, [])) == 1


def test_a_gateway_whose_clock_is_ahead_closes_nothing_early() -> None:
    gather = gatherer(SETTINGS)
    gather.add(full(START + 9))
    assert gather.close(START, ["g1"]) == []
    assert len(gather.close(START + 12)) == 1


def test_gateways_of_one_second_are_one_stratum() -> None:
    gather = gatherer(SETTINGS)
    for number in range(8):
        gather.add(full(START, f"g{number}", bad=1))
    (stratum,) = gather.close(START + 5)
    assert totals([stratum]) == (40, 8, 160)
    assert stratum.candidate.bad_seconds == 1


def test_what_comes_late_is_a_stratum_of_its_own() -> None:
    gather = gatherer(SETTINGS)
    gather.add(full(START))
    gather.add(full(START + 1))
    assert len(gather.close(START + 4)) == 2
    gather.add(batch(START, cell(CANDIDATE, START, finished=1, bad=1), gateway="g2"))
    (late,) = gather.close(START + 5)
    assert late.second == START
    assert totals([late]) == (1, 1, 0)


def test_other_routes_and_versions_are_left_out() -> None:
    gather = gatherer(SETTINGS)
    other = cell(CANDIDATE, START, finished=50)
    other.route = "other"
    event = EventCounts(START, "other", CANDIDATE, "feedback", 50, 50)
    gather.add(batch(START, other, cell("v3", START, finished=50), events=[event]))
    assert gather.close(START + 5) == []


def test_idle_seconds_make_no_strata() -> None:
    gather = gatherer(SETTINGS)
    gather.add(batch(START))
    assert gather.close(START + 100) == []


def test_seconds_with_few_requests_are_put_together() -> None:
    gather = gatherer(SETTINGS)
    for second in range(START, START + 10):
        gather.add(batch(second, cell(STABLE, second, finished=6, arrived=6)))
    strata = gather.close(START + 20)
    assert [s.second - START for s in strata] == [3, 7]
    assert [s.stable.finished for s in strata] == [24, 24]
    (rest,) = gather.close(START + 8 + 60 + 3)
    assert rest.stable.finished == 12


def test_strata_end_where_the_weight_changes() -> None:
    gather = gatherer(SETTINGS)
    gather.split(START + 2.5, 0.5)
    for second in range(START, START + 4):
        gather.add(batch(second, cell(STABLE, second, finished=8)))
    strata = gather.close(START + 200)
    assert [(s.weight, s.stable.finished) for s in strata] == [(0.1, 16), (0.5, 16)]


def test_around_a_change_of_weight_the_split_is_not_known() -> None:
    gather = gatherer(SETTINGS)
    gather.split(START + 10.2, 0.5)
    for second in range(START, START + 20):
        gather.add(full(second))
    unknown = [s.second - START for s in gather.close(START + 30) if not s.is_split_known]
    assert unknown == [9, 10, 11, 12, 13]


def test_the_same_share_again_is_no_change() -> None:
    gather = gatherer(SETTINGS)
    gather.split(START + 5.0, 0.1)
    gather.add(full(START + 5))
    (stratum,) = gather.close(START + 9)
    assert stratum.is_split_known


def test_weights_of_the_day_before_are_forgotten() -> None:
    gather = gatherer(SETTINGS)
    for number in range(1, 100):
        gather.split(START + 6000.0 * number, number / 100)
    gather.close(START + 6000 * 100)
    splits = gather.state().splits
    assert len(splits) == 16
    gather.add(full(START + 6000 * 99 + 50))
    assert gather.close(START + 6000 * 100)[0].weight == 0.99


def test_of_a_weight_that_moves_all_day_the_newest_are_remembered() -> None:
    gather = gatherer(SETTINGS)
    for number in range(5000):
        gather.split(START + 12.0 * number, 0.1 + number % 7 / 100)
        gather.close(START + 12 * number)
    assert [at for at, _ in gather.state().splits][::1999] == [START + 12 * 3000, START + 12 * 4999]


def test_events_are_told_by_family() -> None:
    events = [
        EventCounts(START, ROUTE, CANDIDATE, "feedback", 10, 2),
        EventCounts(START, ROUTE, STABLE, "feedback", 90, 9),
        EventCounts(START, ROUTE, CANDIDATE, "shadow", 40, 8),
        EventCounts(START, ROUTE, STABLE, "shadow_self", 10, 1),
    ]
    gather = gatherer(SETTINGS)
    gather.add(batch(START, events=events))
    pairs = {s.events[0].family: s.events[0] for s in gather.close(START + 3)}
    feedback, shadow = pairs["feedback"], pairs["shadow"]
    assert (feedback.candidate_n, feedback.candidate_bad) == (10, 2)
    assert (feedback.stable_n, feedback.stable_bad, feedback.bad_seconds) == (90, 9, 1)
    assert (shadow.candidate_n, shadow.candidate_bad) == (40, 8)
    assert (shadow.stable_n, shadow.stable_bad) == (10, 1)


def test_a_shadow_of_stable_itself_speaks_for_stable_whatever_its_version_is() -> None:
    event = EventCounts(START, ROUTE, CANDIDATE, "shadow_self", 30, 3)
    gather = gatherer(SETTINGS)
    gather.add(batch(START, events=[event]))
    (stratum,) = gather.close(START + 3)
    assert (stratum.events[0].candidate_n, stratum.events[0].stable_n) == (0, 30)


def test_rare_events_wait_for_company_and_late_ones_do_not() -> None:
    gather = gatherer(SETTINGS)
    few = [EventCounts(START, ROUTE, CANDIDATE, "feedback", 1, 1)]
    gather.add(batch(START + 5, events=few))
    assert gather.close(START + 8) == []
    gather.add(batch(START, events=few))
    (late,) = gather.close(START + 9)
    assert late.events[0].candidate_n == 1
    (waited,) = gather.close(START + 5 + 62)
    assert waited.second == START + 5


# Latency.

# Thresholds of one and of ten seconds; the median is in bucket 0.
SCALE = Scale((0, 47), -1, (0.25, 0.75))
TIMED = Baseline(scales={"total": SCALE}, noise=1.0)
AT_ONCE = JudgeSettings(warmup_seconds=0, warmup_requests=1)


def arrivals(
    second: int, candidate: int, stable: int, gateway: str = "g1", **told: dict[int, int]
) -> Batch:
    return batch(
        second,
        cell(CANDIDATE, second, arrived=candidate),
        cell(STABLE, second, arrived=stable, finished=sum(told.get("total", {}).values()), **told),
        gateway=gateway,
    )


def tails_of(strata: list[Stratum]) -> dict[int, tuple[int, int, int, int]]:
    return {
        tail.cut: (tail.candidate_n, tail.candidate_over[0], tail.stable_n, tail.stable_over)
        for stratum in strata
        for tail in stratum.tails
    }


def closed_until(gather: Accumulator, first: int, last: int) -> list[Stratum]:
    return [stratum for now in range(first, last + 1) for stratum in gather.close(now)]


def test_a_threshold_is_judged_when_it_is_due_whether_requests_have_ended_or_not() -> None:
    gather = gatherer(AT_ONCE, TIMED)
    gather.add(arrivals(START, 4, 96, total={-10: 90}))
    # Due after one second, for which the slide of 10 % asks for two; 1 s of arrival, 2 s to wait.
    assert tails_of(closed_until(gather, START, START + 4)) == {}
    assert tails_of(gather.close(START + 5)) == {0: (4, 4, 96, 6)}
    gather.add(batch(START + 6, cell(CANDIDATE, START, finished=4, total={20: 4})))
    assert tails_of(closed_until(gather, START + 6, START + 13)) == {}
    assert tails_of(closed_until(gather, START + 14, START + 16)) == {1: (4, 0, 96, 6)}
    assert "0 being timed" in repr(gather)


def test_the_rank_comes_with_the_cap() -> None:
    gather = gatherer(AT_ONCE, TIMED)
    gather.add(arrivals(START, 4, 96, total={-10: 90}))
    ranks = [rank for s in closed_until(gather, START, START + 30) for rank in s.ranks]
    assert [(rank.candidate_n, rank.stable_n) for rank in ranks] == [(4, 96)]


def test_a_request_that_ends_after_all_thresholds_changes_nothing() -> None:
    gather = gatherer(AT_ONCE, TIMED)
    gather.add(arrivals(START, 4, 96, total={-10: 96}))
    closed_until(gather, START, START + 30)
    gather.add(batch(START + 30, cell(CANDIDATE, START, finished=4, total={70: 4})))
    assert tails_of(closed_until(gather, START + 31, START + 60)) == {}


def test_a_gateway_that_was_cut_off_is_judged_when_it_is_back() -> None:
    gather = gatherer(AT_ONCE, TIMED)
    gather.add(arrivals(START, 4, 96, total={-10: 96}))
    closed_until(gather, START, START + 60)
    gather.add(arrivals(START, 2, 48, gateway="g2", total={-10: 40}))
    gather.add(batch(START + 1, cell(STABLE, START, finished=8, total={-5: 8}), gateway="g2"))
    assert gather.close(START + 61)[0].second == START
    late = tails_of(closed_until(gather, START + 62, START + 64))
    assert late == {0: (2, 2, 48, 0), 1: (2, 2, 48, 0)}


def test_the_first_minute_of_the_candidate_is_not_judged_by_its_latency() -> None:
    gather = gatherer(JudgeSettings(), TIMED)
    judged = 0
    for second in range(START, START + 100):
        gather.add(arrivals(second, 4, 96, total={-10: 96}))
        judged += sum(tail.candidate_n for s in gather.close(second + 1) for tail in s.tails[:1])
        assert gather.is_warm == (second >= START + 12)  # 50 requests
    for stratum in closed_until(gather, START + 101, START + 120):
        judged += sum(tail.candidate_n for tail in stratum.tails if tail.cut == 0)
    assert tails_of(gather.close(START + 200)) == {}
    assert judged == 4 * 40


def test_a_candidate_with_few_requests_stays_longer_in_its_first_minute() -> None:
    gather = gatherer(JudgeSettings(), TIMED)
    for second in range(START, START + 300):
        gather.add(arrivals(second, int(second % 5 == 0), 96))
        gather.close(second)
    assert gather.is_warm
    assert gather.state().warm_from == START + 245


def test_without_a_baseline_arrivals_are_not_kept() -> None:
    gather = gatherer(SETTINGS, QUIET)
    gather.add(arrivals(START, 4, 96))
    assert gather.state().arrived == {}


def test_latency_goes_on_when_a_clock_that_was_ahead_is_put_right() -> None:
    gather = gatherer(AT_ONCE, TIMED)
    gather.add(arrivals(START, 4, 96, total={-10: 96}))
    gather.close(START + 3600)  # and nobody knows that it is wrong
    gather.split(START + 3601, 0.5)
    closed_until(gather, START + 2, START + 10)
    gather.add(arrivals(START + 10, 50, 50, total={-10: 50}))
    strata = closed_until(gather, START + 11, START + 30)
    assert tails_of(strata) == {0: (50, 50, 50, 0), 1: (50, 50, 50, 0)}
    assert {stratum.weight for stratum in strata} == {0.5}
    assert gather.state().arrived == {}


def test_a_clock_that_was_ahead_while_the_candidate_warmed_up_keeps_nobody_waiting() -> None:
    gather = gatherer(AT_ONCE, TIMED)
    gather.add(arrivals(START + 3600, 4, 96, total={-10: 96}))
    gather.close(START + 3610)
    gather.close(START + 10)
    state = gather.state()
    assert state.warm_from is not None and state.first_arrival is not None
    assert max(state.warm_from, state.first_arrival, state.closed) <= START + 10


def test_clocks_of_two_leaders_that_differ_by_little_are_as_the_later_one_says() -> None:
    gather = gatherer(AT_ONCE, TIMED)
    gather.close(START + 5)
    gather.close(START)
    assert gather.state().now == START + 5


# Units that stay.

BY_UNIT = msgspec.structs.replace(AT_ONCE, unit="unit")


def comers(
    second: int,
    units: list[int],
    times: dict[int, int],
    gateway: str = "g1",
    version: str = CANDIDATE,
) -> Batch:
    """Units of which this is the first request on some worker, and the buckets of those ended."""
    told = cell(
        version, second, arrived=2 * len(units), first_units=units,
        first_times=[(unit, bucket, None, None) for unit, bucket in times.items()],
    )  # fmt: skip
    return batch(second, told, gateway=gateway)


def alarms_of(strata: list[Stratum]) -> dict[int, tuple[int, int]]:
    """Of the candidate, by threshold: how many there were, and how many above."""
    found: dict[int, tuple[int, int]] = {}
    for tail in (tail for stratum in strata for tail in stratum.tails):
        if tail.purpose == "alarm" and tail.candidate_n:
            n, over = found.get(tail.cut, (0, 0))
            found[tail.cut] = (n + tail.candidate_n, over + tail.candidate_over[0])
    return found


def test_where_units_stay_one_request_of_each_raises_alarms() -> None:
    gather = gatherer(BY_UNIT, TIMED)
    gather.add(comers(START, [1, 2, 3], {1: -10, 2: 60}))
    gather.add(comers(START, [3, 4], {3: -10, 4: -10}, gateway="g2"))  # 3 is at both
    gather.add(comers(START + 1, [1], {1: 60}, gateway="g2"))  # another request of 1
    gather.add(comers(START + 1, [9], {9: -10, 1: 60}))
    assert alarms_of(closed_until(gather, START, START + 90)) == {0: (5, 1), 1: (5, 1)}


def test_a_unit_that_waits_for_its_first_answer_is_above_all_thresholds() -> None:
    gather = gatherer(BY_UNIT, TIMED)
    gather.add(comers(START, [1, 2], {1: -10}))
    assert alarms_of(closed_until(gather, START, START + 90)) == {0: (2, 1), 1: (2, 1)}


def test_where_units_stay_all_requests_prove_that_the_candidate_keeps_up() -> None:
    gather = gatherer(BY_UNIT, TIMED)
    gather.add(arrivals(START, 4, 96, total={-10: 90}))
    strata = closed_until(gather, START, START + 90)
    tails = [tail for stratum in strata for tail in stratum.tails]
    assert {tail.purpose for tail in tails} == {"proof"}
    assert {(tail.candidate_n, tail.stable_n, len(tail.candidate_over)) for tail in tails} == {
        (4, 96, 1)
    }


def test_who_comes_while_the_candidate_is_cold_is_timed_later() -> None:
    gather = gatherer(JudgeSettings(unit="unit"), TIMED)
    for second in range(START, START + 100):
        # Told of again after 75 seconds, as workers do.
        again = [second - START - 75] if second >= START + 75 else []
        units = [second - START, *again]
        gather.add(comers(second, units, dict.fromkeys(units, -10)))
        gather.add(comers(second, units, dict.fromkeys(units, -10), version=STABLE))
        gather.close(second)
    state = gather.state()
    assert state.warm_from == START + 60
    assert state.once.timed[True].seen == {*range(25), *range(60, 100)}


def test_in_the_next_stage_units_are_timed_once_more() -> None:
    gather = gatherer(BY_UNIT, TIMED)
    gather.add(comers(START, [1], {1: -10}))
    gather.add(comers(START + 10, [1], {1: -10}))
    gather.split(START + 20, 0.25)
    gather.add(comers(START + 20, [1], {1: -10}))
    strata = closed_until(gather, START, START + 120)
    assert alarms_of(strata) == {0: (2, 0), 1: (2, 0)}
    assert {tail.epoch for s in strata for tail in s.tails if tail.purpose == "alarm"} == {1, 2}


def test_who_came_before_the_epoch_is_left_to_it() -> None:
    gather = gatherer(BY_UNIT, TIMED)
    gather.add(comers(START, [1], {1: -10}))
    gather.split(START + 1, 0.25)
    gather.add(comers(START, [2], {2: -10}, gateway="g2"))  # late
    gather.add(comers(START + 1, [1, 2], {1: -10, 2: -10}))
    assert alarms_of(closed_until(gather, START, START + 90)) == {0: (3, 0), 1: (3, 0)}


def test_without_units_that_stay_their_requests_are_not_told_apart() -> None:
    gather = gatherer(AT_ONCE, TIMED)
    gather.add(comers(START, [1, 2], {1: 60}))
    tails = [t for s in closed_until(gather, START, START + 90) for t in s.tails]
    assert {(tail.purpose, tail.candidate_n) for tail in tails} == {("both", 4)}


def test_where_units_stay_each_is_unhappy_once_and_a_shadow_is_no_matter_of_units() -> None:
    gather = gatherer(BY_UNIT)
    for second in (START, START + 1):
        rated = [(1, True), (2, False), (1, False)]
        events = [
            EventCounts(second, ROUTE, CANDIDATE, "feedback", 5, 3, rated),
            EventCounts(second, ROUTE, STABLE, "feedback", 4, 0, [(1, False), (9, False)]),
            EventCounts(second, ROUTE, CANDIDATE, "shadow", 30, 2),
        ]
        gather.add(batch(second, events=events))
    pairs = {e.family: e for s in gather.close(START + 70) for e in s.events}
    feedback, shadow = pairs["feedback"], pairs["shadow"]
    counted = (feedback.candidate_n, feedback.candidate_bad, feedback.stable_n)
    assert counted == (3, 1, 2)  # 1 and 2, then 2 alone; of stable 9, and 9 again
    assert shadow.candidate_n == 30


def failed_in(second: int, sent: int, version: str, unit: int, more: int = 0) -> Batch:
    """One unit whose request of that second has failed by the one in which it is told."""
    one = cell(version, second, arrived=1, finished=1, bad=1)
    one.units, one.bad_units, one.more_bad_units = 1 + more, [unit], more
    return batch(sent, one)


def at_risk(strata: list[Stratum]) -> tuple[int, int]:
    return sum(s.candidate.at_risk for s in strata), sum(s.stable.at_risk for s in strata)


def test_who_fails_is_parted_by_the_share_of_when_he_came() -> None:
    gather = gatherer(BY_UNIT)
    gather.split(START, 0.5)
    gather.split(START + 100, 0.05)
    for number, second in enumerate((START + 50, START + 96, START + 150)):
        gather.add(failed_in(second, START + 160, STABLE, number))
    assert at_risk(gather.close(START + 900)) == (1_050_000, 1_950_000)


def test_what_came_before_the_release_is_neither_ones_fault() -> None:
    gather = Accumulator(ROUTE, CANDIDATE, STABLE, BY_UNIT, QUIET)
    gather.split(START, 0.05)
    for number, second in enumerate((START - 1, START)):
        gather.add(failed_in(second, START + 20, CANDIDATE, number, more=2))
        rated = [(number, True)]
        events = [EventCounts(second, ROUTE, CANDIDATE, "feedback", 1, 1, rated)]
        gather.add(batch(START + 20, events=events))
    strata = gather.close(START + 900)
    assert at_risk(strata) == (50_000, 950_000)
    assert [(s.candidate.bad_units, s.candidate.bad) for s in strata if s.candidate.bad] == [
        ([1], 2)
    ]
    [pair] = [pair for stratum in strata for pair in stratum.events]
    assert (pair.candidate_n, pair.candidate_bad) == (1, 1)


def test_after_a_mark_who_failed_before_tells_anew_of_the_candidate() -> None:
    gather = Accumulator(ROUTE, CANDIDATE, STABLE, BY_UNIT, QUIET)
    gather.split(START, 0.25)
    told = []
    for since in (0, 200, 400):  # away and back, as for a probe
        gather.split(START + since, 0.25)
        gather.add(failed_in(START + since + 50, START + since + 50, CANDIDATE, 1))
        gather.split(START + since + 100, 0.0)
        if since == 200:
            gather.mark()
        told.append(at_risk(gather.close(START + since + 199))[0])
    # For the first time, then where he is in any case, and as if for the first time.
    assert told == [250_000, 1_000_000, 250_000]


def test_while_gateways_learn_of_a_weight_the_larger_share_counts() -> None:
    gather = gatherer(BY_UNIT)
    gather.split(START, 0.05)
    gather.split(START + 100, 0.25)
    gather.split(START + 200, 0.05)
    for number, second in enumerate((84, 85, 103, 199, 203, 204)):
        gather.add(failed_in(START + second, START + 300 + number, STABLE, number))
    told = [at_risk([one])[0] for one in gather.close(START + 400)]
    assert sum(told) == 50_000 + 4 * 250_000 + 50_000


def test_failures_of_stable_that_have_no_name_are_parted_and_those_of_the_candidate_left_out() -> (
    None
):
    gather = gatherer(BY_UNIT)
    gather.split(START, 0.25)
    gather.add(failed_in(START + 50, START + 50, STABLE, 1, more=3))
    assert at_risk(gather.close(START + 900)) == (1_000_000, 3_000_000)
    gather.add(failed_in(START + 950, START + 950, CANDIDATE, 2, more=3))
    assert at_risk(gather.close(START + 1900)) == (250_000, 750_000)


def test_what_was_held_before_an_upgrade_is_not_added_to_what_counts_otherwise() -> None:
    before = gatherer(msgspec.structs.replace(AT_ONCE, stratum_requests=1000), TIMED)
    before.add(arrivals(START, 4, 96, total={-10: 90}))
    closed_until(before, START, START + 20)
    settings = msgspec.structs.replace(BY_UNIT, stratum_requests=1000)
    after = Accumulator(ROUTE, CANDIDATE, STABLE, settings, TIMED, before.state())
    after.add(arrivals(START + 21, 4, 96, total={-10: 90}))
    closed_until(after, START + 21, START + 40)
    state = after.state()  # what an older release finds, and what it cannot read
    assert {held.counts.purpose for held in state.tails.pending.values()} == {"both"}
    assert {held.counts.purpose for held in state.unit_tails.pending.values()} == {"proof"}
    tails = [tail for s in closed_until(after, START + 41, START + 120) for tail in s.tails]
    assert {(tail.purpose, tail.candidate_n) for tail in tails} == {("both", 4), ("proof", 4)}


def test_units_are_timed_anew_in_each_epoch() -> None:
    gather = gatherer(BY_UNIT, TIMED)
    epochs = {}
    for second in range(START, START + 3 * EPOCH_SECONDS, 100):
        gather.add(comers(second, [1], {1: -10}))
        for stratum in closed_until(gather, second, second + 99):
            epochs.update({t.epoch: t.candidate_n for t in stratum.tails if t.purpose == "alarm"})
    assert epochs == {1: 1, 2: 1, 3: 1}


def test_an_epoch_that_began_by_a_clock_that_was_ahead_ends_in_time() -> None:
    gather = gatherer(BY_UNIT, TIMED)
    gather.close(START)
    gather.close(START + 3600)
    gather.close(START + 1)
    gather.add(comers(START + 1, [1], {1: -10}))
    gather.close(START + 2 + EPOCH_SECONDS)
    assert gather.state().once.epoch == 2


def test_drawn_one_by_one_all_ratings_count() -> None:
    gather = gatherer(SETTINGS)
    events = [EventCounts(START, ROUTE, CANDIDATE, "feedback", 25, 3, [(1, True), (1, True)])]
    gather.add(batch(START, events=events))
    [stratum] = gather.close(START + 3)
    assert (stratum.events[0].candidate_n, stratum.events[0].candidate_bad) == (25, 3)


# Merging and restarting.


def halved(one: Batch, dice: Random, ways: int) -> list[Batch]:
    """The same second as so many gateways would have told of it."""
    parts = [
        batch(one.sent, *(cell(c.version, c.second) for c in one.cells), gateway=f"g{number}")
        for number in range(ways)
    ]
    for place, whole in enumerate(one.cells):
        for field in ("arrived", "finished", "bad", "client_errors"):
            for _ in range(getattr(whole, field)):
                part = dice.choice(parts).cells[place]
                setattr(part, field, getattr(part, field) + 1)
        for bucket, count in whole.total.items():
            for _ in range(count):
                part = dice.choice(parts).cells[place]
                part.total[bucket] = part.total.get(bucket, 0) + 1
    return parts


def strata_of(gather: Accumulator, batches: list[Batch], dice: Random | None) -> list[Stratum]:
    """Read in time; with dice in any order within the two seconds that a stratum stays open."""
    last = max(one.sent for one in batches)
    read_at = {
        place: one.sent + (dice.random() * 2 if dice else 0) for place, one in enumerate(batches)
    }
    strata = []
    for now in range(START, last + 30):
        for place in sorted(read_at, key=read_at.__getitem__):
            if now <= read_at[place] < now + 1:
                gather.add(batches[place])
        strata += gather.close(now + 1)
    return strata


@pytest.mark.parametrize("ways", [1, 8])
def test_one_gateway_or_eight_in_any_order_make_the_same_strata(ways: int) -> None:
    dice = Random(ways)
    batches = traffic(Random(5), 40)
    baseline = timed_baseline("total")
    one = strata_of(gatherer(AT_ONCE, baseline), batches, None)
    parts = [part for whole in batches for part in halved(whole, dice, ways)]
    many = strata_of(gatherer(AT_ONCE, baseline), parts, dice)
    answered = [s for s in one if s.candidate.finished]
    assert [s for s in many if s.candidate.finished] == answered
    assert tail_sums(many) == tail_sums(one)
    assert rank_sums(many) == pytest.approx(rank_sums(one))


def tail_sums(strata: list[Stratum]) -> list[int]:
    tails = [tail for s in strata for tail in s.tails]
    return [
        sum(tail.candidate_n for tail in tails),
        sum(tail.stable_over for tail in tails),
        *(sum(tail.candidate_over[slide] for tail in tails) for slide in range(3)),
    ]


def rank_sums(strata: list[Stratum]) -> list[float]:
    ranks = [rank for s in strata for rank in s.ranks]
    return [sum(rank.candidate[1][place] for rank in ranks) for place in range(11)]


def test_it_goes_on_from_a_stored_state_as_if_nothing_had_happened() -> None:
    baseline = timed_baseline("total")
    straight, broken = gatherer(AT_ONCE, baseline), gatherer(AT_ONCE, baseline)
    expected, got = [], []
    for one in traffic(Random(6), 40, rate=15.0):
        straight.add(one)
        broken.add(one)
        expected += straight.close(one.sent + 1)
        got += broken.close(one.sent + 1)
        stored = msgspec.msgpack.encode(broken.state())
        state = msgspec.msgpack.decode(stored, type=AccumulatorState)
        broken = Accumulator(ROUTE, CANDIDATE, STABLE, AT_ONCE, baseline, state)
    assert got == expected
    assert broken.close(START + 300) == straight.close(START + 300)


def test_a_copy_of_the_state_is_not_changed_by_what_comes_after() -> None:
    gather = gatherer(SETTINGS)
    gather.add(full(START))
    state = gather.state()
    gather.add(full(START, "g2"))
    assert state.ended[START].gateways == {"g1"}
    assert "1 seconds open" in repr(gather)


def test_open_seconds_do_not_pile_up() -> None:
    baseline = timed_baseline("total")
    gather = gatherer(AT_ONCE, baseline)
    for one in traffic(Random(7), 60):
        gather.add(one)
        gather.close(one.sent + 1)
    longest = exp(1.0) * 5  # p99.9 of the times, with margins
    assert len(gather.state().arrived) < longest + 5
    assert len(gather.state().ended) <= 3

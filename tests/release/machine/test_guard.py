from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from gateway.release.judge.evidence import Evidence, MetricVerdict
from gateway.release.machine.action import MarkEvidence
from gateway.release.machine.advance import advance
from gateway.release.machine.guard import CALM_SECONDS
from gateway.release.machine.status import Verb
from gateway.release.machine.turn import Observed
from tests.release.machine.story import (
    GOOD,
    NO_DATA,
    Story,
    evidence,
    family,
    news,
    proposals,
    segments,
    weights,
    words,
)

OLD = evidence(family(e=500.0, span_seconds=30), span_seconds=30)
YOUNG = evidence(family(e=500.0, span_seconds=3), span_seconds=3)
CONFIRMED = evidence(family(e=9000.0, fresh_e=25.0), span_seconds=3)
HOLDS = evidence(family(e=100.0))
SPLIT = evidence(family(), srm_alarm=True)


def ramping(mode: str = "automatic") -> Story:
    story = Story(mode=mode)
    story.tick()
    if mode == "manual":
        story.say("promote")
    assert story.phase == "ramp"
    return story


def test_a_hold_freezes_the_weight() -> None:
    story = ramping()
    done = story.tick(HOLDS)
    assert (story.phase, weights(done), news(done)) == ("hold", [], ["hold"])
    assert story.status.held_by == ("errors",)
    assert story.run(1000, HOLDS) == []


def test_a_hold_ends_after_five_calm_minutes_and_not_before() -> None:
    story = ramping()
    story.tick(HOLDS)
    story.run(CALM_SECONDS - 1)
    assert story.phase == "hold"
    story.tick()
    assert story.phase == "ramp"


def test_one_uncalm_second_starts_the_five_minutes_anew() -> None:
    story = ramping()
    story.tick(HOLDS)
    story.run(200)
    story.tick(evidence(family(e=30.0)))
    story.run(CALM_SECONDS - 1)
    assert story.phase == "hold"
    story.tick()
    assert story.phase == "ramp"


@pytest.mark.parametrize("says", [None, NO_DATA])
def test_silence_is_not_calm(says: object) -> None:
    story = ramping()
    story.tick(HOLDS)
    story.run(1000, says)  # type: ignore[arg-type]  # a parameter cannot say Evidence | None
    assert story.phase == "hold"


def test_old_evidence_rolls_back_at_once() -> None:
    story = ramping()
    done = story.tick(OLD)
    assert (story.phase, story.status.latched) == ("rolled-back", True)
    assert (weights(done), news(done)) == ([0], ["alarm", "rollback"])


def test_after_a_rollback_nothing_moves_until_somebody_releases_it() -> None:
    story = ramping()
    story.tick(OLD)
    assert story.run(4000) == []
    for verb in get_args(Verb):
        if verb != "release-latch":
            assert weights(story.say(verb)) == []
    latched = [story.status.latched]
    story.say("release-latch")
    latched.append(story.status.latched)
    assert latched == [True, False]
    assert story.run(100) == []
    assert story.weight == 0


def test_young_evidence_gets_one_probe_after_a_rest() -> None:
    story = ramping()
    assert weights(story.tick(YOUNG)) == [0]
    assert (story.phase, story.status.probe) == ("quarantine", "resting")
    assert weights(story.run(19, YOUNG)) == []
    done = story.tick(YOUNG)
    assert weights(done) == [1]
    assert any(isinstance(action, MarkEvidence) for action in done)
    assert weights(story.run(14, YOUNG)) == []
    assert weights(story.tick(YOUNG)) == [0]


def test_a_confirmed_probe_rolls_back() -> None:
    story = ramping()
    story.run(23, YOUNG)
    assert story.status.probe == "running"
    done = story.tick(CONFIRMED)
    assert (weights(done), story.phase) == ([0], "rolled-back")
    assert "a probe confirmed it: errors" in words(done)


def test_answers_that_come_after_the_probe_still_confirm_it() -> None:
    story = ramping()
    story.run(21 + 15, YOUNG)
    assert story.status.probe == "settling"
    story.tick(CONFIRMED)
    assert story.phase == "rolled-back"


def test_a_probe_that_finds_nothing_becomes_a_hold_at_the_old_weight() -> None:
    story = ramping()
    done = story.run(21 + 15 + 5, YOUNG)
    assert (weights(done), story.phase) == ([0, 1, 0, 1], "hold")
    assert weights(story.run(500, YOUNG)) == []
    story.tick(CONFIRMED)
    assert story.phase == "rolled-back"


def test_a_release_has_one_probe() -> None:
    story = ramping()
    story.run(21 + 15 + 5, YOUNG)
    story.run(CALM_SECONDS + 1)
    assert story.phase == "ramp"
    story.tick(YOUNG)
    assert story.phase == "rolled-back"


def test_a_probe_without_requests_leaves_it_to_a_person() -> None:
    story = ramping()
    done = story.run(60, YOUNG, requests=0)
    assert (story.phase, story.weight) == ("quarantine", 0)
    assert proposals(done) == ["rollback:errors"]
    assert story.run(4000, GOOD) == []
    story.say("approve")
    assert story.phase == "rolled-back"


def test_a_probe_that_nobody_watches_is_broken_off() -> None:
    story = ramping()
    story.run(23, YOUNG)
    assert weights(story.tick(None)) == [0]
    assert story.status.probe == "settling"
    story = ramping()
    story.run(23, YOUNG)
    assert weights(story.tick(YOUNG, after=60)) == [0]


def test_a_probe_waits_for_endpoints_that_are_ejected() -> None:
    story = ramping()
    story.run(60, YOUNG, observed=Observed(why_not_ready="no endpoint is up"))
    assert (story.status.probe, story.weight) == ("resting", 0)
    story.tick(YOUNG)
    assert (story.status.probe, story.weight) == ("running", 1)


def test_a_candidate_that_stays_down_needs_no_probe() -> None:
    story = ramping()
    done = story.run(82, YOUNG, observed=Observed(why_not_ready="no endpoint is up"))
    assert (story.phase, story.weight) == ("rolled-back", 0)
    assert "still no endpoint is up" in words(done)


def test_a_stale_fresh_e_of_an_earlier_mark_confirms_nothing() -> None:
    story = ramping()
    story.run(20, YOUNG)
    stale = msgspec.structs.replace(CONFIRMED)
    story.tick(stale)  # the tick that begins the probe still carries the numbers of before
    assert story.status.probe == "running"


def test_semi_automatic_quarantines_alone_and_asks_before_the_rollback() -> None:
    story = ramping("semi-automatic")
    done = story.tick(OLD)
    assert (story.phase, weights(done), proposals(done)) == ("quarantine", [0], ["rollback:errors"])
    assert story.run(500, OLD) == []
    done = story.say("approve", OLD)
    assert (story.phase, story.weight) == ("rolled-back", 0)


def test_manual_only_advises() -> None:
    story = ramping("manual")
    done = story.run(100, OLD)
    assert (story.phase, story.weight, weights(done)) == ("ramp", 1, [])
    assert proposals(done) == ["rollback:errors"]
    assert news(done).count("alarm") == 1
    assert weights(story.say("approve", OLD)) == [0]
    assert story.phase == "rolled-back"


def test_manual_takes_its_advice_back_when_the_alarm_is_gone() -> None:
    story = ramping("manual")
    story.run(5, OLD)
    story.tick(GOOD)
    assert story.status.proposal is None
    assert proposals(story.tick(OLD)) == ["rollback:errors"]


def test_manual_advises_against_going_on() -> None:
    story = ramping("manual")
    done = story.run(50, HOLDS)
    assert (story.phase, news(done)) == ("ramp", ["hold"])


def test_continue_keeps_the_evidence_and_only_fresh_evidence_stops_it_again() -> None:
    story = ramping("semi-automatic")
    story.tick(OLD)
    assert weights(story.say("continue", OLD)) == [1]
    assert story.phase == "ramp"
    story.run(100, OLD)
    assert story.phase == "ramp"
    story.tick(evidence(family(e=600.0, fresh_e=20.0, span_seconds=30), span_seconds=30))
    assert story.phase == "quarantine"


def test_a_continued_hold_does_not_blunt_the_alarm() -> None:
    story = ramping()
    story.tick(HOLDS)
    story.say("continue", HOLDS)
    story.run(50, HOLDS)
    assert story.phase == "ramp"
    story.tick(OLD)
    assert story.phase == "rolled-back"


def test_an_alarm_that_went_away_is_new_when_it_comes_back() -> None:
    story = ramping()
    story.tick(HOLDS)
    story.say("continue", HOLDS)
    story.tick(GOOD)
    story.tick(HOLDS)
    assert story.phase == "hold"


def test_what_is_held_is_not_promoted_even_when_a_person_continued() -> None:
    story = ramping()
    story.tick(HOLDS)
    story.say("continue", HOLDS)
    assert weights(story.run(1000, HOLDS)) == []


def test_a_split_that_is_not_as_it_should_be_holds() -> None:
    story = ramping()
    done = story.tick(SPLIT)
    assert story.phase == "hold"
    assert "no comparison can be trusted" in words(done)
    story.run(1000, SPLIT)
    assert story.phase == "hold"
    story.say("continue", SPLIT)
    story.run(10, SPLIT)
    assert story.phase == "ramp"


def test_families_that_stop_only_together_stop() -> None:
    story = ramping()
    together = evidence(family(e=300.0), family("latency", e=300.0), must_roll_back=True)
    story.tick(msgspec.structs.replace(together, span_seconds=60))
    assert story.phase == "rolled-back"


@pytest.mark.parametrize(("action", "phase"), [("hold", "hold"), ("rollback", "rolled-back")])
def test_an_own_metric_does_what_the_plan_says(action: str, phase: str) -> None:
    metric = {"name": "gpu", "query": "gpu{}", "at_most": 1.0, "action": action}
    story = Story(metrics=[metric])
    fine = MetricVerdict(name="gpu", verdict="pass", value=0.5)
    story.tick(evidence(family(), metrics=(fine,)))
    out = MetricVerdict(name="gpu", verdict="fail", value=2.0, action=action, why="2 is above 1")  # type: ignore[arg-type]  # a parameter
    story.tick(evidence(family(), metrics=(out,)))
    assert story.phase == phase
    if phase == "hold":
        story.run(CALM_SECONDS + 1, evidence(family(), metrics=(fine,)))
        assert story.phase == "ramp"


@pytest.mark.parametrize(("missing", "moves"), [("hold", []), ("ignore", [5.0])])
def test_an_own_metric_without_data_holds_unless_the_plan_says_otherwise(
    missing: str, moves: list[float]
) -> None:
    story = Story(metrics=[{"name": "gpu", "query": "gpu", "at_most": 1, "missing": missing}])
    story.tick()
    assert weights(story.run(150)) == moves


def test_in_a_quarantine_the_segments_lose_the_candidate_too() -> None:
    stages = [
        {"segments": ["staff"], "approval": True, "minimum_requests": 0, "hold": 0},
        {"weight": 10},
        {"weight": 100},
    ]
    story = Story(mode="semi-automatic", stages=stages)
    done = story.tick()
    assert (segments(done), weights(done)) == ([("staff",)], [])
    story.tick()
    assert story.phase == "awaiting-approval"
    assert weights(story.say("approve")) == [10]
    done = story.tick(OLD)
    assert (segments(done), weights(done)) == ([()], [0])
    done = story.say("continue", OLD)
    assert (segments(done), weights(done)) == ([("staff",)], [10])


def test_a_paused_release_is_still_guarded() -> None:
    story = ramping()
    story.say("pause")
    story.run(10, HOLDS)
    assert story.phase == "paused"
    story.tick(OLD)
    assert story.phase == "rolled-back"


def test_a_pause_outlives_a_probe_that_found_nothing() -> None:
    story = ramping()
    story.say("pause", why="lunch")
    story.run(21 + 15 + 5, YOUNG)
    assert (story.phase, story.weight) == ("paused", 1)
    assert weights(story.run(1000)) == []


@pytest.mark.parametrize(("warm", "phase"), [(0, "hold"), ("1h", "rolled-back")])
def test_without_a_holdback_only_a_warm_stable_takes_over_alone(warm: object, phase: str) -> None:
    bake = {"duration": "30m", "holdback": 0, "keep_warm": warm}
    story = Story(stages=[{"weight": 100}], bake=bake)
    story.run(10)
    assert story.phase == "baking"
    done = story.run(10, OLD)
    assert story.phase == phase
    assert news(done).count("alarm") == 1


LATE = "errors rose after the promotion: 41 of 12,345 requests failed on the candidate"


def late(span_seconds: int, **fields: object) -> Evidence:
    """What the watch of the bake found, while the whole release still speaks for the candidate."""
    found = family(e=0.02, why=LATE, span_seconds=span_seconds, rose_late=True)
    raised = {"rollback": True, "hold": True, "is_calm": False, **fields}
    return evidence(msgspec.structs.replace(found, **raised))


def baking(holdback: int, keep_warm: object = 0, mode: str = "automatic") -> Story:
    bake = {"duration": "30m", "holdback": holdback, "keep_warm": keep_warm}
    story = Story(stages=[{"weight": 100}], bake=bake, mode=mode)
    story.run(10)
    assert story.phase == "baking"
    return story


def test_errors_that_rose_late_roll_back_from_a_bake_with_a_holdback() -> None:
    story = baking(holdback=5)
    done = story.tick(late(span_seconds=60))
    assert (story.phase, story.weight) == ("rolled-back", 0)
    assert f"v2 is in quarantine, weight 0: {LATE}." in words(done)
    assert f"v2 is rolled back, v1 has all traffic: {LATE}." in words(done)


def test_errors_that_rose_in_a_moment_are_probed_beside_the_holdback() -> None:
    story = baking(holdback=5)
    story.run(21, late(span_seconds=3))
    assert (story.status.probe, story.weight) == ("running", 95)
    # The watch began anew with the probe; fresh evidence of the same family confirms it.
    story.tick(evidence(family(e=0.02, fresh_e=25.0)))
    assert story.phase == "rolled-back"


def test_a_probe_is_not_confirmed_by_a_family_that_raised_no_alarm() -> None:
    story = baking(holdback=5)
    story.run(21, late(span_seconds=3))
    story.tick(evidence(family(), family("latency", e=1.0, fresh_e=25.0)))
    assert story.status.probe == "running"


def test_errors_that_rose_late_page_and_hold_where_nothing_is_held_back() -> None:
    story = baking(holdback=0)
    done = story.run(10, late(span_seconds=3))
    assert (story.phase, story.weight) == ("hold", 100)
    assert news(done) == ["alarm", "hold"]
    assert "a person must decide" in words(done)
    assert words(done).count(LATE) == 2
    story.say("rollback")
    assert (story.phase, story.weight) == ("rolled-back", 0)


def test_they_roll_back_at_once_where_nothing_is_held_back_but_stable_is_warm() -> None:
    story = baking(holdback=0, keep_warm="1h")
    done = story.tick(late(span_seconds=3))  # a probe could be compared with nothing
    assert (story.phase, story.weight) == ("rolled-back", 0)
    assert "probe" not in words(done)


def test_in_semi_automatic_mode_they_quarantine_and_ask() -> None:
    story = baking_by_hand("semi-automatic")
    done = story.tick(late(span_seconds=60))
    assert (story.phase, story.weight) == ("quarantine", 0)
    assert proposals(done) == ["rollback:errors"]


def test_in_manual_mode_they_are_advice() -> None:
    story = baking_by_hand("manual")
    done = story.tick(late(span_seconds=60))
    assert (story.phase, story.weight) == ("baking", 95)
    assert proposals(done) == ["rollback:errors"]


def baking_by_hand(mode: str) -> Story:
    story = Story(stages=[{"weight": 100}], bake={"duration": "30m", "holdback": 5}, mode=mode)
    story.tick()
    if story.phase != "baking":
        story.say("approve" if story.status.proposal else "promote")
    assert story.phase == "baking"
    return story


def test_the_bake_can_be_held_and_goes_on() -> None:
    story = Story(stages=[{"weight": 100}], bake={"duration": "10m"})
    story.run(10)
    story.tick(HOLDS)
    assert story.phase == "hold"
    story.run(CALM_SECONDS + 1)
    assert story.phase == "baking"
    story.run(600)
    assert story.phase == "promoted"


def test_before_the_first_stage_there_is_nothing_to_guard() -> None:
    story = Story(mode="manual")
    assert proposals(story.run(50, OLD)) == ["promote:0"]


def test_an_own_metric_that_is_not_sure_waits() -> None:
    story = Story(metrics=[{"name": "gpu", "query": "gpu", "at_most": 1.0}])
    unsure = MetricVerdict(name="gpu", verdict="inconclusive", value=2.0, why="2 is above 1")
    story.tick()
    assert weights(story.run(200, evidence(family(), metrics=(unsure,)))) == []
    assert story.status.waiting_for == ("gpu to pass (2 is above 1)",)


def test_a_second_family_joins_a_hold() -> None:
    story = ramping()
    story.tick(HOLDS)
    assert story.tick(evidence(family(e=100.0), family("latency", e=90.0))) == []
    assert story.status.held_by == ("errors", "latency")


def test_a_failing_metric_is_not_taken_for_all_families_together() -> None:
    metric = {"name": "gpu", "query": "gpu", "at_most": 1.0, "action": "rollback"}
    story = Story(metrics=[metric])
    story.tick()
    out = MetricVerdict(name="gpu", verdict="fail", value=2.0, action="rollback")
    story.tick(evidence(family(), metrics=(out,), verdict="fail", must_roll_back=True))
    assert story.phase == "rolled-back"
    assert story.status.stopped_by == ("metric gpu",)


def test_a_probe_never_takes_more_than_the_plan_even_after_a_hand_did() -> None:
    story = ramping()
    story.tick(observed=Observed(weight=60.0))
    done = story.run(60, YOUNG)
    assert (weights(done), story.status.weight_at_alarm) == ([0, 1, 0, 1], 60)


def test_evidence_from_before_the_mark_raises_nothing_again() -> None:
    story = ramping("semi-automatic")
    stale = evidence(family(e=500.0, fresh_e=25.0, span_seconds=30))
    story.tick(stale)
    story.say("continue", stale)
    same = msgspec.structs.replace(stale, at=story.now)
    assert advance(story.status, same, (), story.now + 1).status.phase.value == "ramp"
    later = msgspec.structs.replace(stale, at=story.now + 1)
    assert advance(story.status, later, (), story.now + 1).status.phase.value == "quarantine"


def test_manual_advice_takes_the_place_of_a_proposal_to_go_on() -> None:
    story = ramping("manual")
    story.run(130)
    assert story.phase == "awaiting-approval"
    done = story.tick(OLD)
    assert (story.phase, proposals(done)) == ("ramp", ["rollback:errors"])


def test_a_reason_names_its_family_once() -> None:
    story = ramping()
    told = evidence(family(e=500.0, span_seconds=30, why="errors: 3 of 78 failed."))
    assert "weight 0: errors: 3 of 78 failed." in words(story.tick(told))


def test_a_metric_without_a_value_is_told_without_one() -> None:
    story = Story(metrics=[{"name": "gpu", "query": "gpu", "at_most": 1.0}])
    out = MetricVerdict(name="gpu", verdict="fail")
    story.tick()
    assert "metric gpu: gpu is out of its bounds" in words(
        story.tick(evidence(family(), metrics=(out,)))
    )


def test_evidence_that_wavers_around_its_limit_is_no_new_alarm() -> None:
    story = ramping("semi-automatic")
    story.tick(OLD)
    story.say("continue", OLD)
    below = evidence(family(e=390.0, fresh_e=0.8))
    for says in (below, OLD, below, OLD):
        story.tick(says)
    assert story.phase == "ramp"

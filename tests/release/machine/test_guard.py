from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from gateway.release.judge.evidence import MetricVerdict
from gateway.release.machine.advance import advance
from gateway.release.machine.guard import CALM_SECONDS
from gateway.release.machine.status import Verb
from tests.release.machine.story import (
    GOOD,
    HOLDS,
    NO_DATA,
    OLD,
    SPLIT,
    Story,
    evidence,
    family,
    news,
    proposals,
    ramping,
    weights,
    words,
)


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


def test_a_paused_release_is_still_guarded() -> None:
    story = ramping()
    story.say("pause")
    story.run(10, HOLDS)
    assert story.phase == "paused"
    story.tick(OLD)
    assert story.phase == "rolled-back"


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

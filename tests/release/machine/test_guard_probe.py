"""Young evidence is probed once, in a quarantine, before it takes the weight away for good."""

from __future__ import annotations

import msgspec

from gateway.release.machine.action import MarkEvidence
from gateway.release.machine.guard import CALM_SECONDS
from gateway.release.machine.turn import Observed
from tests.release.machine.story import (
    CONFIRMED,
    GOOD,
    OLD,
    YOUNG,
    Story,
    proposals,
    ramping,
    segments,
    weights,
    words,
)


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


def test_a_pause_outlives_a_probe_that_found_nothing() -> None:
    story = ramping()
    story.say("pause", why="lunch")
    story.run(21 + 15 + 5, YOUNG)
    assert (story.phase, story.weight) == ("paused", 1)
    assert weights(story.run(1000)) == []


def test_a_probe_never_takes_more_than_the_plan_even_after_a_hand_did() -> None:
    story = ramping()
    story.tick(observed=Observed(weight=60.0))
    done = story.run(60, YOUNG)
    assert (weights(done), story.status.weight_at_alarm) == ([0, 1, 0, 1], 60)

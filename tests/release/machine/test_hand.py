from __future__ import annotations

from gateway.release.machine.turn import Observed
from tests.release.machine.story import GOOD, Story, evidence, family, news, weights, words

OLD = evidence(family(e=500.0, span_seconds=30))


def test_a_weight_changed_by_hand_pauses_and_stays() -> None:
    story = Story()
    story.tick()
    done = story.tick(observed=Observed(weight=40.0))
    assert (story.phase, weights(done), news(done)) == ("paused", [], ["paused"])
    assert "changed by hand from 1 to 40 %" in words(done)
    assert story.run(500, observed=Observed(weight=40.0)) == []


def test_resume_brings_the_weight_of_the_plan_back() -> None:
    story = Story()
    story.tick()
    story.tick(observed=Observed(weight=40.0))
    assert weights(story.say("resume", observed=Observed(weight=40.0))) == [1]


def test_a_second_change_by_hand_is_told_too() -> None:
    story = Story()
    story.tick()
    story.tick(observed=Observed(weight=40.0))
    assert "from 40 to 2 %" in words(story.tick(observed=Observed(weight=2.0)))


def test_the_weight_that_the_release_set_is_no_change() -> None:
    story = Story()
    story.tick()
    story.run(10, observed=Observed(weight=1.0, stable="v1"))
    assert story.phase == "ramp"


def test_a_weight_before_the_start_is_what_is_gone_back_to() -> None:
    story = Story()
    story.tick(observed=Observed(weight=7.0, why_not_ready="no endpoint"))
    assert (story.phase, story.status.weight_before) == ("preparing", 7)


def test_whoever_overrules_a_quarantine_by_hand_is_not_fought() -> None:
    story = Story(mode="semi-automatic")
    story.tick()
    story.tick(OLD)
    assert story.phase == "quarantine"
    story.run(100, OLD, observed=Observed(weight=10.0))
    assert (story.phase, story.weight) == ("paused", 10)
    fresh = evidence(family(e=900.0, fresh_e=30.0, span_seconds=30))
    assert weights(story.tick(fresh, observed=Observed(weight=10.0))) == [0]


def test_a_weight_given_by_hand_after_a_rollback_is_told_once() -> None:
    story = Story()
    story.tick()
    story.tick(OLD)
    done = story.run(100, observed=Observed(weight=10.0))
    assert words(done) == "v2 was given 10 % by hand after its rollback."
    assert story.weight == 0


def test_another_stable_pauses_once() -> None:
    story = Story()
    story.tick()
    done = story.run(50, observed=Observed(stable="v3"))
    assert story.phase == "paused"
    assert news(done) == ["paused"]


def test_a_second_pause_by_the_same_stable_is_told_again() -> None:
    story = Story()
    story.tick()
    told = []
    for _ in range(2):
        told += news(story.run(5, observed=Observed(stable="v9")))
        story.tick(observed=Observed(stable="v1"))
        story.say("resume", observed=Observed(stable="v1"))
        assert story.phase == "ramp"
    assert told == ["paused", "paused"]


def test_a_pause_is_told_even_when_nobody_saw_stable_come_back() -> None:
    story = Story()
    story.tick()
    story.tick(observed=Observed(stable="v9"))
    story.say("resume")
    assert news(story.run(5, observed=Observed(stable="v9"))) == ["paused"]


def test_an_abort_after_a_stop_by_hand_raises_nothing() -> None:
    story = Story(stages=[{"weight": 20}, {"weight": 100}])
    story.tick(observed=Observed(weight=10.0, why_not_ready="no endpoint"))
    story.tick()
    assert story.weight == 20
    done = story.tick(observed=Observed(weight=0.0))
    assert "resume to go back to the plan (20 %), or abort to end the release at 0 %" in words(done)
    assert weights(story.say("abort", observed=Observed(weight=0.0))) == []
    assert (story.phase, story.weight) == ("aborted", 0)


def test_an_abort_after_more_was_given_by_hand_goes_back_to_before() -> None:
    story = Story(stages=[{"weight": 20}, {"weight": 100}])
    story.tick(observed=Observed(weight=10.0, why_not_ready="no endpoint"))
    story.tick()
    story.tick(observed=Observed(weight=60.0))
    assert weights(story.say("abort", observed=Observed(weight=60.0))) == [10]


def test_after_a_resume_an_abort_goes_back_to_before_again() -> None:
    story = Story(stages=[{"weight": 20}, {"weight": 100}])
    story.tick(observed=Observed(weight=10.0, why_not_ready="no endpoint"))
    story.tick()
    story.tick(observed=Observed(weight=0.0))
    story.say("resume", observed=Observed(weight=0.0))
    assert weights(story.say("abort")) == [10]


def test_another_stable_says_what_an_abort_leaves() -> None:
    story = Story()
    story.tick()
    assert "Say abort, which leaves v2 at 0 %, and start anew." in words(
        story.tick(observed=Observed(stable="v9"))
    )


def test_after_the_end_nobody_looks() -> None:
    story = Story()
    story.say("abort")
    assert story.run(10, GOOD, observed=Observed(weight=60.0, stable="v9")) == []


def test_what_a_hand_did_is_undone_in_the_very_step_that_saw_it() -> None:
    story = Story()
    story.tick()
    assert weights(story.say("resume", observed=Observed(weight=40.0))) == [1]

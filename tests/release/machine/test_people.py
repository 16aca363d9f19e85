from __future__ import annotations

from typing import get_args

import pytest

from gateway.release.machine.advance import advance
from gateway.release.machine.people import sayable, why_not
from gateway.release.machine.phase import MAY_SAY
from gateway.release.machine.status import Command, Verb
from gateway.release.machine.turn import Observed
from tests.release.machine.story import (
    GOOD,
    START,
    Story,
    evidence,
    family,
    news,
    stables,
    weights,
    words,
)

OLD = evidence(family(e=500.0, span_seconds=30))
UNPROVEN = evidence(family(), promotable_weight=0.0)


def test_promote_takes_the_next_stage_now() -> None:
    story = Story()
    story.tick()
    done = story.say("promote", UNPROVEN, why="seen enough")
    assert weights(done) == [5]
    assert "promoted by bob (seen enough)" in words(done)
    assert story.status.decisions[-1].by == "bob"


def test_promote_in_the_bake_ends_it() -> None:
    story = Story(stages=[{"weight": 100}])
    story.tick()
    assert stables(story.say("promote")) == ["v2"]
    assert story.phase == "promoted"


def test_promote_outside_of_the_windows_is_possible_and_said() -> None:
    story = Story(windows=[{"days": ["mon"]}])
    done = story.say("promote")
    assert weights(done) == [1]
    assert "outside the change windows" in words(done)


def test_a_freeze_binds_people_too() -> None:
    freeze = {
        "begins": "2027-01-15T00:00:00Z",
        "ends": "2027-01-16T00:00:00Z",
        "why": "year-end closing",
    }
    story = Story(freezes=[freeze])
    done = story.say("promote")
    assert weights(done) == []
    assert "frozen until 2027-01-16 00:00 UTC (year-end closing)" in words(done)


def test_pause_freezes_and_resume_goes_on() -> None:
    story = Story()
    story.tick()
    done = story.say("pause", why="lunch")
    assert (story.phase, news(done)) == ("paused", ["paused"])
    assert story.run(1000) == []
    assert weights(story.say("resume")) == []
    assert story.phase == "ramp"
    assert weights(story.run(120)) == [5]


def test_abort_goes_back_to_the_weights_before() -> None:
    story = Story()
    story.tick(observed=Observed(weight=3.0))
    story.run(2)
    assert story.weight == 1
    done = story.say("abort", why="wrong build")
    assert (story.phase, weights(done)) == ("aborted", [3])
    assert story.run(100) == []


def test_rollback_is_latched() -> None:
    story = Story()
    story.tick()
    assert weights(story.say("rollback")) == [0]
    assert (story.phase, story.status.latched) == ("rolled-back", True)


def test_rollback_after_the_promotion_switches_back_at_once() -> None:
    story = Story(stages=[{"weight": 100}])
    story.tick()
    story.say("promote")
    assert stables(story.say("rollback")) == ["v1"]
    assert (story.phase, story.weight) == ("rolled-back", 0)


@pytest.mark.parametrize(
    ("stable", "why"),
    [
        ("v3", "v3 is stable now, not v2, and a rollback would put v1 in its place"),
        ("v1", "v1 is stable again already"),
    ],
)
def test_a_rollback_never_overwrites_a_newer_stable(stable: str, why: str) -> None:
    story = Story(stages=[{"weight": 100}])
    story.tick()
    story.say("promote")
    seen = Observed(stable=stable)
    assert "rollback" not in sayable(story.status, story.now, seen)
    done = story.say("rollback", observed=seen)
    assert (story.phase, stables(done), weights(done)) == ("promoted", [], [])
    assert why in words(done)


def test_the_stable_that_the_release_made_may_be_rolled_back() -> None:
    story = Story(stages=[{"weight": 100}])
    story.tick()
    story.say("promote")
    assert stables(story.say("rollback", observed=Observed(stable="v2"))) == ["v1"]


def test_nothing_goes_on_from_a_quarantine_against_another_stable() -> None:
    story = Story(mode="semi-automatic")
    story.tick()
    story.tick(OLD)
    seen = Observed(stable="v9")
    assert "v9 is stable now" in words(story.say("continue", OLD, observed=seen))
    assert (story.phase, story.weight) == ("quarantine", 0)


def test_abort_in_a_quarantine_brings_nothing_back() -> None:
    story = Story(mode="semi-automatic")
    story.tick(observed=Observed(weight=50.0))
    story.tick()
    story.tick(OLD)
    story.say("abort", OLD)
    assert (story.phase, story.weight) == ("rolled-back", 0)


@pytest.mark.parametrize(
    ("verb", "why"),
    [
        ("resume", "the release is ramp; what can be said now: "),
        ("continue", "the release is ramp"),
        ("approve", "nothing is proposed"),
        ("release-latch", "the release is ramp"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(verb: str, why: str) -> None:
    story = Story()
    story.tick()
    done = story.say(verb)  # type: ignore[arg-type]  # a Verb, out of a table
    assert f"{verb} by bob is refused: {why}" in words(done)
    assert story.status.decisions[-1].kind == "refused"


def test_a_latch_is_released_once() -> None:
    story = Story()
    story.say("rollback")
    story.say("release-latch")
    assert "it is released already" in words(story.say("release-latch"))


def test_a_command_given_twice_is_obeyed_once() -> None:
    story = Story()
    story.tick()
    command = Command(verb="promote", by="bob", at=START)
    assert weights(story.tick(GOOD, command, command)) == [5]
    assert weights(story.tick(GOOD, command)) == []


def test_an_approval_of_something_else_is_refused() -> None:
    story = Story(mode="semi-automatic")
    story.run(150)
    assert story.phase == "awaiting-approval"
    assert "no longer proposed" in words(story.say("approve", about="rollback:errors"))
    assert weights(story.say("approve", about="promote:1")) == [5]


def test_the_bake_of_a_semi_automatic_release_asks_before_the_end() -> None:
    story = Story(mode="semi-automatic", stages=[{"weight": 100}], bake={"duration": "1m"})
    story.run(200)
    assert story.status.proposal is not None
    assert (story.phase, story.status.proposal.verb) == ("baking", "make-stable")
    assert stables(story.say("approve")) == ["v2"]


def test_resume_against_another_stable_is_refused() -> None:
    story = Story()
    story.tick()
    seen = Observed(stable="v3")
    story.tick(observed=seen)
    assert story.phase == "paused"
    assert "v3 is stable now" in words(story.say("resume", observed=seen))
    story.say("abort", observed=seen)
    assert story.phase == "aborted"


def test_commands_of_one_step_are_obeyed_in_their_order() -> None:
    story = Story()
    story.tick()
    story.tick(
        GOOD,
        Command(verb="pause", by="ann", at=START),
        Command(verb="resume", by="bob", at=START + 1),
    )
    assert story.phase == "ramp"


def test_only_the_newest_commands_are_remembered() -> None:
    story = Story()
    story.tick()
    for number in range(200):
        verb = "resume" if number % 2 else "pause"
        story.tick(GOOD, Command(verb=verb, by="bob", at=float(number)))  # type: ignore[arg-type]  # a Verb
    assert len(story.status.commands_done) == 64
    assert len(story.status.decisions) == 200


def test_a_command_in_the_moment_of_a_tick_is_not_lost() -> None:
    story = Story()
    story.tick()
    step = advance(story.status, GOOD, (Command(verb="pause", by="x", at=1.0),), story.now)
    assert step.status.phase.value == "paused"


def test_a_page_knows_what_can_be_said() -> None:
    story = Story(mode="semi-automatic")
    assert sayable(story.status, START) == ("pause", "promote", "abort", "rollback")
    story.run(150)
    assert "approve" in sayable(story.status, story.now)
    story.say("rollback")
    assert sayable(story.status, story.now) == ("release-latch",)


def test_a_caller_learns_at_once_why_not() -> None:
    story = Story()
    story.tick()
    command = Command(verb="resume", by="bob", at=START)
    assert why_not(story.status, command, START).startswith("the release is ramp")


def test_every_verb_can_be_said_somewhere() -> None:
    assert set(MAY_SAY) == set(get_args(Verb))
    assert all(MAY_SAY.values())


def test_a_release_may_be_paused_before_it_begins() -> None:
    story = Story()
    story.say("pause")
    assert story.run(100) == []
    assert weights(story.say("resume")) == []
    assert weights(story.tick()) == [1]

"""How often people are called: a storm of messages hides the one that matters."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.release.judge.evidence import Evidence
from gateway.release.machine.turn import Observed
from tests.release.machine.story import (
    GOOD,
    NO_DATA,
    Story,
    evidence,
    family,
    news,
    proposals,
    words,
)

OLD = evidence(family(e=500.0, span_seconds=30))
YOUNG = evidence(family(e=500.0, span_seconds=3), span_seconds=3)
FRESH = evidence(family(e=900.0, fresh_e=30.0, span_seconds=30))
HOLDS = evidence(family(e=100.0))
UNPROVEN = evidence(family(), promotable_weight=0.0)
SPLIT = evidence(family(), srm_alarm=True)

TICKS = 400
MOST_CALLS = 30  # a whole canary release tells some twenty things; a storm one a tick

BOX = [{"weight": 10, "hold": "1m", "timebox": "5m"}, {"weight": 100, "approval": True}]
BOXES = [{"stages": BOX, "on_inconclusive": policy} for policy in ("hold", "promote", "rollback")]
HALF = {"preset": "ab", "stages": [{"weight": 50, "hold": "1m"}]}

plans = st.builds(
    lambda base, expires: base | {"expires": expires},
    st.sampled_from([*BOXES, HALF, {"preset": "blue-green"}, {}]),
    st.sampled_from([0, 1200, 7 * 86_400]),
)
worlds = st.builds(
    lambda stable, wait, wish: Observed(stable=stable, why_not_ready=wait, wish=wish),
    st.sampled_from([None, "v1", "v9"]),
    st.sampled_from(["", "", "no endpoint is up"]),
    st.sampled_from([None, 40.0]),
)
judges = st.sampled_from([None, GOOD, NO_DATA, OLD, YOUNG, FRESH, HOLDS, UNPROVEN, SPLIT])
verbs = st.sampled_from(["promote", "promote", "pause", "resume", "continue", "approve"])


@given(
    plan=plans,
    mode=st.sampled_from(["manual", "semi-automatic", "automatic"]),
    before=judges,
    said_first=st.lists(verbs, max_size=4),
    hand=st.sampled_from([None, None, 0.0, 60.0]),
    says=judges,
    world=worlds,
)
@example({"stages": BOX}, "semi-automatic", GOOD, [], None, OLD, Observed(stable="v9"))
@example({"stages": BOX, "expires": 1200}, "manual", GOOD, ["promote"], None, OLD, Observed())
@example(
    {"stages": BOX, "on_inconclusive": "rollback"}, "manual", GOOD, ["promote"], None, UNPROVEN,
    Observed(),
)  # fmt: skip
@example(
    {"stages": BOX, "on_inconclusive": "promote", "expires": 1200}, "manual", GOOD, ["promote"],
    None, UNPROVEN, Observed(),
)  # fmt: skip
@example(HALF | {"expires": 1200}, "manual", GOOD, ["promote"], None, OLD, Observed())
@settings(max_examples=80, deadline=None)
def test_a_world_that_stays_as_it_is_calls_a_bounded_number_of_times(
    plan: dict[str, Any],
    mode: str,
    before: Evidence | None,
    said_first: list[Any],
    hand: float | None,
    says: Evidence | None,
    world: Observed,
) -> None:
    story = Story(plan, mode=mode)
    story.tick(before)
    for verb in said_first:
        story.say(verb, before)
    if hand is not None:
        story.tick(before, observed=Observed(weight=hand))
    calls = news(story.run(TICKS, says, after=10.0, observed=world))
    assert len(calls) <= MOST_CALLS, calls


def manual(**fields: Any) -> Story:
    story = Story(mode="manual", **fields)
    story.tick()
    story.say("promote")
    return story


def test_an_alarm_while_stable_was_changed_by_hand_calls_once_for_each() -> None:
    story = Story(mode="semi-automatic")
    story.tick()
    done = story.run(100, OLD, observed=Observed(stable="v9"))
    assert (story.phase, story.weight) == ("quarantine", 0)
    assert sorted(news(done)) == ["alarm", "approval", "paused"]


def test_a_quarantine_stays_one_when_stable_is_changed_by_hand() -> None:
    story = Story(mode="semi-automatic")
    story.tick()
    story.tick(OLD)
    done = story.run(50, OLD, observed=Observed(stable="v9"))
    assert (story.phase, news(done)) == ("quarantine", ["paused"])
    assert "Still in quarantine, and v9 was made stable by hand" in words(done)


def test_a_probe_is_not_made_against_another_stable() -> None:
    story = Story()
    story.tick()
    story.tick(YOUNG)
    assert story.status.probe == "resting"
    done = story.run(100, YOUNG, observed=Observed(stable="v9"))
    assert (story.phase, story.weight, story.status.probe) == ("quarantine", 0, "undecided")
    assert proposals(done) == ["rollback:errors"]


def test_a_rollback_that_is_proposed_does_not_give_way_to_the_expiry() -> None:
    story = manual(expires="10m", stages=[{"weight": 10, "hold": "1m"}, {"weight": 100}])
    done = story.run(700, UNPROVEN)
    assert proposals(done) == ["expired"]
    assert proposals(story.run(100, OLD)) == ["rollback:errors"]
    assert proposals(story.run(100, GOOD)) == ["expired"]


def test_an_expiry_goes_before_a_proposal_to_go_on() -> None:
    story = manual(expires="10m", stages=[{"weight": 10, "hold": "1m"}, {"weight": 100}])
    assert proposals(story.run(1000)) == ["promote:1", "expired"]
    assert (story.phase, story.status.waiting_for) == (
        "ramp",
        ("a person: approve what is proposed, or promote",),
    )


def test_an_expiry_that_a_clock_made_up_is_taken_back() -> None:
    story = manual(expires="10m", stages=[{"weight": 10, "hold": "1m"}, {"weight": 100}])
    assert proposals(story.run(700, UNPROVEN)) == ["expired"]
    story.tick(UNPROVEN, after=-600.0)
    assert story.status.proposal is None


def test_a_proposal_for_want_of_proof_stays_until_the_proof_is_there() -> None:
    story = manual(on_inconclusive="rollback", stages=BOX)
    assert proposals(story.run(1000, UNPROVEN)) == ["rollback:inconclusive"]
    assert proposals(story.run(50, OLD)) == ["rollback:errors"]
    assert proposals(story.run(50, UNPROVEN)) == ["rollback:inconclusive"]
    done = story.run(50)
    assert proposals(done) == ["promote:1"]
    assert "not inconclusive any more" in words(done)


def test_an_alarm_at_the_end_of_a_test_goes_before_its_winner() -> None:
    story = manual(plan=HALF)
    done = story.run(300, OLD, requests=100)
    assert (story.phase, proposals(done)) == ("ramp", ["rollback:errors"])

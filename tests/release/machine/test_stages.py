from __future__ import annotations

from typing import Any

import pytest

from gateway.release.machine.turn import Observed
from tests.release.machine.story import (
    GOOD,
    NO_DATA,
    START,
    Story,
    evidence,
    family,
    news,
    proposals,
    segments,
    stables,
    weights,
    words,
)

UNPROVEN = evidence(family(), promotable_weight=0.0)


def boxed(policy: str, mode: str = "automatic") -> Story:
    stages = [{"weight": 10, "hold": "1m", "timebox": "5m"}, {"weight": 100}]
    story = Story(on_inconclusive=policy, stages=stages, mode=mode)
    story.tick()
    return story


def test_an_inconclusive_stage_holds_and_says_so_once() -> None:
    story = boxed("hold")
    done = story.run(1000, UNPROVEN)
    assert (story.phase, weights(done), news(done)) == ("ramp", [], ["inconclusive"])
    assert weights(story.tick(GOOD)) == [95]


def test_an_inconclusive_stage_may_go_on_when_the_plan_says_so() -> None:
    story = boxed("promote")
    done = story.run(301, UNPROVEN)
    assert weights(done) == [95]
    assert "inconclusive, as the plan allows" in words(done)


@pytest.mark.parametrize("says", [NO_DATA, None])
def test_without_data_it_never_goes_on(says: Any) -> None:
    story = boxed("promote")
    assert weights(story.run(1000, says)) == []
    story = boxed("promote")
    assert weights(story.run(1000, UNPROVEN, requests=0)) == []


def test_semi_automatic_asks_although_the_proof_is_lacking() -> None:
    story = boxed("promote", "semi-automatic")
    done = story.run(400, UNPROVEN)
    assert (story.phase, proposals(done)) == ("awaiting-approval", ["promote:1"])
    assert "Raise v2 to 95 % (the bake; 5 % stay on v1): " in words(done)
    assert weights(story.say("approve", UNPROVEN)) == [95]


def test_an_inconclusive_stage_may_roll_back() -> None:
    story = boxed("rollback")
    assert weights(story.run(400, UNPROVEN)) == [0]
    assert story.phase == "rolled-back"


def test_semi_automatic_asks_before_it_rolls_back_for_want_of_proof() -> None:
    story = boxed("rollback", "semi-automatic")
    done = story.run(1000, UNPROVEN)
    assert (story.weight, proposals(done)) == (10, ["rollback:inconclusive"])


def test_a_closed_window_is_not_inconclusive() -> None:
    # START is a Friday, 08:00 UTC; nothing may be raised after 08:05.
    window = [{"days": ["fri"], "opens": "08:00", "closes": "08:05"}]
    stages = [{"weight": 10, "hold": "1m", "timebox": "5m"}, {"weight": 100}]
    story = Story(windows=window, on_inconclusive="rollback", stages=stages)
    story.run(310, evidence(family(), verdict="no-data"))
    story.run(500)
    assert story.phase == "ramp"


def test_segments_go_first_and_keep_the_candidate() -> None:
    stages = [
        {"segments": ["staff"], "approval": True, "minimum_requests": 0, "hold": "1m"},
        {"weight": 5, "segments": ["beta"]},
        {"weight": 100},
    ]
    story = Story(stages=stages)
    assert segments(story.tick()) == [("staff",)]
    story.run(61, NO_DATA)
    assert story.phase == "awaiting-approval"
    done = story.say("approve", NO_DATA)
    assert (segments(done), weights(done)) == ([("staff", "beta")], [5])
    done = story.say("rollback")
    assert (segments(done), weights(done)) == ([()], [0])


def test_blue_green_checks_switches_at_once_and_can_switch_back() -> None:
    story = Story(preset="blue-green")
    assert segments(story.tick()) == [("testers",)]
    story.run(700, NO_DATA)
    assert story.phase == "awaiting-approval"
    assert weights(story.say("approve", NO_DATA)) == [100]
    assert story.phase == "baking"
    assert weights(story.say("rollback")) == [0]


def test_blue_green_bakes_without_a_comparison() -> None:
    story = Story(preset="blue-green", stages=[{"weight": 100}])
    story.tick()
    done = story.run(1801, evidence(verdict="no-data", promotable_weight=0.0))
    assert stables(done) == ["v2"]


def test_a_bake_with_a_holdback_needs_something_to_compare() -> None:
    story = Story(stages=[{"weight": 100}])
    story.tick()
    assert stables(story.run(4000, NO_DATA)) == []


def test_the_last_stage_can_ask_before_the_new_stable() -> None:
    story = Story(stages=[{"weight": 100, "approval": True}], bake={"duration": "1m"})
    done = story.run(200)
    assert proposals(done) == ["make-stable"]
    assert stables(story.run(100)) == []


AB = {"preset": "ab", "stages": [{"weight": 50, "hold": "10m", "minimum_requests": 100}]}


@pytest.mark.parametrize(
    ("low", "high", "verb", "told"),
    [
        (0.5, 0.9, "promote", "v2 wins on feedback: 10 of 100 bad on v2"),
        (1.1, 1.9, "abort", "v1 wins on feedback"),
        (0.5, 1.9, "abort", "No winner on feedback"),
        (None, None, "abort", "feedback has no interval"),
    ],
)
def test_an_ab_test_ends_with_a_proposal(
    low: float | None, high: float | None, verb: str, told: str
) -> None:
    story = Story(AB)
    votes = family("feedback", low=low, high=high, estimate=0.7, candidate_n=100, candidate_bad=10)
    done = story.run(1000, evidence(votes, promotable_weight=0.0))
    assert (story.phase, weights(done), proposals(done)) == ("awaiting-approval", [50], ["end"])
    assert story.status.proposal is not None
    assert story.status.proposal.verb == verb
    assert story.status.proposal.text.startswith(told)


def test_the_winner_of_an_ab_test_gets_all_only_by_a_person() -> None:
    story = Story(AB)
    votes = family("feedback", low=0.5, high=0.9)
    story.run(700, evidence(votes))
    assert weights(story.say("approve")) == [95]
    assert story.phase == "baking"


def test_the_loser_of_an_ab_test_is_aborted_by_a_person() -> None:
    story = Story(AB)
    story.run(700, evidence(family("feedback", low=1.5, high=1.9)))
    assert weights(story.say("approve")) == [0]
    assert story.phase == "aborted"


def adaptive(**fields: Any) -> Story:
    story = Story(AB, adaptive={"floor": 5, "ceiling": 95, "step": 1.5, "batch": "10s"}, **fields)
    story.tick()
    return story


def test_the_adaptive_part_climbs_in_small_steps_and_never_passes_the_stage() -> None:
    story = adaptive()
    assert story.weight == 5
    climbed = weights(story.run(100, observed=Observed(wish=95.0)))
    assert climbed == [7.5, 11.25, 16.88, 25.32, 37.98, 50]


def test_the_adaptive_part_falls_at_once_and_keeps_its_floor() -> None:
    story = adaptive()
    story.run(100, observed=Observed(wish=95.0))
    assert weights(story.tick(observed=Observed(wish=0.0))) == [5]


def test_the_adaptive_part_does_not_move_for_nothing() -> None:
    story = adaptive()
    assert story.run(100, observed=Observed(wish=5.1)) == []
    assert story.run(100, None, observed=Observed(wish=50.0)) == []


def test_a_release_waits_for_its_window_before_the_bake_ends() -> None:
    window = [{"days": ["fri"], "opens": "08:00", "closes": "08:05"}]
    story = Story(windows=window, stages=[{"weight": 100}], bake={"duration": "10m"})
    story.run(1000)
    assert story.phase == "baking"
    assert "change window" in story.status.waiting_for[0]
    assert story.now > START + 900


def test_the_adaptive_part_leaves_a_stage_of_segments_alone() -> None:
    first = {"segments": ["staff"], "approval": True, "minimum_requests": 0, "hold": "10m"}
    story = Story(stages=[first, {"weight": 100}], adaptive={})
    assert weights(story.run(100, observed=Observed(wish=50.0))) == []

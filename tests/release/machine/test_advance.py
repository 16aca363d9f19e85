from __future__ import annotations

import msgspec
import pytest

from gateway.release.machine.action import SetWeight
from gateway.release.machine.advance import advance
from gateway.release.machine.status import Command, decode, encode
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
    stables,
    weights,
    words,
)

BAD = evidence(family(e=500.0, span_seconds=30))


def test_a_good_candidate_walks_through_the_plan_and_becomes_stable() -> None:
    story = Story()
    done = story.run(5 * 130 + 1800)
    assert weights(done) == [1, 5, 25, 50, 95]
    assert stables(done) == ["v2"]
    assert news(done) == ["started", "stage", "stage", "stage", "stage", "promoted"]
    assert (story.phase, story.status.ended_at is not None) == ("promoted", True)


def test_the_last_stage_says_that_it_is_the_bake_and_what_is_held_back() -> None:
    story = Story(stages=[{"weight": 100}])
    done = words(story.tick())
    assert "goes to stage 1 of 1, 95 % (the bake; 5 % stay on v1 until its end)" in done
    assert "(the bake" not in words(story.tick(evidence(family(e=100.0))))


def test_without_a_holdback_the_last_stage_is_told_plainly() -> None:
    story = Story(stages=[{"weight": 100}], bake={"holdback": 0})
    assert "goes to stage 1 of 1, 100 %: " in words(story.tick())


def test_a_stage_lasts_as_long_as_the_plan_says() -> None:
    story = Story()
    story.tick()
    assert weights(story.run(119)) == []
    assert weights(story.tick()) == [5]


def test_the_same_moment_again_changes_nothing() -> None:
    story = Story()
    for _ in range(400):
        story.tick()
        again = advance(story.status, GOOD, (), story.now)
        assert (again.actions, again.status) == ((), story.status)


def test_a_status_that_was_stored_goes_on_as_if_it_never_was() -> None:
    story = Story(mode="semi-automatic")
    for second in range(400):
        story.tick(BAD if second == 300 else GOOD)
        stored = decode(encode(story.status))
        assert stored == story.status
        said = msgspec.structs.replace(GOOD, at=story.now + 1, candidate_requests=10**6)
        assert advance(stored, said, (), story.now + 1) == advance(
            story.status, said, (), story.now + 1
        )


def test_no_data_is_never_a_pass() -> None:
    story = Story()
    story.tick()
    assert weights(story.run(4000, NO_DATA)) == []
    assert story.weight == 1
    assert any("compared" in reason for reason in story.status.waiting_for)


def test_a_judge_without_numbers_stops_the_time() -> None:
    story = Story()
    story.tick()
    story.run(1000, None)
    assert story.status.observed_seconds == 0
    assert weights(story.run(119)) == []
    assert weights(story.tick()) == [5]


def test_too_few_requests_wait() -> None:
    story = Story()
    story.tick()
    story.run(150, requests=1)
    assert story.weight == 1
    assert story.status.waiting_for == ("200 requests on v2, 150 so far",)
    assert weights(story.run(50, requests=1)) == [5]


def test_without_proof_nothing_is_raised() -> None:
    story = Story()
    story.tick()
    weak = evidence(family(), promotable_weight=4.9)
    assert weights(story.run(600, weak)) == []
    assert "proof that 5 % does no harm" in story.status.waiting_for[0]
    assert weights(story.tick(GOOD)) == [5]


def test_outside_of_its_windows_nothing_starts() -> None:
    # START is a Friday, 08:00 UTC.
    story = Story(windows=[{"days": ["fri"], "opens": "09:00", "closes": "17:00"}])
    assert story.run(10) == []
    assert "change window" in story.status.waiting_for[0]
    story.now = START + 3600
    assert weights(story.tick()) == [1]


def test_a_window_in_a_named_zone_needs_its_offset() -> None:
    zone = "Europe/Berlin"
    story = Story(windows=[{"days": ["fri"], "opens": "09:00", "closes": "17:00", "zone": zone}])
    story.tick()
    assert "not known" in story.status.waiting_for[0]
    assert weights(story.tick(observed=Observed(offsets={zone: 3600.0}))) == [1]


def test_a_candidate_that_is_not_ready_waits() -> None:
    story = Story()
    story.tick(observed=Observed(why_not_ready="no endpoint is up"))
    assert story.status.waiting_for == ("v2 to be ready (no endpoint is up)",)
    story.tick()
    assert weights(story.run(300, observed=Observed(why_not_ready="no endpoint is up"))) == []


def test_an_approval_is_asked_for_and_awaited() -> None:
    stages = [{"weight": 10, "approval": True}, {"weight": 100}]
    story = Story(stages=stages)
    done = story.run(130)
    assert (story.phase, proposals(done)) == ("awaiting-approval", ["promote:1"])
    assert story.run(500) == []
    assert weights(story.say("approve", about="promote:1")) == [95]


def test_a_proposal_is_withdrawn_when_its_proof_is_gone() -> None:
    story = Story(stages=[{"weight": 10, "approval": True}, {"weight": 100}])
    story.run(130)
    done = story.tick(evidence(family(), promotable_weight=20.0))
    assert (story.phase, story.status.proposal) == ("ramp", None)
    assert "withdrawn" in words(done)


def test_a_release_that_takes_too_long_ends_where_it_began() -> None:
    story = Story(expires="10m", stages=[{"weight": 50, "hold": "1m"}, {"weight": 100}])
    story.status = msgspec.structs.replace(story.status, weight_before=2.0, weight_wanted=2.0)
    weak = evidence(family(), promotable_weight=0.0)
    done = story.run(640, weak)
    assert (story.phase, weights(done)) == ("expired", [50, 2])


def test_the_end_of_its_time_raises_nothing() -> None:
    story = Story(expires="10m")
    story.status = msgspec.structs.replace(story.status, weight_before=50.0, weight_wanted=50.0)
    done = story.run(640, evidence(family(), promotable_weight=0.0))
    assert (story.phase, weights(done)) == ("expired", [1])


def test_a_clock_that_jumps_ahead_for_a_moment_ends_nothing() -> None:
    story = Story()
    story.run(10)
    story.tick(after=30 * 86_400)
    story.run(5)
    story.tick(after=-30 * 86_400)
    assert story.phase == "ramp"


def test_a_manual_release_is_not_ended_but_somebody_is_asked() -> None:
    story = Story(mode="manual", expires="10m")
    story.tick()
    story.say("promote")
    done = story.run(700, evidence(family(), promotable_weight=0.0))
    assert (story.phase, proposals(done)) == ("ramp", ["expired"])
    story.say("approve")
    assert (story.phase, story.weight) == ("aborted", 0)


def test_the_bake_has_no_expiry() -> None:
    story = Story(expires="11m", bake={"duration": "30m"})
    story.run(1000)
    assert story.phase == "baking"


@pytest.mark.parametrize("mode", ["manual", "semi-automatic"])
def test_only_automatic_goes_on_alone(mode: str) -> None:
    story = Story(mode=mode)
    story.run(1000)
    assert story.phase == "awaiting-approval"
    assert story.weight == (0 if mode == "manual" else 1)


def test_every_decision_is_kept_with_its_numbers() -> None:
    story = Story()
    story.run(130, evidence(family(estimate=0.9, low=0.5, high=1.6), family("latency")))
    first, second = story.status.decisions
    assert (first.kind, first.weight, second.kind, second.weight) == ("started", 1, "stage", 5)
    assert second.numbers["errors.estimate"] == 0.9
    assert second.numbers["candidate_requests"] > 0
    assert {"latency.e", "promotable_weight", "errors.high"} <= set(second.numbers)


def test_an_infinite_e_does_not_spoil_the_json() -> None:
    story = Story()
    story.tick()
    story.tick(evidence(family(e=float("inf"), span_seconds=30)))
    assert story.phase == "rolled-back"
    assert decode(encode(story.status)) == story.status


def test_of_two_settings_in_one_step_only_the_last_is_written() -> None:
    story = Story(mode="semi-automatic")
    story.tick()
    done = story.say("promote", BAD)
    assert [a.percent for a in done if isinstance(a, SetWeight)] == [0]
    assert story.phase == "quarantine"


def test_after_a_promotion_it_tells_when_the_old_version_may_go() -> None:
    story = Story(
        preset="blue-green", bake={"duration": "1m", "keep_warm": "1h"}, stages=[{"weight": 100}]
    )
    story.run(200)
    assert story.phase == "promoted"
    assert story.run(100) == []
    done = story.tick(after=3600)
    assert words(done) == "v1 may be switched off now."
    assert story.run(10) == []


def test_a_weight_that_ends_where_it_stands_is_not_written() -> None:
    story = Story(stages=[{"weight": 20}, {"weight": 100}])
    story.tick()
    done = story.tick(
        GOOD,
        Command(verb="promote", by="bob", at=1.0),
        Command(verb="rollback", by="bob", at=2.0),
    )
    assert weights(done) == [0]
    story = Story(stages=[{"weight": 20}, {"weight": 100}])
    done = story.tick(
        GOOD,
        Command(verb="promote", by="bob", at=1.0),
        Command(verb="abort", by="bob", at=2.0),
    )
    assert (story.phase, weights(done)) == ("aborted", [])


def test_numbers_from_before_the_stage_promote_nothing() -> None:
    story = Story(stages=[{"weight": w, "hold": 0, "minimum_requests": 0} for w in (1, 5, 100)])
    story.tick()
    said = msgspec.structs.replace(GOOD, at=story.now)
    for later in (1, 2, 3):
        step = advance(story.status, said, (), story.now + later)
        assert (step.actions, step.status.waiting_for) == ((), ("numbers from this stage",))


def test_a_step_says_whether_it_writes_to_the_route() -> None:
    story = Story()
    first = advance(story.status, GOOD, (), story.now + 1)
    assert first.writes
    assert not advance(first.status, GOOD, (), story.now + 2).writes


def test_a_judge_that_was_restarted_counts_requests_anew() -> None:
    story = Story()
    story.tick()
    story.run(50)
    story.requests = 0
    story.run(69, requests=1)
    assert weights(story.run(130, requests=1)) == []
    assert weights(story.run(10, requests=1)) == [5]

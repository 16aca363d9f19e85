"""What is found after the promotion: a bake with a holdback, and one without."""

from __future__ import annotations

import msgspec
import pytest

from gateway.release.judge.evidence import Evidence
from gateway.release.machine.guard import CALM_SECONDS
from tests.release.machine.story import (
    HOLDS,
    OLD,
    Story,
    evidence,
    family,
    news,
    proposals,
    words,
)


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

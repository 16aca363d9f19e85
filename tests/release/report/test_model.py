from __future__ import annotations

import json

import msgspec
import pytest

from gateway.release.report.model import Point, build, planned, to_json
from tests.release.machine.story import START, Story, evidence, family
from tests.release.report.reports import lived, report


def test_the_plan_is_drawn_at_its_fastest() -> None:
    plan = Story(bake={"duration": "10m"}).plan
    assert planned(plan, 0.0) == (
        Point(0, 1), Point(120, 5), Point(240, 25), Point(360, 50), Point(480, 95),
        Point(1080, 100),
    )  # fmt: skip


def test_a_plan_that_ends_with_a_proposal_never_reaches_all() -> None:
    assert planned(Story(preset="ab").plan, 0.0) == (Point(0, 50),)


def test_the_history_tells_the_weights_of_its_time() -> None:
    assert report().actual == (
        Point(START, 0), Point(START + 2, 1), Point(START + 122, 5), Point(START + 131, 0),
    )  # fmt: skip


def test_without_a_history_the_decisions_do() -> None:
    weights = [point.weight for point in build(lived().status, now=START + 500).actual]
    assert weights == [0, 1, 5, 0]


def test_a_new_stable_has_everything() -> None:
    story = lived()
    made = {"revision": 9, "at_ms": (START + 5) * 1000, "weights": {}, "stable": "v2"}
    assert build(story.status, now=story.now, history=[made]).actual[-1].weight == 100


def test_exposure_counts_whom_the_candidate_met_and_what_it_cost() -> None:
    met = report().exposure
    assert (met.highest_weight, met.candidate_bad) == (5, 8)
    assert met.extra_bad == pytest.approx(8 - 1000 * 90 / 9000)
    assert met.average_weight == pytest.approx((120 * 1 + 9 * 5) / 131, rel=0.01)


def test_exposure_without_evidence_is_unknown_and_not_zero() -> None:
    met = build(lived().status, now=START + 500).exposure
    assert (met.candidate_requests, met.candidate_bad, met.extra_bad) == (None, None, None)


def test_a_stage_that_was_never_reached_says_so() -> None:
    first, second, third, *_ = report().stages
    assert (first.left_at, third.entered_at, third.verdict) == (
        second.entered_at,
        None,
        "not reached",
    )
    assert first.missing == ("shadow: no mirror is set",)


@pytest.mark.parametrize(
    ("verb", "told"),
    [
        ("abort", "aborted"),
        ("rollback", "v2 was rolled back; v1 has all traffic."),
        ("pause", "The release runs: paused, 1 %."),
    ],
)
def test_the_outcome_is_one_sentence(verb: str, told: str) -> None:
    story = Story()
    story.tick()
    story.say(verb)  # type: ignore[arg-type]  # a Verb, out of a table
    assert told in build(story.status, now=story.now).outcome


def test_the_json_holds_what_json_can() -> None:
    endless = evidence(family(e=float("inf"), p=0.0))
    text = to_json(report(evidence={0: endless}))
    told = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in the JSON"))
    assert told["stages"][0]["families"][0]["e"] is None
    assert told["decisions"][0]["numbers"]["candidate_requests"] == 100
    assert told["drills"] == [
        {"at": START - 86_400, "text": "rolled back and forth", "seconds": 0.8, "ok": True}
    ]


def test_entries_that_lack_fields_are_no_trouble() -> None:
    story = lived()
    made = build(story.status, now=story.now, history=[{"at_ms": story.now * 1000}], drills=[{}])
    assert (made.changes[0].weight, made.changes[0].by, made.drills[0].ok) == (None, "", False)


def test_a_release_of_no_length_has_an_average_too() -> None:
    status = msgspec.structs.replace(Story().status, ended_at=START)
    assert build(status, now=START).exposure.average_weight == 0

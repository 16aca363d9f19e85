"""What a quality metric would give the candidate."""

from __future__ import annotations

import random
from typing import Any

import pytest

from gateway.release.conduct.wish import why_no_wish, wish_of
from gateway.release.judge.evidence import Evidence, FamilyEvidence
from gateway.release.plan.plan import Plan
from gateway.release.plan.read import read_plan


def plan(**adaptive: Any) -> Plan:
    return read_plan(
        {"route": "chat", "candidate": "v2", "preset": "ab", "adaptive": adaptive or None}
    )


def evidence(
    candidate_bad: int, stable_bad: int, n: int = 1000, name: str = "feedback"
) -> Evidence:
    family = FamilyEvidence(
        name=name, e=1.0, e_hold=1.0, hold=False, rollback=False, is_calm=True,
        candidate_n=n, candidate_bad=candidate_bad, stable_n=n, stable_bad=stable_bad,
    )  # fmt: skip
    return Evidence(at=1.0, families=(family,))


@pytest.mark.parametrize(
    ("candidate_bad", "stable_bad", "least", "most"),
    [(100, 200, 99, 100), (200, 100, 0, 1), (150, 150, 40, 60)],
)
def test_it_is_as_much_as_the_candidate_is_likely_to_be_better(
    candidate_bad: int, stable_bad: int, least: float, most: float
) -> None:
    draw = random.Random(1).betavariate
    wish = wish_of(plan(metric="feedback"), evidence(candidate_bad, stable_bad), draw)
    assert wish is not None
    assert least <= wish <= most


def test_without_the_part_the_metric_or_any_event_there_is_no_wish() -> None:
    draw = random.Random(1).betavariate
    adaptive = plan(metric="feedback")
    assert wish_of(plan(), evidence(1, 1), draw) is None
    assert wish_of(adaptive, None, draw) is None
    assert wish_of(adaptive, evidence(1, 1, name="errors"), draw) is None
    assert wish_of(adaptive, evidence(0, 0, n=0), draw) is None


def test_what_keeps_the_candidate_at_its_floor_is_told() -> None:
    metric = {"name": "score", "query": "score", "at_least": 0.5}
    queried = read_plan(
        {
            "route": "chat", "candidate": "v2", "preset": "ab",
            "adaptive": {"metric": "score"}, "metrics": [metric],
        }
    )  # fmt: skip
    assert "score is a query" in why_no_wish(queried, evidence(1, 1))
    adaptive = plan(metric="feedback")
    assert "nothing was told of feedback" in why_no_wish(adaptive, evidence(1, 1, name="errors"))
    assert "nothing was told of feedback" in why_no_wish(adaptive, evidence(0, 0, n=0))
    assert why_no_wish(adaptive, evidence(1, 1)) == ""
    assert why_no_wish(plan(), evidence(1, 1, name="errors")) == ""

from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import PlanError
from gateway.release.plan.plan import LEAST_PERCENT
from gateway.release.plan.presets import PRESETS
from gateway.release.plan.read import read_plan
from gateway.state.document import number_text

CANARY = {"preset": "canary", "route": "chat", "candidate": "v2"}
FAMILIES = ("errors", "latency", "shadow", "feedback")
METRIC = {"name": "gpu", "query": "gpu"}


def told(change: dict[str, Any]) -> list[str]:
    with pytest.raises(PlanError) as raised:
        read_plan(CANARY | change)
    return [str(problem).removeprefix("plan ") for problem in raised.value.problems]


def test_the_least_percent_is_one_that_the_store_can_hold() -> None:
    stages = [{"weight": LEAST_PERCENT}, {"weight": 100}]
    plan = read_plan(CANARY | {"stages": stages, "bake": {"holdback": LEAST_PERCENT}})
    assert number_text(plan.target(0)) == "0.000001"
    assert number_text(plan.target(1)) == "99.999999"


@pytest.mark.parametrize("preset", PRESETS)
def test_the_presets_are_sound(preset: str) -> None:
    assert read_plan(CANARY | {"preset": preset}).preset == preset


@pytest.mark.parametrize(
    ("change", "where", "what"),
    [
        ({"stages": []}, "stages", "at least one stage"),
        ({"stages": [{"approval": True}, {"weight": 100}]}, "stages[1]", "would change nothing"),
        ({"stages": [{"weight": 5}, {"weight": 3}, {"weight": 100}]}, "stages[2].weight", "grow"),
        ({"stages": [{"weight": 5}, {"weight": 5}, {"weight": 100}]}, "stages[2].weight", "grow"),
        ({"stages": [{"segments": ["a"]}, {"weight": 100}]}, "stages[1].approval", "must be true"),
        (
            {"stages": [{"weight": 5, "hold": "5m", "timebox": "1m"}, {"weight": 100}]},
            "stages[1].timebox",
            "shorter than the hold of 5 min",
        ),
        ({"stages": [{"weight": 50}]}, "stages", "ends at 50 percent"),
        (
            {"stages": [{"weight": 1e-7}, {"weight": 100}]},
            "stages[1].weight",
            "is 1e-07; the least percent above 0 is 0.000001",
        ),
        ({"bake": {"holdback": 1e-7}}, "bake.holdback", "the least percent above 0"),
        ({"adaptive": {"floor": 1e-7}}, "adaptive.floor", "the least percent above 0"),
        (
            {"adaptive": {"floor": 0, "ceiling": 1e-7}},
            "adaptive.ceiling",
            "the least percent above 0",
        ),
        ({"finish": "propose"}, "finish", "nothing is left to propose"),
        (
            {"bake": {"holdback": 50.0}, "stages": [{"weight": 60}, {"weight": 100}]},
            "bake.holdback",
            "would lower what the stage before gave",
        ),
        ({"experiment": {"metric": "errors"}}, "finish", "must be propose"),
        ({"guardrails": {"errors": {"weight": 0.5}}}, "guardrails", "add up to 1.25"),
        ({"guardrails": {"errors": {"weight": 0}}}, "guardrails.errors.weight", "enabled = false"),
        ({"guardrails": {"hold_alpha": 0.001}}, "guardrails.hold_alpha", "at least alpha"),
        (
            {"guardrails": {name: {"enabled": False} for name in FAMILIES}},
            "guardrails",
            "nothing would ever stop",
        ),
        ({"metrics": [METRIC]}, "metrics[1]", "needs at_most"),
        (
            {"metrics": [METRIC | {"at_most": 1}, METRIC | {"at_most": 2}]},
            "metrics",
            "2 metrics named gpu",
        ),
        ({"metrics": [METRIC | {"at_most": 1, "at_least": 2}]}, "metrics[1].at_least", "no value"),
        (
            {"metrics": [METRIC | {"query": "{version}", "ratio_at_most": 1, "ratio_at_least": 2}]},
            "metrics[1].ratio_at_least",
            "no value",
        ),
        ({"metrics": [METRIC | {"ratio_at_most": 1}]}, "metrics[1].query", "must hold {version}"),
        ({"metrics": [METRIC | {"query": " ", "at_most": 1}]}, "metrics[1].query", "is empty"),
        (
            {"metrics": [METRIC | {"query": "{verson}", "at_most": 1}]},
            "metrics[1].query",
            "Did you mean version?",
        ),
        ({"windows": [{"days": []}]}, "windows[1].days", "would never open"),
        ({"windows": [{"opens": "09:00", "closes": "09:00"}]}, "windows[1]", "at the same time"),
        ({"windows": [{"opens": "24:00", "closes": "09:00"}]}, "windows[1]", "at the same time"),
        (
            {"freezes": [{"begins": "2026-01-02T00:00:00Z", "ends": "2026-01-01T00:00:00Z"}]},
            "freezes[1].ends",
            "not after begins",
        ),
        ({"expires": "5m"}, "expires", "the stages alone hold for 10 min"),
        ({"on_inconclusive": "promote"}, "on_inconclusive", "no stage has a timebox"),
        ({"adaptive": {"floor": 50, "ceiling": 20}}, "adaptive.floor", "not below the ceiling"),
        ({"adaptive": {"metric": "likes"}}, "adaptive.metric", "neither feedback nor a metric"),
    ],
)  # fmt: skip
def test_what_does_not_go_together(change: dict[str, Any], where: str, what: str) -> None:
    (problem,) = told(change)
    found, _, words = problem.partition(": ")
    assert found == where
    assert what in words


def test_a_family_that_is_off_cannot_decide_an_experiment() -> None:
    change = {"preset": "ab", "guardrails": {"feedback": {"enabled": False}}}
    assert told(change) == [
        "experiment.metric: is feedback, which is switched off in the guardrails"
    ]


def test_braces_of_promql_are_no_placeholders() -> None:
    query = 'rate(x{a="b", version="{version}"}[1m]) / on() up{}'
    assert read_plan(CANARY | {"metrics": [METRIC | {"query": query, "ratio_at_most": 1.5}]})


def test_a_stage_may_add_segments_to_the_same_weight() -> None:
    stages = [{"weight": 5}, {"weight": 5, "segments": ["beta"]}, {"weight": 100}]
    plan = read_plan(CANARY | {"stages": stages})
    assert [plan.segments(number) for number in range(3)] == [(), ("beta",), ("beta",)]

from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import PlanError
from gateway.release.plan.plan import to_document
from gateway.release.plan.read import read_plan, read_toml

SMALL = {"route": "chat", "candidate": "v2", "stages": [{"weight": 100}]}


def wrong(document: Any, **how: Any) -> list[str]:
    with pytest.raises(PlanError) as raised:
        read_plan(document, **how)
    return [str(problem) for problem in raised.value.problems]


def test_the_smallest_plan() -> None:
    plan = read_plan(SMALL)
    assert (plan.route, plan.stages[0].weight, plan.mode) == ("chat", 100, "semi-automatic")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"goal": "x" * 2001}, "plan goal: must be text of at most 2000 characters, not 'xxx"),
        ({"owner": "x" * 201}, "plan owner: must be text of at most 200 characters"),
        (
            {
                "freezes": [
                    {
                        "begins": "2027-01-15T00:00:00Z",
                        "ends": "2027-01-16T00:00:00Z",
                        "why": "x" * 201,
                    }
                ]
            },
            "plan freezes[1].why: must be text of at most 200 characters",
        ),
        (
            {"metrics": [{"name": "gpu", "query": "x" * 4001, "at_most": 1}]},
            "plan metrics[1].query: must be text of at most 4000 characters",
        ),
        (
            {"stages": [{"weight": 100, "segments": ["s"] * 101}]},
            "plan stages[1].segments: must be a list of at most 100 names",
        ),
    ],
)
def test_free_text_has_a_length_that_fits_into_a_status(change: dict[str, Any], what: str) -> None:
    (told,) = wrong(SMALL | change)
    assert told.startswith(what)
    assert len(told) < 300


def test_free_text_may_be_as_long_as_it_is_told() -> None:
    plan = read_plan(SMALL | {"goal": "x" * 2000, "owner": "x" * 200})
    assert (len(plan.goal), len(plan.owner)) == (2000, 200)


def test_the_smallest_plan_of_a_preset() -> None:
    plan = read_toml('preset = "canary"\nroute = "chat"\ncandidate = "v2"')
    assert [stage.weight for stage in plan.stages] == [1, 5, 25, 50, 100]


def test_what_the_plan_says_goes_before_its_preset_and_what_is_given_before_both() -> None:
    text = 'preset = "canary"\nroute = "chat"\ncandidate = "v2"\n[bake]\nholdback = 10'
    plan = read_toml(text, given={"candidate": "v7"})
    assert (plan.candidate, plan.bake.holdback, plan.bake.duration) == ("v7", 10, 1800)


def test_everything_that_is_wrong_is_told_at_once() -> None:
    found = wrong(
        {
            "rout": "chat",
            "candidate": "a b",
            "mode": "auto",
            "expires": "5x",
            "harm_budget": float("nan"),
            "stages": [{"weight": 5}, {"weight": 3}, {"wieght": 1}],
            "guardrails": {"errors": {"weight": 2}, "latency": 3},
            "metrics": [{"query": "up"}, 7],
            "windows": "always",
            "freezes": [{"begins": "2026-01-01T00:00:00", "ends": "2026-01-02T00:00:00Z"}],
            "bake": {"holdback": 90},
            "adaptive": {"step": 1},
        },
        where="canary.toml",
    )
    keys = [problem.split(":")[0].removeprefix("canary.toml ") for problem in found]
    assert keys == [
        "rout", "candidate", "mode", "expires", "harm_budget", "stages[3].wieght",
        "guardrails.errors.weight", "guardrails.latency", "metrics[1].name", "metrics[2]",
        "windows", "freezes[1].begins", "bake.holdback", "adaptive.step", "route",
        "stages[2].weight",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"stagess": []}, "plan stagess: is no field of a plan. Did you mean stages?"),
        (
            {"stages": [{"wait": "5m"}]},
            "plan stages[1].wait: is no field of a plan. Did you mean weight?",
        ),
        (
            {"mode": "auto"},
            "plan mode: must be one of manual, semi-automatic, automatic, not 'auto'",
        ),
        (
            {"expires": "soon"},
            'plan expires: must be a duration such as "90s", "5m", "1h30m" or "7d", at most 366d, '
            "not 'soon'",
        ),
        ({"harm_budget": 2}, "plan harm_budget: must be a number above 0, at most 1, not 2"),
        ({"windows": [{"days": ["monday"]}]}, "plan windows[1].days: must be a list of mon, tue"),
        ({"windows": [{"opens": "9:00"}]}, 'opens: must be a time of day such as "09:30"'),
        ({"windows": [{"zone": "a b"}]}, "or a time zone such as"),
        ({"goal": 3}, "plan goal: must be text of at most 2000 characters, not 3"),
        ({"stages": [{"weight": 100, "approval": "yes"}]}, "must be true or false, not 'yes'"),
        (
            {"stages": [{"weight": 100, "segments": "x"}]},
            "must be a list of at most 100 names, not 'x'",
        ),
        ({"stages": [{"weight": 100, "minimum_requests": 1.5}]}, "must be a whole number from 0"),
        ({"stages": 3}, "plan stages: must be a list of at most 100 tables: [[stages]]"),
        ({"stages": [{"weight": 1}] * 101}, "must be a list of at most 100 tables"),
        ({"bake": []}, "plan bake: must be a table, not that list"),
        ({"metrics": [{"name": "a", "query": "q", "at_most": float("inf")}]}, "must be a number"),
        ({"freezes": [{}]}, "plan freezes[1].begins: is missing; a plan cannot be without it"),
        (
            {"freezes": [{"begins": "2026-01-01T00:00:00", "ends": "2026-01-02T00:00:00Z"}]},
            "must be a date and time with its offset",
        ),
        (
            {"guardrails": {"first_byte": {"weight": 1}}},
            "guardrails.first_byte.weight: is no field",
        ),
        ({"preset": "blue"}, "plan preset: must be one of canary, rolling, blue-green, ab, not"),
        ({"a\nb": 1}, 'plan "a\\nb": is no field of a plan.'),
        ({7: 1}, "plan 7: is no field of a plan."),
    ],
)
def test_a_mistake_is_told_in_words(change: dict[Any, Any], told: str) -> None:
    assert any(told in problem for problem in wrong(SMALL | change)), wrong(SMALL | change)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("route =", "plan: is not valid TOML: "),
        ("route = 'x'\nroute = 'y'", "is not valid TOML"),
        ("x = " + "[" * 5000, "is not valid TOML"),
        ("x = " + "9" * 5000, "a value is too large"),
    ],
)
def test_toml_that_is_none(text: str, told: str) -> None:
    with pytest.raises(PlanError, match=r"is not valid TOML") as raised:
        read_toml(text)
    assert told in str(raised.value)


@pytest.mark.parametrize("document", [None, [], "plan", 3])
def test_a_plan_is_a_table(document: object) -> None:
    assert wrong(document) == ["plan: must be a table of a plan's fields"]


def test_a_broken_field_is_not_told_a_second_time_by_the_checks() -> None:
    assert wrong(SMALL | {"stages": [{"weight": "all"}]}) == [
        "plan stages[1].weight: must be a number from 0 to 100, not 'all'"
    ]


def test_where_no_zone_is_known_a_window_that_would_never_open_is_refused() -> None:
    berlin = SMALL | {"windows": [{"zone": "Europe/Berlin"}]}
    (problem,) = wrong(berlin, zones=())
    assert problem.endswith("knows no time zones: install tzdata, or write an offset: +02:00")
    for zone in ("UTC", "+02:00"):
        assert read_plan(SMALL | {"windows": [{"zone": zone}]}, zones=())
    assert read_plan(berlin)  # and where nobody looked, nothing is refused


def test_a_zone_is_looked_up_when_zones_are_known() -> None:
    windows = {"windows": [{"zone": "Europa/Berlin"}]}
    assert read_plan(SMALL | windows).windows[0].zone == "Europa/Berlin"
    (problem,) = wrong(SMALL | windows, zones=("Europe/Berlin", "Europe/Paris"))
    assert problem.endswith("Did you mean Europe/Berlin?")
    (problem,) = wrong(SMALL | {"windows": [{"zone": "xyz"}]}, zones=("Europe/Berlin",))
    assert problem.endswith("which is no time zone known here.")
    for zone in ("UTC", "+02:00", "Europe/Berlin"):
        assert read_plan(SMALL | {"windows": [{"zone": zone}]}, zones=("Europe/Berlin",))


def test_a_plan_comes_back_from_plain_data() -> None:
    freeze = {"begins": "2026-12-20T00:00:00+01:00", "ends": "2027-01-04T00:00:00+01:00"}
    metric = {"name": "gpu", "query": 'gpu{v="{version}"}', "ratio_at_most": 1.1}
    full = {
        "preset": "ab", "route": "chat", "candidate": "v2", "freezes": [freeze], "adaptive": {},
        "metrics": [metric], "windows": [{"zone": "+02:00"}], "drill": {"every": "30d"},
        "notifications": [{"channel": "ops", "on": ["alarm"]}],
    }  # fmt: skip
    plan = read_plan(full)
    assert read_plan(to_document(plan)) == plan

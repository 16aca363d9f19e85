from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import Problem
from gateway.state.document import Document, dropped_versions, merged, read_document
from gateway.state.raw import RouteState

STATE = RouteState(
    route={"stable": "v1", "path": "/a", "failover": "yes", "timeout_idle": "20", "paused": "1"},
    versions={"v1": "http://a", "v2": '{"urls": ["http://b"], "created": "c", "notes": "n"}'},
    weights={"v2": "10", "v1": "90"},
    rules=('{"when": {}, "version": "v2"}',),
)


def document(content: dict[str, Any]) -> Document:
    read, problems = read_document(content)
    assert problems == []
    return read


def test_values_are_typed_as_an_operator_would() -> None:
    content = {
        **{"path": ["/a", "/b"], "failover": True, "paused": False, "retries": 3},
        **{"spill_cap": 12.50, "timeout_idle": 0.5, "host": " h "},
    }
    assert merged(document(content), RouteState()).route == {
        **{"path": "/a /b", "failover": "1", "paused": "0", "retries": "3"},
        **{"spill_cap": "12.5", "timeout_idle": "0.5", "host": "h"},
    }


def test_an_empty_document_changes_nothing() -> None:
    assert merged(document({}), STATE) == STATE


def test_what_means_the_same_is_no_change() -> None:
    same = {
        **{"stable": "v1", "path": ["/a"], "failover": True, "timeout_idle": 20.0},
        **{"weights": {"v1": 90.0, "v2": 10}, "rules": [{"version": "v2", "when": {}}]},
        "versions": {"v1": ["http://a"], "v2": {"urls": "http://b", "notes": "n"}},
    }
    assert merged(document(same), STATE) == STATE
    assert merged(document(same), STATE, is_whole=True) == STATE


def test_what_is_left_out_stays_or_goes_when_the_document_is_the_whole_truth() -> None:
    some = document({"path": "/b", "versions": {"v1": "http://a"}})
    kept = merged(some, STATE)
    assert kept.route == {**STATE.route, "path": "/b"}
    assert (kept.versions, kept.weights, kept.rules) == (
        STATE.versions, STATE.weights, STATE.rules,
    )  # fmt: skip
    whole = merged(some, STATE, is_whole=True)
    assert whole.route == {"stable": "v1", "path": "/b", "paused": "1"}
    assert (whole.weights, whole.rules) == (STATE.weights, STATE.rules)
    assert dropped_versions(STATE, whole) == ("v2",)


def test_a_weight_of_nothing_goes_with_its_version() -> None:
    state = RouteState(versions=STATE.versions, weights={"v2": "0.0"})
    assert merged(document({"versions": {"v2": None}}), state).weights == {}


def test_notes_are_kept_one_by_one_and_the_day_of_birth_always() -> None:
    newer = document({"versions": {"v2": {"urls": "http://b", "digest": "d"}}})
    assert merged(newer, STATE).versions["v2"] == (
        '{"urls":["http://b"],"created":"c","notes":"n","digest":"d"}'
    )
    assert merged(newer, STATE, is_whole=True).versions["v2"] == (
        '{"urls":["http://b"],"created":"c","digest":"d"}'
    )


def test_a_retired_version_stays_retired_unless_the_document_says_otherwise() -> None:
    state = RouteState(versions={"v2": '{"urls": ["http://b"], "state": "retired"}'})
    same = document({"versions": {"v2": "http://b"}})
    assert merged(same, state, is_whole=True) == state
    back = document({"versions": {"v2": {"urls": "http://b", "state": "active"}}})
    assert merged(back, state).versions == {"v2": "http://b"}


def test_null_takes_a_field_away() -> None:
    assert "path" not in merged(document({"path": None}), STATE).route


def test_everything_that_cannot_be_understood_is_found() -> None:
    content = {
        **{"timeout_idel": 1, "weight": {}, "host": {"a": 1}, "path": [1], "methods": []},
        "versions": {
            **{"a": 5, "b": {"urls": [1]}, "c": {"urls": "http://c", "rewrite_model": 3}},
            **{"d": {"urls": "http://d", "state": "gone"}, "e": {"urls": "x", "digest": 1}},
        },
        **{"weights": {"v2": [1]}, "rules": ["x"]},
    }
    _, problems = read_document(content)
    assert {problem.where for problem in problems} == {
        *("timeout_idel", "weight", "host", "path", "methods", "versions.a.urls"),
        *("versions.b.urls", "versions.c.rewrite_model", "versions.d.state", "versions.e.digest"),
        *("weights.v2", "rules[0]"),
    }
    whats = {problem.where: problem.what for problem in problems}
    assert whats["timeout_idel"] == "is no field of a route; did you mean timeout_idle?"
    assert whats["weight"] == "is no field of a route; did you mean weights?"


@pytest.mark.parametrize("part", ["versions", "weights", "rules"])
def test_a_part_of_another_kind_is_found(part: str) -> None:
    _, [problem] = read_document({part: "x"})
    assert isinstance(problem, Problem)
    assert problem.where == part

"""What a step makes of a route, and that it touches nothing else."""

from __future__ import annotations

import msgspec
import pytest

from gateway.errors import ConflictError
from gateway.release.conduct.edits import Seen, applied, edit_of, lowers, percent_of, said, written
from gateway.release.machine.action import (
    Action,
    MakeStable,
    Record,
    SetSegments,
    SetWeight,
    Step,
)
from gateway.release.machine.advance import advance
from gateway.release.machine.status import begin, decode, encode
from gateway.release.machine.turn import Observed
from gateway.release.plan.read import read_plan
from gateway.state.raw import RouteState

STATUS = begin(
    read_plan({"route": "chat", "candidate": "v2", "preset": "canary"}),
    release_id="r1", stable="v1", weight_before=0, by="me", now=0,
)  # fmt: skip
STATE = RouteState(
    route={"stable": "v1", "path": "/"},
    versions={"v1": "a", "v2": "b"},
    weights={"v2": "5", "v3": "1"},
    rules=('{"when": {}, "version": "v1", "name": "mine"}', "not json"),
)
SEEN = Seen("v1", 5.0)
ODD = ("inf", "-inf", "Infinity", "nan", "-nan", "1e999", "-1", "100.1", "150")


def step(*actions: Action) -> Step:
    return Step(STATUS, actions)


def test_a_weight_is_written_as_an_operator_would_type_it() -> None:
    state = applied(step(SetWeight("v2", 12.5, "more")), STATE)
    assert state.weights == {"v2": "12.5", "v3": "1"}
    assert (state.route, state.versions, state.rules) == (STATE.route, STATE.versions, STATE.rules)
    assert [written(percent) for percent in (0.0, 100.0, 1 / 3)] == ["0", "100", "0.333333"]


def test_a_new_stable_has_no_weight_of_its_own() -> None:
    state = applied(step(MakeStable("v2", "done")), STATE)
    assert state.route == {"stable": "v2", "path": "/"}
    assert state.weights == {"v3": "1"}


def test_segments_are_one_rule_in_front_that_is_replaced_and_goes() -> None:
    first = applied(step(SetSegments("v2", ("a", "b"), "")), STATE)
    assert first.rules[1:] == STATE.rules
    second = applied(step(SetSegments("v2", ("c",), "")), first)
    assert len(second.rules) == 3
    assert '["c"]' in second.rules[0]
    assert applied(step(SetSegments("v2", (), "")), second) == STATE


def test_what_changed_since_it_was_seen_is_a_conflict() -> None:
    edit = edit_of(step(SetWeight("v2", 25.0, "")), "v2", SEEN)
    assert edit(STATE).weights["v2"] == "25"
    for other in (Seen("v1", 4.0), Seen("v9", 5.0), Seen("v1", None)):
        with pytest.raises(ConflictError):
            edit_of(step(SetWeight("v2", 25.0, "")), "v2", other)(STATE)


def test_only_less_for_the_candidate_is_lowering() -> None:
    assert lowers(step(SetWeight("v2", 0.0, "")), SEEN)
    assert lowers(step(SetWeight("v2", 0.0, "")), Seen("v1", None))
    assert not lowers(step(SetWeight("v2", 25.0, "")), SEEN)
    assert not lowers(step(SetWeight("v2", 25.0, "")), Seen("v1", 0.0))
    assert not lowers(step(SetWeight("v2", 25.0, "")), Seen("v1", None))
    assert not lowers(step(MakeStable("v2", "")), SEEN)
    assert not lowers(step(Record("x")), SEEN)


def test_the_history_is_told_each_reason_once() -> None:
    actions = (SetWeight("v2", 0.0, "bad"), SetSegments("v2", (), "bad"), Record("no reason"))
    assert said(step(*actions)) == "bad"


@pytest.mark.parametrize(
    ("text", "number"), [("", 0.0), ("5", 5.0), ("x", None), *((odd, None) for odd in ODD)]
)
def test_a_weight_that_is_no_number_is_not_taken_for_0(text: str, number: float | None) -> None:
    assert percent_of(text) == number


@pytest.mark.parametrize("text", [*ODD, "", "x", "-0", "0", "1e-300", "5e-324", "33.3", "100"])
def test_whatever_stands_there_the_status_can_be_read_again(text: str) -> None:
    paused = advance(STATUS, None, (), 1.0, Observed(weight=percent_of(text))).status
    assert decode(encode(paused)) == paused


@pytest.mark.parametrize("text", ODD)
def test_a_weight_that_is_no_percent_does_not_keep_it_from_0(text: str) -> None:
    state = msgspec.structs.replace(STATE, weights={"v2": text})
    edit = edit_of(step(SetWeight("v2", 0.0, "")), "v2", Seen("v1", percent_of(text)))
    assert edit(state).weights == {"v2": "0"}

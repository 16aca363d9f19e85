from __future__ import annotations

from gateway.state.compare import MOST_SAMPLED, FieldChange, compare, compare_lists
from gateway.state.history import Delta
from gateway.state.raw import RouteState


def test_fields_are_compared_by_name_and_rules_as_a_whole() -> None:
    before = RouteState(route={"a": "1", "b": "2"}, weights={"v2": "5"}, rules=("x",))
    after = RouteState(route={"b": "3", "c": "4"}, weights={"v2": "5"}, rules=("y", "x"))
    assert compare(before, after) == [
        FieldChange("route", "a", "1", None),
        FieldChange("route", "b", "2", "3"),
        FieldChange("route", "c", None, "4"),
        FieldChange("rules", "", ("x",), ("y", "x")),
    ]
    assert compare(after, after) == []
    assert compare(None, RouteState(versions={"v1": "http://a"})) == [
        FieldChange("versions", "v1", None, "http://a")
    ]


def test_lists_are_told_by_numbers_and_the_first_few_ids() -> None:
    many = frozenset(b"u%03d" % number for number in range(100))
    deltas = {"b": Delta(many, frozenset([b"x"])), "a": Delta(is_unknown=True), "c": Delta()}
    forth = compare_lists(deltas, backwards=False)
    assert list(forth) == ["a", "b"]
    assert (forth["a"].gained, forth["a"].is_exact) == (0, False)
    assert (forth["b"].gained, forth["b"].lost) == (100, 1)
    assert forth["b"].gained_sample == tuple(f"u{n:03}" for n in range(MOST_SAMPLED))
    back = compare_lists(deltas, backwards=True)
    assert (back["b"].gained, back["b"].lost_sample[0]) == (1, "u000")

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.release.compare.documents import compare_documents, is_close
from gateway.release.compare.spec import CompareSpec

PLAIN = CompareSpec(ignore=())
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(VALUES)
def test_a_document_is_the_same_as_itself(value: object) -> None:
    assert not compare_documents(value, value, PLAIN).differs


@given(VALUES, VALUES)
def test_it_makes_no_difference_which_comes_first(one: object, other: object) -> None:
    there, back = compare_documents(one, other, PLAIN), compare_documents(other, one, PLAIN)
    assert (there.differs, there.score) == (back.differs, back.score)


@pytest.mark.parametrize(
    ("one", "other", "reason", "where"),
    [
        ({"a": 1}, {"a": 2}, "value", "a"),
        ({"a": 1}, {"a": "1"}, "type", "a"),
        ({"a": 1}, {}, "missing", "a"),
        ({}, {"a": None}, "extra", "a"),
        ({"a": None}, {}, "missing", "a"),
        ({"a": True}, {"a": 1}, "type", "a"),
        ([1, 2], [1, 2, 3], "length", ""),
        ({"a": [{"b": 1}, {"b": 2}]}, {"a": [{"b": 1}, {"b": 3}]}, "value", "a.1.b"),
        ({"a": 1, "b": 1}, {"a": 2, "b": 2}, "value", "a"),
    ],
)
def test_the_first_difference_is_named(one: object, other: object, reason: str, where: str) -> None:
    found = compare_documents(one, other, PLAIN)
    assert (found.differs, found.reason, found.where) == (True, reason, where)


def test_all_differences_are_counted() -> None:
    assert compare_documents({"a": 1, "b": [1, 2]}, {"a": 2, "b": [2, 3]}, PLAIN).score == 3


@pytest.mark.parametrize(
    ("a", "b", "is_same"),
    [(1.0, 1.0 + 1e-7, True), (1.0, 1.001, False), (1e9, 1e9 + 1e3, True), (0.0, 1e-7, True),
     (1, 1.0, True), (2, 3, False)],
)  # fmt: skip
def test_numbers_have_a_tolerance(a: float, b: float, is_same: bool) -> None:
    assert compare_documents({"x": a}, {"x": b}, PLAIN).differs != is_same


def test_what_is_not_finite_equals_only_itself() -> None:
    endless = float("inf")
    assert is_close(endless, endless, PLAIN)
    assert not is_close(endless, -endless, PLAIN)
    assert not is_close(endless, 1.0, PLAIN)


def test_what_is_to_be_ignored_may_differ_with_all_that_is_in_it() -> None:
    spec = CompareSpec(ignore=("id", "choices.*.index"))
    one = {"id": {"a": 1}, "choices": [{"index": 0, "text": "x"}]}
    other = {"id": [2], "choices": [{"index": 9, "text": "x"}]}
    assert not compare_documents(one, other, spec).differs
    assert compare_documents(one, {**other, "choices": [{"index": 0, "text": "y"}]}, spec).differs


def test_a_document_that_is_nested_deep_is_compared_to_its_end() -> None:
    def nested(last: int) -> object:
        value: object = last
        for _ in range(5000):
            value = [value]
        return value

    assert not compare_documents(nested(1), nested(1), PLAIN).differs
    assert compare_documents(nested(1), nested(2), PLAIN).reason == "value"

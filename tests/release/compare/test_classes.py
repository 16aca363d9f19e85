from __future__ import annotations

from gateway.release.compare.classes import classes_of
from gateway.release.compare.spec import CompareSpec
from tests.release.compare.kit import answer, chat, document


def test_a_chat_has_a_length_and_a_reason_for_its_end() -> None:
    assert classes_of(chat("x" * 100, "length"), CompareSpec()) == {
        "length": "07",
        "finish": "length",
    }


def test_a_classifier_has_its_label() -> None:
    spec = CompareSpec(kind="label")
    assert classes_of(document({"scores": {"cat": 0.9, "dog": 0.1}}), spec) == {"label": "cat"}


def test_an_answer_that_says_nothing_of_the_kind_has_no_class() -> None:
    assert classes_of(answer(b"\x00", "image/png"), CompareSpec()) == {}
    assert classes_of(answer(b"{}"), CompareSpec(kind="label")) == {}


def test_lengths_that_double_are_neighbours() -> None:
    lengths = [classes_of(chat("x" * n), CompareSpec())["length"] for n in (10, 20, 40, 80)]
    assert lengths == ["04", "05", "06", "07"]

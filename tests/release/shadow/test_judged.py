from __future__ import annotations

from dataclasses import replace

from gateway.release.compare.spec import CompareSpec
from gateway.release.shadow.judged import Judged, Kind, Outcome, Setup, judge_pair
from tests.release.compare.kit import chat, document

SETUP = Setup("chat", "v2", "v1", '{"kind":"label"}')
LABEL = CompareSpec(kind="label")
YES, NO = document({"label": "yes"}), document({"label": "no"})


def judged(primary: object, copy: object, spec: CompareSpec = LABEL, **more: object) -> Judged:
    return judge_pair(SETUP, Kind.CANDIDATE, "r1", (primary, copy), spec, **more)  # type: ignore[arg-type]


def test_a_pair_that_differs_says_why_and_what_was_answered() -> None:
    found = judged(YES, NO, redact=str.upper)
    assert (found.outcome, found.reason, found.version) == (Outcome.DIFFERENT, "label", "v2")
    assert (found.primary_classes, found.copy_classes) == ({"label": "yes"}, {"label": "no"})
    assert found.excerpts == ('{"LABEL": "YES"}', '{"LABEL": "NO"}')


def test_without_somebody_who_hides_secrets_nothing_is_shown() -> None:
    assert judged(YES, NO).excerpts is None


def test_what_agrees_has_classes_too_and_nothing_to_show() -> None:
    found = judged(YES, YES, redact=str.upper)
    assert (found.outcome, found.excerpts) == (Outcome.SAME, None)
    assert found.copy_classes == {"label": "yes"}


def test_of_what_cannot_be_read_the_reason_is_kept() -> None:
    found = judged(replace(YES, status=404), NO)
    assert (found.outcome, found.copy_classes) == (Outcome.UNREADABLE, {})
    assert "no good one" in found.reason


def test_a_copy_that_failed_differs_and_is_of_no_class() -> None:
    found = judged(YES, replace(NO, failure="timeout", status=0))
    assert (found.outcome, found.reason, found.copy_classes) == (Outcome.DIFFERENT, "failed", {})


def test_texts_are_as_far_apart_as_the_plug_in_says() -> None:
    spec = CompareSpec(kind="text", distance=0.3)
    pair = chat("it is warm today"), chat("it is cold today")
    assert judged(*pair, spec).outcome is Outcome.SAME
    assert judged(*pair, spec, distance=lambda one, other: 0.5).reason == "distance"


def test_stables_second_answer_is_charged_to_stable() -> None:
    assert replace(judged(YES, NO), kind=Kind.SELF).version == "v1"

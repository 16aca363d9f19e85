from __future__ import annotations

from gateway.release.shadow.drift import KEPT_MINUTES, MOST_CLASSES, OTHER, Classes


def filled(candidate: dict[str, int], stable: dict[str, int], minute: int = 100) -> Classes:
    classes = Classes()
    for name, count in candidate.items():
        for _ in range(count):
            classes.note(minute, {"label": name}, {})
    for name, count in stable.items():
        for _ in range(count):
            classes.note(minute, None, {"label": name})
    return classes


def test_other_shares_of_the_classes_are_drift() -> None:
    [drift] = filled({"yes": 500, "no": 500}, {"yes": 900, "no": 100}).drifts(100)
    assert (drift.kind, drift.is_drift) == ("label", True)
    assert drift.index > 0.5 > drift.limit
    assert drift.candidate == {"yes": 500, "no": 500}


def test_a_few_answers_are_none() -> None:
    [drift] = filled({"yes": 2, "no": 2}, {"yes": 4}).drifts(100)
    assert not drift.is_drift and drift.index < drift.limit


def test_where_only_one_was_seen_nothing_is_compared() -> None:
    [drift] = filled({}, {"yes": 400, "no": 3}).drifts(100)
    assert not drift.is_drift and drift.limit == float("inf")


def test_what_is_older_than_an_hour_is_forgotten() -> None:
    classes = filled({"yes": 5}, {"yes": 5}, minute=100)
    assert classes.drifts(100 + KEPT_MINUTES - 1) and not classes.drifts(100 + KEPT_MINUTES)
    classes.note(100 + KEPT_MINUTES, {"label": "no"}, {"label": "no"})
    [drift] = classes.drifts(100 + KEPT_MINUTES)
    assert drift.stable == {"no": 1}
    assert repr(classes) == "<Classes of 1 minutes>"


def test_classes_without_number_become_one() -> None:
    names = {f"c{number}": 1 for number in range(MOST_CLASSES + 5)}
    [drift] = filled(names, {}).drifts(100)
    assert len(drift.candidate) == MOST_CLASSES + 1 and drift.candidate[OTHER] == 5

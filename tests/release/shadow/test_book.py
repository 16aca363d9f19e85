from __future__ import annotations

from dataclasses import replace

from gateway.release.shadow.book import MOST_EXAMPLES, MOST_REASONS, ShadowBook
from gateway.release.shadow.judged import Judged, Kind, Outcome, Setup

SETUP = Setup("chat", "v2", "v1", "{}")
NOW = 6_000_000.0


def pair(
    outcome: Outcome = Outcome.SAME, kind: Kind = Kind.CANDIDATE, reason: str = "", label: str = "a"
) -> Judged:
    return Judged(
        SETUP, kind, outcome, "r1", reason,
        primary_classes={"label": "a"}, copy_classes={"label": label},
    )  # fmt: skip


def book(*pairs: Judged) -> ShadowBook:
    made = ShadowBook()
    made.of(SETUP, NOW)
    for one in pairs:
        made.note(one, NOW)
    return made


def test_agreement_stands_beside_that_of_stable_with_itself() -> None:
    made = book(
        *[pair()] * 6,
        *[pair(Outcome.DIFFERENT, reason="value")] * 4,
        *[pair(kind=Kind.SELF)] * 9,
        pair(Outcome.DIFFERENT, Kind.SELF, "value"),
        pair(Outcome.UNREADABLE, reason="no JSON"),
    )
    told = made.of(SETUP, NOW).told(NOW)
    assert told["pairs"] == {
        "candidate": {
            **{"same": 6, "different": 4, "unreadable": 1, "agreement": 0.6},
            "reasons": {"value": 4},
        },
        "self": {
            **{"same": 9, "different": 1, "unreadable": 0, "agreement": 0.9},
            "reasons": {"value": 1},
        },
    }
    assert (told["excess"], told["unreadable"]) == (0.3, {"no JSON": 1})
    assert made.totals["chat", "v1", "self", "different"] == 1
    assert made.totals["chat", "v2", "candidate", "unreadable"] == 1


def test_no_pairs_are_no_agreement() -> None:
    told = book().of(SETUP, NOW).told(NOW)
    assert told["pairs"]["candidate"]["agreement"] is None and told["excess"] is None
    assert told["drift"] == [] and told["holds"] == []


def test_drift_speaks_for_holding_and_noise_does_not() -> None:
    same = book(*[pair(label="a")] * 300)
    assert same.of(SETUP, NOW).holds(NOW) == ()
    apart = book(*[pair(label="b")] * 300).of(SETUP, NOW)
    [why] = apart.holds(NOW)
    assert why.startswith("answers of v2 drift from those of v1: PSI of label is ")
    assert why.endswith(" over 300 and 300 answers")
    [drift] = apart.told(NOW)["drift"]
    assert drift["is_drift"] and drift["candidate"] == {"b": 300}


def test_only_stables_first_answers_stand_for_stable() -> None:
    made = book(*[pair(kind=Kind.SELF, label="z")] * 3)
    [drift] = made.of(SETUP, NOW).told(NOW)["drift"]
    assert (drift["candidate"], drift["stable"], drift["limit"]) == ({}, {"a": 3}, 0.1)


def test_another_comparison_begins_anew_and_late_pairs_of_the_old_one_are_only_counted() -> None:
    made = book(pair())
    other = replace(SETUP, compare='{"kind":"exact"}')
    assert made.of(other, NOW).told(NOW)["pairs"]["candidate"]["same"] == 0
    made.note(pair(), NOW)
    found = made.find("chat")
    assert found is not None and found.told(NOW)["pairs"]["candidate"]["same"] == 0
    assert made.totals["chat", "v2", "candidate", "same"] == 2
    assert repr(found) == "<Shadow of chat: 0 pairs>"


def test_the_last_examples_are_kept_one_a_second() -> None:
    made = book()
    shown = replace(pair(Outcome.DIFFERENT, reason="value"), excerpts=("one", "two"))
    for number in range(3 * MOST_EXAMPLES):
        made.note(replace(shown, request_id=f"r{number}"), NOW + number / 2)
    examples = made.of(SETUP, NOW).examples
    assert len(examples) == MOST_EXAMPLES
    assert [one["request_id"] for one in examples[:2]] == ["r148", "r146"]
    assert (examples[0]["stable_answer"], examples[0]["copy_answer"]) == ("one", "two")


def test_reasons_without_number_become_one() -> None:
    made = book(*[pair(Outcome.UNREADABLE, reason=f"why {n}") for n in range(MOST_REASONS + 7)])
    assert made.of(SETUP, NOW).told(NOW)["unreadable"]["other"] == 7

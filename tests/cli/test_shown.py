from __future__ import annotations

from datetime import datetime

import pytest

from gateway.cli.shown import count, local_time, percent, plain, table


def test_columns_are_aligned_and_lines_end_with_their_text() -> None:
    assert table(("A", "LONG"), [("x", "1"), ("longer", "")]).splitlines() == [
        "A       LONG",
        "x       1",
        "longer",
    ]


def test_a_cell_is_one_line_whatever_it_holds() -> None:
    assert table(("A",), [("a\nb\x1b[0m",)]).splitlines() == ["A", "a\\nb\\x1b[0m"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Zoë", "Zoë"),
        ("a\tb", "a\\tb"),
        ("\u202eabc", "\\u202eabc"),
        ("\udcff", "\\udcff"),
        ("'\n", "'\\n"),
        ("\"'\n", "\"'\\n"),
        ("\x9b", "\\x9b"),
    ],
)
def test_what_could_steer_a_terminal_is_escaped(text: str, shown: str) -> None:
    assert plain(text) == shown


@pytest.mark.parametrize(
    ("number", "shown"), [(0, "0 %"), (10.0, "10 %"), (2.5, "2.5 %"), (0.000001, "0.000001 %")]
)
def test_percents_are_short(number: float, shown: str) -> None:
    assert percent(number) == shown


def test_times_are_local_and_complete() -> None:
    told = local_time(1_700_000_000_999)
    assert datetime.fromisoformat(told).timestamp() == 1_700_000_000
    assert datetime.fromisoformat(told).utcoffset() is not None
    assert local_time(0) == "-"
    assert local_time(10**15) == "-"  # typed into a history by hand: in no calendar


def test_one_is_singular() -> None:
    assert [count(n, "id", "ids") for n in (0, 1, 2)] == ["0 ids", "1 id", "2 ids"]

from __future__ import annotations

import pytest

from gateway.release.report.model import build
from gateway.release.report.tables import moment, tables
from tests.release.machine.story import START
from tests.release.report.reports import lived, report


def rows(heading: str) -> tuple[tuple[str, ...], ...]:
    return next(table.rows for table in tables(report()) if table.heading == heading)


def test_every_part_of_the_report_has_its_table() -> None:
    assert [table.heading for table in tables(report())] == [
        "Release", "Exposure", "Plan and stages", "Metrics", "Your own metrics", "Decisions",
        "Changes of the route", "Drills",
    ]  # fmt: skip


def test_a_table_without_rows_is_left_out() -> None:
    headings = [table.heading for table in tables(build(lived().status, now=START))]
    assert headings == ["Release", "Exposure", "Plan and stages", "Decisions"]


def test_rows_are_as_wide_as_their_columns() -> None:
    for table in tables(report()):
        assert {len(row) for row in table.rows} == {len(table.columns)}


def test_a_metric_stands_with_its_interval() -> None:
    assert rows("Metrics")[0] == (
        "1", "errors", "8 of 1,000 (0.8 %)", "90 of 9,000 (1 %)", "0.8", "0.4 to 1.6", "1", "1",
        "8 of 1000 against 90 of 9000",
    )  # fmt: skip
    assert rows("Metrics")[1][2:6] == ("-", "-", "-", "- to -")


def test_a_decision_stands_with_its_numbers() -> None:
    at, kind, by, weight, text, numbers = rows("Decisions")[1]
    assert (kind, by, weight) == ("stage", "the machine", "5 %")
    assert at.startswith("2027-01-15 08:02:")
    assert text.startswith("v2 goes to stage 2 of 5")
    assert "candidate_requests 12,100" in numbers
    assert rows("Decisions")[2][2] == "bob"


def test_a_drill_stands_with_its_result() -> None:
    assert rows("Drills")[0][1:] == ("passed", "0.80 s", "rolled back and forth")


@pytest.mark.parametrize("at", [None, float("nan"), float("inf"), 1e30, -1e30])
def test_a_clock_set_to_nonsense_does_not_cost_the_report(at: float | None) -> None:
    assert moment(at) == "-"

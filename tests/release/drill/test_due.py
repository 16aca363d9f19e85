"""When the next drill is due: only those that passed count."""

from __future__ import annotations

from typing import Any

from gateway.release.drill.due import schedule_of
from gateway.release.drill.report import Report

DAY = 86_400.0


def report(outcome: Any, began: float, ended: float | None) -> Report:
    return Report(
        id=f"d{began:g}", route="chat", kind="errors", outcome=outcome, target=8.0, gateway="gw1",
        by="alice", began=began, ended=ended,
    )  # fmt: skip


def test_without_a_wish_no_drill_is_ever_due() -> None:
    schedule = schedule_of("chat", 0.0, 0.0, [])
    assert (schedule.due_at(), schedule.is_due(1e12), schedule.is_overdue(1e12)) == (
        None, False, False,
    )  # fmt: skip


def test_the_first_one_is_due_so_long_after_it_was_wished_for() -> None:
    schedule = schedule_of("chat", DAY, 1000.0, [])
    assert not schedule.is_due(1000.0 + 0.89 * DAY)
    assert schedule.is_due(1000.0 + 0.91 * DAY)
    assert not schedule.is_overdue(1000.0 + DAY)
    assert schedule.is_overdue(1001.0 + DAY)


def test_only_drills_that_passed_put_it_off() -> None:
    reports = [
        report("passed", 100.0, 110.0),
        report("late", 500.0, 510.0),
        report("failed", 700.0, 710.0),
        report("running", 900.0, None),
    ]
    schedule = schedule_of("chat", DAY, 0.0, reports)
    assert (schedule.passed_at, schedule.due_at()) == (110.0, 110.0 + DAY)
    assert schedule.last == reports[2]

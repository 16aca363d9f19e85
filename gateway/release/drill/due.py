"""When the next drill of a route is due, and what is late."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from gateway.release.drill.report import Report

EARLY_SHARE = 0.1


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """How a route stands with its drills."""

    route: str
    every: float  # seconds; 0 = none are asked for
    since: float  # when somebody began to ask for them
    passed_at: float | None = None  # the end of the last one that passed
    last: Report | None = None

    def due_at(self) -> float | None:
        """None = no drill is asked for."""
        if not self.every:
            return None
        return (self.passed_at if self.passed_at is not None else self.since) + self.every

    def is_due(self, now: float) -> bool:
        """Somewhat before it is overdue, so that one that goes well never is."""
        due = self.due_at()
        return due is not None and now > due - EARLY_SHARE * self.every

    def is_overdue(self, now: float) -> bool:
        due = self.due_at()
        return due is not None and now > due


def schedule_of(route: str, every: float, since: float, reports: Iterable[Report]) -> Schedule:
    """From the reports that are kept; drills that failed or were late count as none."""
    over = sorted((one for one in reports if one.is_over), key=lambda one: one.began)
    passed = [one.ended for one in over if one.outcome == "passed" and one.ended is not None]
    return Schedule(
        route=route, every=every, since=since,
        passed_at=max(passed) if passed else None, last=over[-1] if over else None,
    )  # fmt: skip

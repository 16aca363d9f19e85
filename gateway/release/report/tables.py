"""The tables of a report as plain rows of text, the same in Markdown and HTML."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.release.judge.evidence import FamilyEvidence
from gateway.release.machine.status import Decision
from gateway.release.plan.duration import said
from gateway.release.report.model import Report

NONE = "-"
_NUMBERS_SHOWN = 12  # of a decision; the rest is in the JSON


@dataclass(frozen=True, slots=True)
class Table:
    """A heading, the names of the columns, and rows of as many texts."""

    heading: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def tables(report: Report) -> tuple[Table, ...]:
    """Every table that has rows, in the order it is told."""
    every = (
        _facts(report), _exposure(report), _stages(report), _families(report), _metrics(report),
        _decisions(report), _changes(report), _drills(report),
    )  # fmt: skip
    return tuple(table for table in every if table.rows)


def moment(at: float | None) -> str:
    """A time in UTC, to the second."""
    if at is None or not math.isfinite(at):
        return NONE
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return NONE  # a clock that was set to nonsense must not cost the report


def _facts(report: Report) -> Table:
    took = NONE if report.ended_at is None else said(report.ended_at - report.started_at)
    rows = (
        ("Route", report.route),
        ("Candidate", report.candidate),
        ("Stable at the start", report.stable),
        ("Goal", report.goal or NONE),
        ("Owner", report.owner or NONE),
        ("Mode", report.mode + (f", preset {report.preset}" if report.preset else "")),
        ("Started", f"{moment(report.started_at)} UTC by {report.started_by or NONE}"),
        ("Ended", f"{moment(report.ended_at)} UTC" if report.ended_at is not None else NONE),
        ("Took", took),
        ("Chance of a wrong rollback", f"at most {report.alpha:.2g}"),
        ("Harm that a promotion may risk", f"{100 * report.harm_budget:.3g} % of all requests"),
    )
    return Table("Release", ("What", "Value"), rows)


def _exposure(report: Report) -> Table:
    met = report.exposure
    rows = (
        ("Highest weight", f"{met.highest_weight:g} %"),
        ("Average weight", f"{met.average_weight:.3g} %"),
        ("Requests on the candidate", _count(met.candidate_requests)),
        ("Requests on stable meanwhile", _count(met.stable_requests)),
        ("Failed on the candidate", _count(met.candidate_bad)),
        (
            "More than stable would have failed",
            NONE if met.extra_bad is None else f"{met.extra_bad:+,.1f}",
        ),
    )
    return Table("Exposure", ("What", "Value"), rows)


def _stages(report: Report) -> Table:
    rows = []
    for stage in report.stages:
        took = NONE
        if stage.entered_at is not None and stage.left_at is not None:
            took = said(stage.left_at - stage.entered_at)
        proof = NONE if stage.promotable_weight is None else f"{stage.promotable_weight:g} %"
        rows.append(
            (
                str(stage.number), f"{stage.weight:g} %", ", ".join(stage.segments) or NONE,
                said(stage.hold_seconds), moment(stage.entered_at), took, stage.verdict, proof,
                _count(stage.candidate_requests), "; ".join(stage.missing) or NONE,
            )
        )  # fmt: skip
    columns = (
        "Stage", "Weight", "Segments", "Hold", "Entered", "Took", "Verdict", "No harm shown up to",
        "Requests so far", "Not judged",
    )  # fmt: skip
    return Table("Plan and stages", columns, tuple(rows))


def _families(report: Report) -> Table:
    rows = tuple(
        _family(stage.number, family) for stage in report.stages for family in stage.families
    )
    columns = (
        "Stage", "Metric", "Candidate", "Stable", "Ratio", "95 % interval", "e", "p", "In words",
    )  # fmt: skip
    return Table("Metrics", columns, rows)


def _family(stage: int, family: FamilyEvidence) -> tuple[str, ...]:
    return (
        str(stage), family.name, _share(family.candidate_bad, family.candidate_n),
        _share(family.stable_bad, family.stable_n), _number(family.estimate),
        f"{_number(family.low)} to {_number(family.high)}", _number(family.e),
        _number(family.p), family.why or NONE,
    )  # fmt: skip


def _metrics(report: Report) -> Table:
    rows = tuple(
        (str(stage.number), m.name, _number(m.value), m.verdict, m.why or NONE)
        for stage in report.stages
        for m in stage.metrics
    )
    return Table("Your own metrics", ("Stage", "Metric", "Value", "Verdict", "In words"), rows)


def _decisions(report: Report) -> Table:
    rows = tuple(_decision(decision) for decision in report.decisions)
    return Table("Decisions", ("At", "Kind", "By", "Weight", "What", "Numbers"), rows)


def _decision(decision: Decision) -> tuple[str, ...]:
    shown = [f"{name} {_number(v)}" for name, v in decision.numbers.items()]
    rest = len(shown) - _NUMBERS_SHOWN
    numbers = ", ".join(shown[:_NUMBERS_SHOWN]) + (f", and {rest} more" if rest > 0 else "")
    return (
        moment(decision.at), decision.kind, decision.by or "the machine",
        f"{decision.weight:g} %", decision.text, numbers or NONE,
    )  # fmt: skip


def _changes(report: Report) -> Table:
    rows = tuple(
        (
            str(change.revision), moment(change.at), change.by or NONE, change.via or NONE,
            NONE if change.weight is None else f"{change.weight:g} %", change.stable or NONE,
            change.why or NONE,
        )
        for change in report.changes
    )  # fmt: skip
    columns = ("Revision", "At", "By", "Through", "Weight", "Stable", "Why")
    return Table("Changes of the route", columns, rows)


def _drills(report: Report) -> Table:
    rows = tuple(
        (
            moment(drill.at), "passed" if drill.ok else "failed",
            NONE if drill.seconds is None else f"{drill.seconds:.2f} s", drill.text or NONE,
        )
        for drill in report.drills
    )  # fmt: skip
    return Table("Drills", ("At", "Result", "Took", "What"), rows)


def _count(value: int | None) -> str:
    return NONE if value is None else f"{value:,}"


def _share(bad: int, total: int) -> str:
    return f"{bad:,} of {total:,} ({100 * bad / total:.3g} %)" if total else NONE


def _number(value: float | None) -> str:
    if value is None or math.isnan(value):
        return NONE
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.3g}"

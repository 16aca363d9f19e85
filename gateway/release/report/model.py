"""A release as a report: everything that is told, gathered once, whatever form it then takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from gateway.release.judge.evidence import Evidence, FamilyEvidence, MetricVerdict
from gateway.release.machine.phase import Phase
from gateway.release.machine.status import Decision, Status
from gateway.release.plan.plan import Plan


class Point(msgspec.Struct, frozen=True):
    """From this moment on, so many percent."""

    at: float
    weight: float


class StageReport(msgspec.Struct, frozen=True, kw_only=True):
    """One stage: what was planned, and the numbers that stood at its end."""

    number: int
    weight: float
    segments: tuple[str, ...]
    hold_seconds: float
    entered_at: float | None
    left_at: float | None
    verdict: str
    promotable_weight: float | None
    candidate_requests: int | None
    stable_requests: int | None
    families: tuple[FamilyEvidence, ...] = ()
    metrics: tuple[MetricVerdict, ...] = ()
    missing: tuple[str, ...] = ()


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One revision of the route in the time of the release."""

    revision: int
    at: float
    by: str
    via: str
    why: str
    weight: float | None
    stable: str


class DrillReport(msgspec.Struct, frozen=True, kw_only=True):
    """One rehearsal of the way back."""

    at: float
    text: str
    seconds: float | None
    ok: bool


class Exposure(msgspec.Struct, frozen=True, kw_only=True):
    """Who met the candidate, and what it cost them."""

    average_weight: float  # percent, over the time of the release
    highest_weight: float
    candidate_requests: int | None
    stable_requests: int | None
    candidate_bad: int | None
    extra_bad: float | None  # beyond what stable would have failed on as many requests


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The whole release, ready to be written down."""

    release_id: str
    route: str
    candidate: str
    stable: str
    goal: str
    owner: str
    mode: str
    preset: str
    phase: str
    outcome: str
    started_by: str
    started_at: float
    ended_at: float | None
    made_at: float
    alpha: float
    harm_budget: float
    planned: tuple[Point, ...]
    actual: tuple[Point, ...]
    exposure: Exposure
    stages: tuple[StageReport, ...]
    decisions: tuple[Decision, ...]
    changes: tuple[Change, ...] = ()
    drills: tuple[DrillReport, ...] = ()


def build(
    status: Status,
    *,
    now: float,
    history: Iterable[Mapping[str, Any]] = (),
    evidence: Mapping[int, Evidence] | None = None,
    drills: Iterable[Mapping[str, Any]] = (),
) -> Report:
    """Gathers the report.

    `history`: revisions with `revision`, `at_ms`, `by`, `via`, `why`, `weights`, `stable`.
    `evidence`: the newest of each stage, by its index.
    `drills`: with `at`, `text`, `seconds`, `ok`.
    """
    found = evidence or {}
    changes = tuple(sorted((_change(entry, status) for entry in history), key=lambda c: c.at))
    changes = tuple(change for change in changes if change.at >= status.started_at - 1)
    end = status.ended_at if status.ended_at is not None else now
    actual = _actual(status, changes)
    return Report(
        release_id=status.release_id,
        route=status.route,
        candidate=status.candidate,
        stable=status.stable,
        goal=status.plan.goal,
        owner=status.plan.owner,
        mode=status.plan.mode,
        preset=status.plan.preset,
        phase=status.phase.value,
        outcome=_outcome(status),
        started_by=status.started_by,
        started_at=status.started_at,
        ended_at=status.ended_at,
        made_at=now,
        alpha=status.plan.guardrails.alpha,
        harm_budget=status.plan.harm_budget,
        planned=planned(status.plan, _first_stage_at(status)),
        actual=actual,
        exposure=_exposure(actual, end, found),
        stages=tuple(_stages(status, found, end)),
        decisions=status.decisions,
        changes=changes,
        drills=tuple(_drill(drill) for drill in drills),
    )


def to_json(report: Report) -> bytes:
    """The report as JSON; infinite and undefined numbers become null."""
    return msgspec.json.encode(report)


def planned(plan: Plan, start: float) -> tuple[Point, ...]:
    """The fastest way through the plan: every stage left as soon as its hold is over."""
    points, at = [], start
    for number, stage in enumerate(plan.stages):
        points.append(Point(at, plan.target(number)))
        is_bake = stage.weight == 100
        at += max(stage.hold, plan.bake.duration) if is_bake else stage.hold
    if plan.finish == "promote":
        points.append(Point(at, 100.0))
    return tuple(points)


def _actual(status: Status, changes: tuple[Change, ...]) -> tuple[Point, ...]:
    """The history knows best; without it, the weights that stood at each decision."""
    known = [Point(change.at, _weight(change, status)) for change in changes]
    if not known:
        known = [Point(decision.at, decision.weight) for decision in status.decisions]
    points = [Point(status.started_at, status.weight_before)]
    for point in known:
        if point.weight != points[-1].weight:
            points.append(Point(max(point.at, points[-1].at), point.weight))
    return tuple(points)


def _weight(change: Change, status: Status) -> float:
    if change.stable == status.candidate:
        return 100.0
    return change.weight or 0.0


def _exposure(actual: tuple[Point, ...], end: float, evidence: Mapping[int, Evidence]) -> Exposure:
    ends = [point.at for point in actual[1:]] + [max(end, actual[-1].at)]
    spans = [(point.weight, until - point.at) for point, until in zip(actual, ends, strict=True)]
    total = sum(span for _, span in spans)
    newest = max(evidence.values(), key=lambda one: one.at, default=None)
    errors = next((f for f in newest.families if f.name == "errors"), None) if newest else None
    extra = None
    if errors is not None and errors.stable_n:
        expected = errors.candidate_n * errors.stable_bad / errors.stable_n
        extra = errors.candidate_bad - expected
    return Exposure(
        average_weight=sum(w * span for w, span in spans) / total if total > 0 else 0.0,
        highest_weight=max(point.weight for point in actual),
        candidate_requests=newest.candidate_requests if newest else None,
        stable_requests=newest.stable_requests if newest else None,
        candidate_bad=errors.candidate_bad if errors else None,
        extra_bad=extra,
    )


def _stages(status: Status, evidence: Mapping[int, Evidence], end: float) -> list[StageReport]:
    entries = {d.stage: d.at for d in reversed(status.decisions) if d.kind in ("started", "stage")}
    stages = []
    for number, stage in enumerate(status.plan.stages):
        said = evidence.get(number)
        entered = entries.get(number)
        left = entries.get(number + 1, end) if entered is not None else None
        stages.append(
            StageReport(
                number=number + 1,
                weight=status.plan.target(number),
                segments=status.plan.segments(number),
                hold_seconds=stage.hold,
                entered_at=entered,
                left_at=left,
                verdict=said.verdict if said else "not reached" if entered is None else "no-data",
                promotable_weight=said.promotable_weight if said else None,
                candidate_requests=said.candidate_requests if said else None,
                stable_requests=said.stable_requests if said else None,
                families=said.families if said else (),
                metrics=said.metrics if said else (),
                missing=said.missing if said else (),
            )
        )
    return stages


def _first_stage_at(status: Status) -> float:
    starts = (decision.at for decision in status.decisions if decision.kind == "started")
    return next(starts, status.started_at)


def _outcome(status: Status) -> str:
    told = {
        Phase.PROMOTED: f"{status.candidate} became the stable version.",
        Phase.ROLLED_BACK: f"{status.candidate} was rolled back; {status.stable} has all traffic.",
        Phase.ABORTED: "The release was aborted; the weights of before are back.",
        Phase.EXPIRED: "The release took too long; the weights of before are back.",
    }
    running = f"The release runs: {status.phase.value}, {status.weight_wanted:g} %."
    return told.get(status.phase, running)


def _change(entry: Mapping[str, Any], status: Status) -> Change:
    weights = entry.get("weights")
    weight = weights.get(status.candidate, 0.0) if isinstance(weights, Mapping) else None
    return Change(
        revision=int(entry.get("revision", 0)),
        at=float(entry.get("at_ms", 0)) / 1000,
        by=str(entry.get("by", "")),
        via=str(entry.get("via", "")),
        why=str(entry.get("why", "")),
        weight=None if weight is None else float(weight),
        stable=str(entry.get("stable", "")),
    )


def _drill(entry: Mapping[str, Any]) -> DrillReport:
    seconds = entry.get("seconds")
    return DrillReport(
        at=float(entry.get("at", 0)),
        text=str(entry.get("text", "")),
        seconds=None if seconds is None else float(seconds),
        ok=bool(entry.get("ok", False)),
    )

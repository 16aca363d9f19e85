"""The pictures of a report: SVG out of strings, without scripts, fonts or anything from outside.

Colours come from the page's style, so that they follow a dark theme.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from gateway.release.plan.duration import said
from gateway.release.report.model import Point, Report
from gateway.release.report.tables import moment
from gateway.release.report.text import safe

_WIDTH, _HEIGHT = 760.0, 240.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 48.0, 12.0, 12.0, 28.0
_TICKS = 6
_ROW = 22.0
_LEAST, _MOST = 0.1, 10.0  # ratios shown; what is beyond sticks to the edge
_LABELS = 190.0


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where times and percents lie in the picture."""

    start: float
    end: float

    def x(self, at: float) -> float:
        part = (min(max(at, self.start), self.end) - self.start) / (self.end - self.start)
        return _LEFT + part * (_WIDTH - _LEFT - _RIGHT)

    def y(self, percent: float) -> float:
        return _TOP + (1 - min(max(percent, 0.0), 100.0) / 100) * (_HEIGHT - _TOP - _BOTTOM)


def weight_plot(report: Report) -> str:
    """Weight over time: the plan dashed, what happened solid, a dot for each decision."""
    end = report.ended_at if report.ended_at is not None else report.made_at
    last = max(end, *(point.at for point in (*report.planned, *report.actual)))
    frame = _Frame(report.started_at, max(last, report.started_at + 1.0))
    parts = [
        *_grid(frame),
        _steps(frame, report.planned, frame.end, "planned", "planned"),
        _steps(frame, report.actual, max(end, report.started_at), "actual", "actual"),
        *_dots(frame, report),
    ]
    return _svg("Weight over time", _WIDTH, _HEIGHT, parts)


def ratio_plot(report: Report) -> str:
    """The ratio candidate / stable of each metric and stage, with its 95 % interval; "" if none."""
    rows = [
        (f"stage {stage.number}, {family.name}", family.low, family.estimate, family.high)
        for stage in report.stages
        for family in stage.families
        if family.low is not None and family.high is not None
    ]
    if not rows:
        return ""
    height = _TOP + _ROW * len(rows) + _BOTTOM
    parts = []
    for ratio in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0):
        x = _ratio_x(ratio)
        kind = "one" if ratio == 1 else "grid"
        parts.append(_line(x, _TOP, x, height - _BOTTOM, kind))
        parts.append(_text(x, height - 8, f"{ratio:g}", "middle"))
    for number, (name, low, estimate, high) in enumerate(rows):
        y = _TOP + _ROW * (number + 0.5)
        parts.append(_text(_LABELS - 8, y + 4, name, "end"))
        parts.append(_line(_ratio_x(low), y, _ratio_x(high), y, "interval"))
        if estimate is not None:
            told = f"{name}: {estimate:.3g} ({low:.3g} to {high:.3g})"
            parts.append(_dot(_ratio_x(estimate), y, told, "estimate"))
    return _svg("Candidate over stable, with 95 % intervals", _WIDTH, height, parts)


def _grid(frame: _Frame) -> list[str]:
    parts = []
    for percent in (0, 25, 50, 75, 100):
        y = frame.y(percent)
        parts.append(_line(_LEFT, y, _WIDTH - _RIGHT, y, "grid"))
        parts.append(_text(_LEFT - 6, y + 4, f"{percent} %", "end"))
    for tick in range(_TICKS + 1):
        at = frame.start + (frame.end - frame.start) * tick / _TICKS
        anchor = "start" if tick == 0 else "end" if tick == _TICKS else "middle"
        parts.append(_text(frame.x(at), _HEIGHT - 8, f"+{said(at - frame.start)}", anchor))
    return parts


def _steps(frame: _Frame, points: tuple[Point, ...], end: float, kind: str, title: str) -> str:
    if not points:
        return ""
    path = f"M{frame.x(points[0].at):.1f} {frame.y(points[0].weight):.1f}"
    for point in points[1:]:
        path += f"H{frame.x(point.at):.1f}V{frame.y(point.weight):.1f}"
    path += f"H{frame.x(max(end, points[-1].at)):.1f}"
    return f'<path class="{kind}" d="{path}"><title>{title}</title></path>'


def _dots(frame: _Frame, report: Report) -> list[str]:
    return [
        _dot(
            frame.x(decision.at),
            frame.y(decision.weight),
            f"{moment(decision.at)} {decision.kind}: {decision.text}",
            "decision",
        )
        for decision in report.decisions
        if math.isfinite(decision.at)
    ]


def _ratio_x(ratio: float) -> float:
    ratio = _LEAST if math.isnan(ratio) else min(max(ratio, _LEAST), _MOST)
    part = math.log(ratio / _LEAST) / math.log(_MOST / _LEAST)
    return _LABELS + part * (_WIDTH - _LABELS - _RIGHT)


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _dot(x: float, y: float, title: str, kind: str) -> str:
    told = f"<title>{safe(title)}</title>"
    return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="4">{told}</circle>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{safe(text)}</text>'


def _svg(title: str, width: float, height: float, parts: list[str]) -> str:
    head = f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{safe(title)}">'
    return "".join([head, f"<title>{safe(title)}</title>", *parts, "</svg>"])

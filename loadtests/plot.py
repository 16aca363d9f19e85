"""Plots as SVG, small enough to be read in a diff."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

_WIDTH, _HEIGHT = 720, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 150, 40, 48
_COLOURS = ("#0b6e4f", "#b5446e", "#3a6ea5", "#c77f1b", "#6b4c9a", "#555555", "#999911", "#2a9d8f")
_STYLE = "font-family:sans-serif;font-size:12px"

Lines = Mapping[str, Sequence[tuple[float, float]]]


def lines(title: str, x_title: str, y_title: str, series: Lines, *, log_y: bool = False) -> str:
    """One line for each name over a logarithmic x; all values must be above 0."""
    xs = [x for points in series.values() for x, _ in points]
    ys = [y for points in series.values() for _, y in points]
    if not xs:
        return ""
    low_x, high_x = math.log10(min(xs)), math.log10(max(xs))
    top = max(ys) * 1.1
    low_y = math.log10(min(ys)) - 0.1 if log_y else 0.0
    high_y = math.log10(top) if log_y else top

    def place(x: float, y: float) -> tuple[float, float]:
        across = (math.log10(x) - low_x) / ((high_x - low_x) or 1)
        up = ((math.log10(y) if log_y else y) - low_y) / ((high_y - low_y) or 1)
        return (
            _LEFT + across * (_WIDTH - _LEFT - _RIGHT),
            _HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM),
        )

    parts = [_text(_LEFT, 22, title, "start", "font-weight:bold")]
    for value in _ticks(low_y, high_y, log_y):
        _, y = place(min(xs), value)
        parts.append(_line(_LEFT, y, _WIDTH - _RIGHT, y, "#dddddd"))
        parts.append(_text(_LEFT - 6, y + 4, f"{value:g}", "end"))
    for value in sorted(set(xs)):
        x, _ = place(value, top)
        parts.append(_text(x, _HEIGHT - _BOTTOM + 16, f"{value:,.6g}", "middle"))
    parts.append(_text((_WIDTH - _RIGHT + _LEFT) / 2, _HEIGHT - 10, x_title, "middle"))
    parts.append(_text(_LEFT, _TOP - 4, y_title, "start"))
    for number, (name, points) in enumerate(series.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        placed = [place(x, y) for x, y in sorted(points)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in placed]
        parts.append(
            _text(_WIDTH - _RIGHT + 12, _TOP + 18 * number + 10, name, "start", f"fill:{colour}")
        )
    return _svg(parts, _HEIGHT)


def bars(title: str, unit: str, rows: Mapping[str, tuple[float, float, float]]) -> str:
    """A bar for each name as long as its median, with a mark from the least to the most."""
    height = _TOP + 26 * len(rows) + 20
    longest = max((most for _, _, most in rows.values()), default=1.0)
    scale = (_WIDTH - 2 * _RIGHT) / longest
    parts = [_text(12, 22, f"{title} ({unit})", "start", "font-weight:bold")]
    for number, (name, (least, middle, most)) in enumerate(rows.items()):
        y = _TOP + 26 * number
        colour = _COLOURS[0] if name.startswith("graygate") else _COLOURS[5]
        parts.append(_text(_RIGHT - 8, y + 14, name, "end"))
        parts.append(
            f'<rect x="{_RIGHT}" y="{y}" width="{middle * scale:.1f}" height="18" fill="{colour}"/>'
        )
        start, end = _RIGHT + least * scale, _RIGHT + most * scale
        parts.append(_line(start, y + 9, end, y + 9, "#222222"))
        parts.append(_text(end + 8, y + 14, f"{middle:.1f}", "start"))
    return _svg(parts, height)


def _ticks(low: float, high: float, is_log: bool) -> list[float]:
    if is_log:
        return [10.0**power for power in range(math.ceil(low), math.floor(high) + 1)]
    step = 10 ** math.floor(math.log10(high / 4 or 1))
    step *= next(factor for factor in (1, 2, 5, 10) if high / (step * factor) <= 5)
    return [step * number for number in range(int(high / step) + 1)]


def _svg(parts: Sequence[str], height: float) -> str:
    frame = f'<rect width="{_WIDTH}" height="{height}" fill="white"/>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}">'
    return "\n".join([head, frame, *parts, "</svg>"]) + "\n"


def _text(x: float, y: float, text: str, anchor: str, style: str = "") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" style="{_STYLE};{style}">'
        f"{escape(text)}</text>"
    )


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'

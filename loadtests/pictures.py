"""The plots of the comparison, beside its tables."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from loadtests.cases import GROWTH, all_cases
from loadtests.plot import bars, lines
from loadtests.report import NO_PROXY, Measured, unit

BARS = ("get", "post", "sse100", "sse1000")


def pictures(measured: Measured) -> dict[str, str]:
    """SVG by file name, of what was measured."""
    names = [name for name in measured.versions if name != NO_PROXY]
    drawn = {}
    for case in BARS:
        rows = {}
        for name in names:
            if found := list(measured.figures(case, name).values()):
                rows[name] = (min(found), median(found), max(found))
        if rows:
            drawn[f"{case}.svg"] = bars(all_cases()[case].title, unit(case), rows)
    series = {
        name: [
            (float(count), median(figures))
            for count in GROWTH
            if (figures := list(measured.figures(f"held{count}", name).values()))
        ]
        for name in names
    }
    series = {name: points for name, points in series.items() if points}
    if series:
        title = "Cost of a request as connections grow"
        drawn["connections.svg"] = lines(title, "connections held", "µs per request", series)
    return drawn


def save(measured: Measured, folder: Path) -> None:
    for name, svg in pictures(measured).items():
        (folder / name).write_text(svg)

"""Printing measured figures the same way everywhere."""

from __future__ import annotations

from collections.abc import Sequence


def spread(values: Sequence[float]) -> str:
    """min / p50 / p99 / max of at least one value."""
    ordered = sorted(values)

    def at(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    return f"{ordered[0]:8.2f} {at(0.5):8.2f} {at(0.99):8.2f} {ordered[-1]:8.2f}"


HEADINGS = f"{'':44s} {'min':>8s} {'p50':>8s} {'p99':>8s} {'max':>8s}"


def row(name: str, values: Sequence[float]) -> str:
    return f"{name:44s} {spread(values)}"

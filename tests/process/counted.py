"""A data plane that only counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from gateway.metrics.numbers import Numbers


@dataclass(slots=True)
class FakePlane:
    """What `totals_of` reads; tests fill it in."""

    decisions: dict[tuple[str, str, str], int] = field(default_factory=dict)
    numbers: dict[tuple[str, str], Numbers] = field(default_factory=dict)
    connections: int = 0
    shed: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    known: list[tuple[str, str, str, bool]] = field(default_factory=list)

    def endpoints(self) -> Iterable[tuple[str, str, str, bool]]:
        return iter(self.known)

"""The classes of both versions' answers over the last hour, and whether they drift apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.release.statistics.drift import chance_limit, is_drift, stability_index

KEPT_MINUTES = 60
MOST_CLASSES = 200  # of one kind; all others are one
OTHER = "other"

ByClass = dict[str, Counter[str]]  # kind of class -> class -> answers


@dataclass(frozen=True, slots=True)
class Drift:
    """How differently two versions' answers fall into one kind of classes."""

    kind: str
    candidate: Mapping[str, int]
    stable: Mapping[str, int]

    @property
    def index(self) -> float:
        return stability_index(self.candidate, self.stable)

    @property
    def limit(self) -> float:
        """What equal versions stay below; infinite when one of them was not seen."""
        classes = len({*self.candidate, *self.stable})
        return chance_limit(classes, sum(self.candidate.values()), sum(self.stable.values()))

    @property
    def is_drift(self) -> bool:
        return is_drift(self.candidate, self.stable)


class Classes:
    """Counts by minute; the caller has the clock."""

    def __init__(self) -> None:
        self._minutes: dict[int, tuple[ByClass, ByClass]] = {}
        self._names: dict[str, set[str]] = {}  # kind -> classes that have a count of their own

    def __repr__(self) -> str:
        return f"<Classes of {len(self._minutes)} minutes>"

    def note(
        self, minute: int, candidate: Mapping[str, str] | None, stable: Mapping[str, str]
    ) -> None:
        """The classes of a pair's answers; None = stable was asked alone."""
        counts = self._minutes.get(minute)
        if counts is None:
            counts = self._minutes[minute] = ({}, {})
            for old in [one for one in self._minutes if one <= minute - KEPT_MINUTES]:
                del self._minutes[old]
        for into, found in zip(counts, (candidate or {}, stable), strict=True):
            for kind, name in found.items():
                into.setdefault(kind, Counter())[self._known(kind, name)] += 1

    def drifts(self, minute: int) -> tuple[Drift, ...]:
        """By kind, over the last hour."""
        sums: tuple[ByClass, ByClass] = ({}, {})
        for then, counts in self._minutes.items():
            if then > minute - KEPT_MINUTES:
                for into, one in zip(sums, counts, strict=True):
                    for kind, classes in one.items():
                        into.setdefault(kind, Counter()).update(classes)
        candidate, stable = sums
        kinds = sorted(candidate.keys() | stable.keys())
        return tuple(Drift(k, candidate.get(k, {}), stable.get(k, {})) for k in kinds)

    def _known(self, kind: str, name: str) -> str:
        names = self._names.setdefault(kind, set())
        if name not in names:
            if len(names) >= MOST_CLASSES:
                return OTHER
            names.add(name)
        return name

"""What differs between two states of a route, field by field; lists by ids gained and lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from heapq import nsmallest

from gateway.state.history import Delta
from gateway.state.raw import RouteState

MOST_SAMPLED = 20


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field of a small key; None = it is not there."""

    part: str  # route, versions, weights or rules
    field: str
    before: str | tuple[str, ...] | None
    after: str | tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class ListChange:
    """How a list differs: how many ids, and a few of them."""

    gained: int
    lost: int
    gained_sample: tuple[str, ...]
    lost_sample: tuple[str, ...]
    is_exact: bool  # False = edited by hand while nobody was watching: there may be more


def compare(before: RouteState | None, after: RouteState) -> list[FieldChange]:
    """The fields that differ, in the order of their names; None = there was nothing before."""
    before = before or RouteState()
    rows: list[FieldChange] = []
    for part in ("route", "versions", "weights"):
        old: dict[str, str] = getattr(before, part)
        new: dict[str, str] = getattr(after, part)
        rows += [
            FieldChange(part, name, old.get(name), new.get(name))
            for name in sorted({*old, *new})
            if old.get(name) != new.get(name)
        ]
    if before.rules != after.rules:
        rows.append(FieldChange("rules", "", before.rules, after.rules))
    return rows


def compare_lists(deltas: Mapping[str, Delta], *, backwards: bool) -> dict[str, ListChange]:
    """What these deltas amount to, list by list; those without effect are left out."""
    return {
        name: _list_change(delta, backwards=backwards)
        for name, delta in sorted(deltas.items())
        if delta
    }


def _list_change(delta: Delta, *, backwards: bool) -> ListChange:
    gained, lost = (delta.removed, delta.added) if backwards else (delta.added, delta.removed)
    return ListChange(
        len(gained), len(lost), _sample(gained), _sample(lost), is_exact=not delta.is_unknown
    )


def _sample(ids: frozenset[bytes]) -> tuple[str, ...]:
    return tuple(unit.decode(errors="replace") for unit in nsmallest(MOST_SAMPLED, ids))

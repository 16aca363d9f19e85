"""Keeps the last good form of every route: takes what was read, yields what is in force.

Rules, in the order in which they are asked:
- A route that vanished is removed only when that was meant: it was deleted through us, or its name
  was taken out of the set of routes while its other keys still stand. A store that lost everything
  (flushed, replaced, restored empty) removes nothing.
- A store that went back to an older revision (a stale replica was promoted) changes nothing until
  somebody writes to the route again.
- A route is taken over as a whole, together with the lists it needs, or its last good form stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from gateway.routing.lists import blacklist_name, segment_name, whitelist_name
from gateway.routing.rules import segments_of
from gateway.routing.spec import RouteSpec
from gateway.state.contract import Verdict, validate
from gateway.state.keys import Keys
from gateway.state.raw import RawRoute
from gateway.state.snapshot import HeldRoute, MemberList, Refusal, Snapshot

EMPTY_LIST = frozenset[bytes]()


@dataclass(frozen=True, slots=True)
class Reading:
    """What the newest reading of one route said, accepted or not."""

    raw: RawRoute
    verdict: Verdict
    is_recorded: bool  # the history knows the route as it stands


class Keeper:
    """Holds the newest readings and the last good form; `snapshot()` is what is in force."""

    def __init__(self, keys: Keys, start: Snapshot | None = None) -> None:
        self._keys = keys
        self._held: dict[str, HeldRoute] = dict(start.routes) if start else {}
        self._lists: dict[str, MemberList] = dict(start.lists) if start else {}
        self._readings: dict[str, Reading] = {}
        self._list_problems: dict[str, Refusal] = {}
        self._names: frozenset[str] | None = None
        self._was_read = False
        self._name_problems: list[Refusal] = []
        self._strangers: dict[str, Refusal] = {}
        self._current = start or Snapshot()

    @property
    def current(self) -> Snapshot:
        return self._current

    @property
    def route_names(self) -> frozenset[str]:
        """Every route that must be read: named in the store, or still held."""
        return frozenset(self._held) | (self._names or frozenset())

    def reading(self, name: str) -> Reading | None:
        return self._readings.get(name)

    def members(self, name: str) -> MemberList | None:
        return self._lists.get(name)

    # Taking in what was read

    def take_names(self, names: frozenset[str] | None, problems: list[Refusal]) -> None:
        self._was_read = True
        self._names = names
        self._name_problems = problems

    def take_route(self, raw: RawRoute) -> bool:
        """Take in one reading; False when it says nothing new."""
        known = self._readings.get(raw.name)
        if known is not None and known.raw == raw:
            return False
        self._readings[raw.name] = Reading(raw, validate(raw, self._keys), raw.is_recorded)
        return True

    def take_list(self, members: MemberList) -> None:
        self._lists[members.name] = members
        self._list_problems.pop(members.name, None)

    def take_list_problem(self, name: str, problem: Refusal) -> None:
        """The list cannot be read; its last good members stay."""
        self._list_problems[name] = problem

    def take_stranger(self, key: str) -> None:
        """A key under our prefix that the contract does not know."""
        like = self._keys.like(key)
        hint = f"; did you mean {like}?" if like else ""
        text = f"this key is not part of the contract and has no effect{hint}"
        if len(self._strangers) < 100:
            self._strangers[key] = Refusal("", key, "unknown_key", text)

    def forget_stranger(self, key: str) -> None:
        self._strangers.pop(key, None)

    # What follows from it

    def wanted_lists(self) -> dict[str, set[str]]:
        """Every list that a valid or held route needs, and the routes that need it."""
        wanted: dict[str, set[str]] = {}
        for name in self.route_names:
            reading = self._readings.get(name)
            specs = [reading.verdict.spec if reading else None]
            held = self._held.get(name)
            specs.append(held.spec if held else None)
            for spec in specs:
                for list_name in lists_of(spec) if spec else ():
                    wanted.setdefault(list_name, set()).add(name)
        return wanted

    def is_lost(self, name: str) -> bool:
        """True when the store no longer holds anything of a route that is in force."""
        reading = self._readings.get(name)
        if name not in self._held or reading is None:
            return False
        return reading.raw.is_empty and not reading.raw.has_history

    def is_frozen_list(self, name: str) -> bool:
        """True for a list that belongs to lost routes only: its emptiness means nothing."""
        owners = self.wanted_lists().get(name, set())
        return bool(owners) and all(self.is_lost(owner) for owner in owners)

    def snapshot(self) -> Snapshot:
        """Swap in everything that is good now; the same object when nothing changed."""
        refused: list[Refusal] = list(self._name_problems)
        warnings: list[Refusal] = list(self._strangers.values())
        for name in sorted(self.route_names):
            self._settle(name, refused, warnings)
        for route in sorted(set(self._readings) - self.route_names):
            del self._readings[route]
        used = {n for held in self._held.values() for n in lists_of(held.spec)}
        wanted = self.wanted_lists()
        for list_name in sorted(set(self._lists) - set(wanted)):
            del self._lists[list_name]
        refused += [p for n, p in sorted(self._list_problems.items()) if n in wanted]
        lists = {name: self._lists[name] for name in sorted(used) if name in self._lists}
        current = self._current
        candidate = replace(
            current,
            routes=MappingProxyType(dict(self._held)),
            lists=MappingProxyType(lists),
            refused=tuple(refused),
            warnings=tuple(warnings),
        )
        is_first = current.sequence == 0 and self._was_read  # 0 stands for knowing nothing
        if is_first or not _is_same(current, candidate):
            self._current = replace(candidate, sequence=current.sequence + 1)
        return self._current

    def _settle(self, name: str, refused: list[Refusal], warnings: list[Refusal]) -> None:
        """Decide what is in force for one route."""
        reading = self._readings.get(name)
        if reading is None:
            return
        raw, verdict = reading.raw, reading.verdict
        held = self._held.get(name)
        if self._is_removed(name, raw, held, refused):
            self._held.pop(name, None)
            return
        if self._names is not None and name not in self._names:
            return  # kept although its name is gone; the reason stands in `refused`
        if held is not None and _is_stale(raw, held):
            text = (
                f"the store went back from revision {held.revision} to {raw.revision} (a stale "
                f"replica?); revision {held.revision} stays in force until the route is written to"
            )
            refused.append(Refusal(name, self._keys.history(name), "stale_store", text))
            return
        refused += verdict.refused
        warnings += verdict.warnings
        if verdict.spec is None or not self._has_lists(verdict.spec):
            return
        if held is not None and held.spec is verdict.spec and held.revision == raw.revision:
            return
        self._held[name] = HeldRoute(
            spec=verdict.spec,
            state=raw.state(),
            revision=raw.revision,
            changed_at_ms=raw.recorded_at_ms,
            fingerprint=raw.fingerprint(),
        )

    def _is_removed(
        self, name: str, raw: RawRoute, held: HeldRoute | None, refused: list[Refusal]
    ) -> bool:
        """Whether the route is gone on purpose; when it is gone otherwise, say so."""
        if self._names is None or name in self._names:
            return False
        if raw.is_deleted or held is None:
            return True
        key = self._keys.routes
        if raw.is_empty and not raw.has_history:
            text = (
                f"everything about {name} is gone from the store; it stays in force. Put it back "
                f"with: graygate repopulate; or remove it with: graygate route delete {name}"
            )
        elif not self._names:
            text = (
                f"the set of routes is empty; {name} stays in force. Put it back with: "
                f"SADD {key} {name}; or remove it for good with: graygate route delete {name}"
            )
        else:
            return True
        refused.append(Refusal(name, key, "emptied", text))
        return False

    def _has_lists(self, spec: RouteSpec) -> bool:
        names = lists_of(spec)
        return not any(n in self._list_problems or n not in self._lists for n in names)


def lists_of(spec: RouteSpec) -> tuple[str, ...]:
    """The names of all lists that this route decides by."""
    segments = sorted({segment for rule in spec.rules for segment in segments_of(rule.when)})
    return (
        blacklist_name(spec.name),
        *(whitelist_name(spec.name, version) for version in spec.versions),
        *(segment_name(segment) for segment in segments),
    )


def _is_stale(raw: RawRoute, held: HeldRoute) -> bool:
    """An older revision counts only once somebody wrote after ours was written."""
    went_back = raw.has_history and raw.revision < held.revision
    return went_back and raw.recorded_at_ms <= held.changed_at_ms


def _is_same(a: Snapshot, b: Snapshot) -> bool:
    return (
        a.refused == b.refused
        and a.warnings == b.warnings
        and a.routes == b.routes
        and _are_same_lists(a.lists, b.lists)
    )


def _are_same_lists(a: Mapping[str, MemberList], b: Mapping[str, MemberList]) -> bool:
    """By identity: comparing a million ids is not worth finding that nothing changed."""
    return a.keys() == b.keys() and all(a[name] is b[name] for name in a)

"""A worker's picture of all routes and lists: takes updates, yields tables.

An update is taken over as a whole or not at all. Routes that it does not touch keep their compiled
form, and large lists are mapped from the files that control wrote, so all workers share them.
"""

from __future__ import annotations

import logging
import mmap
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import ChannelError
from gateway.process.channel import ListChange, Update
from gateway.routing.lists import (
    OverlaidTable,
    PackedTable,
    blacklist_name,
    segment_name,
    whitelist_name,
)
from gateway.routing.rules import segments_of
from gateway.routing.spec import RouteSpec
from gateway.routing.table import Identity, Route, Table, compile_route

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _HeldList:
    generation: int
    base: Container[bytes]
    members: Container[bytes]  # with what was added and removed since


class Picture:
    """What control has told so far; `table` is the last table that was built from it."""

    def __init__(self, identity: Identity) -> None:
        self.table: Table | None = None
        self._identity = identity
        self._lists: dict[str, _HeldList] = {}

    def __repr__(self) -> str:
        return f"<Picture of {len(self._lists)} lists for {self.table!r}>"

    def apply(self, update: Update) -> Table:
        """The table after this update; ChannelError when the update cannot be followed."""
        held = {} if update.is_full else self._lists
        lists = {name: one for name, one in held.items() if name not in update.removed_lists}
        lists |= {change.name: _held_list(change, held) for change in update.lists}
        before = Table() if self.table is None or update.is_full else self.table
        specs = {spec.name: spec for spec in update.routes}
        touched = {change.name for change in update.lists} | set(update.removed_lists)
        # To ask each of a thousand routes takes 15 ms, in which no request gets on.
        for name, route in before.routes.items() if touched else ():
            if name not in update.removed_routes and touched & _lists_of(route.spec):
                specs.setdefault(name, route.spec)
        members = {name: one.members for name, one in lists.items()}
        compiled = [self._compile(spec, members, before) for spec in specs.values()]
        changed = [route for route in compiled if route is not None]
        self.table = before.with_changes(changed, update.sequence, update.removed_routes)
        self._lists = lists
        return self.table

    def _compile(
        self, spec: RouteSpec, members: dict[str, Container[bytes]], before: Table
    ) -> Route | None:
        try:
            return compile_route(spec, members, self._identity)
        except ValueError as error:  # a control of another release allows more than this one
            kept = "keeps its last good form" if before.route(spec.name) else "is left out"
            _log.error("Route %s cannot be used by this worker and %s: %s", spec.name, kept, error)
            return None


def _held_list(change: ListChange, held: dict[str, _HeldList]) -> _HeldList:
    base: Container[bytes]
    if change.path is not None:
        base = map_list(Path(change.path))
    elif change.ids is not None:
        base = frozenset(change.ids)
    else:
        known = held.get(change.name)
        if known is None or known.generation != change.generation:
            raise ChannelError(f"Control changed the list {change.name}, which was never sent.")
        base = known.base
    if not change.added and not change.removed:
        return _HeldList(change.generation, base, base)
    members = OverlaidTable(base, frozenset(change.added), frozenset(change.removed))
    return _HeldList(change.generation, base, members)


def map_list(path: Path) -> PackedTable:
    """The list in this file, in memory that all workers share."""
    try:
        with path.open("rb") as file:
            return PackedTable(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError) as error:
        raise ChannelError(f"The list file {path.name} cannot be used: {error}.") from error


def _lists_of(spec: RouteSpec) -> set[str]:
    return {
        blacklist_name(spec.name),
        *(whitelist_name(spec.name, version) for version in spec.versions),
        *(segment_name(name) for rule in spec.rules for name in segments_of(rule.when)),
    }

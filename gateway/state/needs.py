"""Which routes decide by which lists.

Kept in step one route at a time: working it out anew from a thousand routes for every question
about a list once cost a full look at the store 17 seconds.
"""

from __future__ import annotations

from collections.abc import KeysView, Set

from gateway.routing.lists import blacklist_name, segment_name, whitelist_name
from gateway.routing.rules import segments_of
from gateway.routing.spec import RouteSpec

NOTHING = frozenset[str]()


class Needs:
    """Routes and the lists they need, asked from both ends."""

    def __init__(self) -> None:
        self._lists_of: dict[str, frozenset[str]] = {}
        self._routes_of: dict[str, set[str]] = {}

    @property
    def lists(self) -> KeysView[str]:
        """Every list that some route needs."""
        return self._routes_of.keys()

    def lists_of(self, route: str) -> frozenset[str]:
        return self._lists_of.get(route, NOTHING)

    def routes_of(self, list_name: str) -> Set[str]:
        return self._routes_of.get(list_name, NOTHING)

    def set(self, route: str, lists: frozenset[str]) -> frozenset[str]:
        """From now on `route` needs exactly these; returns what nobody needs any more."""
        before = self.lists_of(route)
        if lists == before:
            return NOTHING
        if lists:
            self._lists_of[route] = lists
        else:
            del self._lists_of[route]
        for name in lists - before:
            self._routes_of.setdefault(name, set()).add(route)
        orphans = set()
        for name in before - lists:
            self._routes_of[name].discard(route)
            if not self._routes_of[name]:
                del self._routes_of[name]
                orphans.add(name)
        return frozenset(orphans)


def lists_of(spec: RouteSpec | None) -> frozenset[str]:
    """The names of all lists that this route decides by."""
    if spec is None:
        return NOTHING
    segments = {segment for rule in spec.rules for segment in segments_of(rule.when)}
    return frozenset(
        [
            blacklist_name(spec.name),
            *(whitelist_name(spec.name, version) for version in spec.versions),
            *(segment_name(segment) for segment in segments),
        ]
    )

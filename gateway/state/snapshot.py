"""What the control process knows of the store at one moment, immutable.

A `Snapshot` is what was last found valid, route by route, together with what was refused and why.
It is swapped whole; whoever reads it reads one moment.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from gateway.routing.lists import OverlaidTable, PackedTable
from gateway.routing.spec import RouteSpec
from gateway.state.raw import RouteState


@dataclass(frozen=True, slots=True)
class MemberList:
    """The ids of one whitelist, blacklist or segment.

    Small lists are exact sets. Large ones are a packed table of hashes, shared by all processes,
    and the few ids that were added or removed since it was packed.
    """

    name: str  # "route/chat/whitelist/v2", "route/chat/blacklist", "segment/beta"
    base: frozenset[bytes] | PackedTable
    generation: int  # another number = another base
    added: frozenset[bytes] = frozenset()
    removed: frozenset[bytes] = frozenset()

    @property
    def container(self) -> Container[bytes]:
        """What the decision asks."""
        if self.added or self.removed:
            return OverlaidTable(self.base, self.added, self.removed)
        return self.base

    def __len__(self) -> int:
        return len(self.base) + len(self.added) - len(self.removed)


@dataclass(frozen=True, slots=True)
class HeldRoute:
    """A valid route and where in the route's history it stands."""

    spec: RouteSpec
    state: RouteState  # the small keys as they were typed, to put them back
    revision: int = 0  # id of the newest history entry; 0 = no history yet
    changed_at_ms: int = 0  # when that entry was written, by the store's clock
    fingerprint: str = ""  # of the route's small keys, as the write script computes it


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something in the store that was not taken over, or taken over with a doubt."""

    route: str  # "" when it belongs to no route
    key: str
    reason: str  # a class out of a fixed few, fit for a metric label
    text: str  # one sentence that says what is wrong and what to do
    field: str = ""  # what of the route it is about: path, versions.v2, weights.v2, rules[0]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All routes in force, and everything that was refused."""

    sequence: int = 0
    routes: Mapping[str, HeldRoute] = field(default_factory=lambda: MappingProxyType({}))
    lists: Mapping[str, MemberList] = field(default_factory=lambda: MappingProxyType({}))
    refused: tuple[Refusal, ...] = ()
    warnings: tuple[Refusal, ...] = ()
    # For the disk: at which revision the lists of a route stand, where the route is further on.
    behind: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

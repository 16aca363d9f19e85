"""Routes made fast, and the table that a worker routes by.

Both are immutable: a change makes a new table, which shares everything that did not change.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import msgspec

from gateway.routing.bucket import allocate, natural_key
from gateway.routing.facts import RequestFacts
from gateway.routing.jwt import JwtVerifier
from gateway.routing.lists import blacklist_name, whitelist_name
from gateway.routing.match import Matcher
from gateway.routing.override import HEADER as OVERRIDE_HEADER
from gateway.routing.rules import Lists, Rule, compile_rule, headers_of, reads
from gateway.routing.spec import RouteSpec
from gateway.routing.unit import compile_sources, header_of


@dataclass(frozen=True, slots=True)
class Identity:
    """What this gateway believes about callers, the same for all routes."""

    jwt: JwtVerifier | None = None
    override_key: bytes = b""  # empty = the override header is ignored


class Route:
    """A compiled route: what `decide` reads, ready to be read."""

    __slots__ = (
        "_identity",
        "_lists",
        "blacklist",
        "header_names",
        "intervals",
        "name",
        "override_key",
        "rules",
        "salt",
        "sources",
        "spec",
        "stable",
        "wants_body",
        "wants_body_user",
        "wants_model",
        "whitelists",
    )

    def __init__(self, spec: RouteSpec, lists: Lists, identity: Identity) -> None:
        self._identity = identity
        self._lists = lists
        self.spec = spec
        self.name = spec.name
        self.stable = spec.stable
        self.salt = spec.salt.encode()
        self.override_key = identity.override_key
        self.sources = compile_sources(spec.unit, spec.jwt, identity.jwt)
        self.blacklist: Container[bytes] = lists.get(blacklist_name(spec.name), frozenset())
        whitelists = ((v, whitelist_name(spec.name, v)) for v in spec.versions)
        self.whitelists: tuple[tuple[str, Container[bytes]], ...] = tuple(
            (version, lists[name])
            for version, name in sorted(whitelists, key=lambda pair: natural_key(pair[0]))
            if name in lists
        )
        self.rules = tuple(_rule(spec, index, lists) for index in range(len(spec.rules)))
        # A paused route keeps its weights but gives them no places.
        self.intervals = allocate(spec.candidates, {} if spec.paused else spec.weights)
        # What the proxy must read of a body before it can decide.
        self.wants_model = any(reads(rule.when, "model") for rule in spec.rules)
        self.wants_body_user = "body:user" in spec.unit
        rewrites = any(version.rewrite_model for version in spec.versions.values())
        self.wants_body = self.wants_model or self.wants_body_user or rewrites
        self.header_names = _header_names(spec, identity)

    def with_weights(self, weights: Mapping[str, float]) -> Route:
        """The same route at other weights; raises ValueError when they cannot be had."""
        spec = msgspec.structs.replace(self.spec, weights=dict(weights))
        return Route(spec, self._lists, self._identity)

    def __repr__(self) -> str:
        return f"<Route {self.name}: stable {self.stable}, {self.intervals!r}>"


def _header_names(spec: RouteSpec, identity: Identity) -> frozenset[bytes]:
    """The request headers that `decide` may look at, in lower case."""
    names = {name for source in spec.unit if (name := header_of(source))}
    names.update(name for rule in spec.rules for name in headers_of(rule.when))
    if identity.override_key:
        names.add(OVERRIDE_HEADER.decode())
    return frozenset(name.lower().encode() for name in names)


def _rule(spec: RouteSpec, index: int, lists: Lists) -> Rule:
    rule = spec.rules[index]
    weights = {} if spec.paused and rule.weights is not None else rule.weights
    rule = msgspec.structs.replace(rule, name=rule.name or f"rule {index}", weights=weights)
    return compile_rule(rule, spec.versions, lists, stable=spec.stable)


def compile_route(spec: RouteSpec, lists: Lists, identity: Identity) -> Route:
    """A route ready to decide; raises ValueError when `spec` has not passed its checks.

    `lists` is keyed by `whitelist_name`, `blacklist_name` and `segment_name`; a list that is not in
    it is empty.
    """
    return Route(spec, lists, identity)


class Table:
    """All routes at one moment."""

    __slots__ = ("_matcher", "header_names", "routes", "sequence")

    def __init__(
        self, routes: Iterable[Route] = (), sequence: int = 0, matcher: Matcher | None = None
    ) -> None:
        """`matcher` may be that of another table whose routes match the same requests."""
        self.routes: Mapping[str, Route] = MappingProxyType({r.name: r for r in routes})
        self.sequence = sequence
        self._matcher = matcher or Matcher(route.spec for route in self.routes.values())
        # Most routes look at the same few, so the union is over the different sets only.
        different = {route.header_names for route in self.routes.values()}
        self.header_names: frozenset[bytes] = frozenset().union(*different)

    def match(self, facts: RequestFacts) -> Route | None:
        name = self._matcher.match(facts)
        return None if name is None else self.routes[name]

    @property
    def has_models(self) -> bool:
        """Whether `wants_model` could be true for any request at all."""
        return self._matcher.has_models

    def wants_model(self, facts: RequestFacts) -> bool:
        """Whether the model in the body must be known before `match`."""
        return self._matcher.wants_model(facts)

    def route(self, name: str) -> Route | None:
        return self.routes.get(name)

    def with_changes(
        self, changed: Iterable[Route], sequence: int, removed: Collection[str] = ()
    ) -> Table:
        """A table with these routes put in or replaced, and those taken out."""
        routes = {name: route for name, route in self.routes.items() if name not in removed}
        routes.update((route.name, route) for route in changed)
        # Changes of weights and lists are by far the most frequent; they leave the matcher alone.
        same = self._what_matches(self.routes) == self._what_matches(routes)
        table = Table(routes.values(), sequence, self._matcher if same else None)
        if table.header_names == self.header_names:
            table.header_names = self.header_names  # the same object: nothing to do for readers
        return table

    @staticmethod
    def _what_matches(routes: Mapping[str, Route]) -> dict[str, object]:
        specs = {name: route.spec for name, route in routes.items()}
        return {name: (s.hosts, s.paths, s.models, s.methods) for name, s in specs.items()}

    def __repr__(self) -> str:
        return f"<Table {self.sequence} of {len(self.routes)} routes>"

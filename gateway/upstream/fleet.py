"""All endpoints of all routes, as one worker sees them."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter

from gateway.config.endpoints import endpoint_rule
from gateway.config.settings import Settings
from gateway.metrics.numbers import Numbers
from gateway.routing.spec import RouteSpec
from gateway.routing.table import Route, Table
from gateway.upstream.checks import Checks
from gateway.upstream.connection import UpstreamConnection
from gateway.upstream.dial import Dialer
from gateway.upstream.endpoint import Endpoint
from gateway.upstream.group import Group
from gateway.upstream.resolve import Lookup, Resolver

# What of a route says something about its endpoints; mostly it is only weights that change.
_of_concern = attrgetter(
    *("versions", "stable", "failover", "balance", "max_requests", "max_pending"),
    *("max_connections", "health_path", "health_interval"),
)


class Fleet:
    """The groups of the table followed last.

    What stays in the table keeps its state: a version its requests under way, an endpoint its
    connections and health. What leaves it finishes what it has, and keeps no idle connection.
    """

    def __init__(
        self,
        settings: Settings,
        make: Callable[[], UpstreamConnection],
        *,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
        lookup: Lookup | None = None,
    ) -> None:
        """`make` gives a connection's protocol; `lookup` asks for names other than the system."""
        self.numbers: dict[tuple[str, str], Numbers] = {}  # of all versions there ever were
        self._keepalive_seconds = settings.upstream.keepalive_seconds
        self._make = make
        self._clock = clock
        self._draw = draw
        self._resolver = Resolver(draw, lookup)
        rule = endpoint_rule(settings)
        self._dialer = Dialer(settings.upstream, self._resolver, clock, rule)
        self._checks = Checks(self._dialer, clock, draw)
        self._routes: Mapping[str, Route] = {}
        self._groups: dict[tuple[str, str], Group] = {}
        self._versions: dict[str, tuple[str, ...]] = {}  # route -> those that have a group
        self._leaving: set[Endpoint] = set()  # retired, with connections that carry something

    def __repr__(self) -> str:
        size = f"{len(self._groups)} groups for {len(self._routes)} routes"
        return f"<Fleet of {size}, {len(self._leaving)} endpoints leaving>"

    def start(self) -> None:
        """Active checks begin; needs a running loop."""
        self._checks.start()

    async def close(self) -> None:
        """Ends everything; called when no request is under way, or none is to be waited for."""
        await self._checks.close()
        await self._resolver.close()
        for group in self._groups.values():
            for endpoint in group.endpoints:
                endpoint.abort()
        for endpoint in self._leaving:
            endpoint.abort()
        self._leaving.clear()

    def group(self, route: str, version: str) -> Group:
        """KeyError for what is not in the table followed last."""
        return self._groups[route, version]

    def endpoints(self, now: float) -> Iterator[tuple[str, str, str, bool]]:
        """Route, version, URL, and whether it is up."""
        for (route, version), group in self._groups.items():
            for endpoint in group.endpoints:
                yield route, version, endpoint.url, endpoint.health.is_up(now)

    def sweep(self, now: float) -> None:
        """To be called about every second: ends idle connections whose time is over."""
        for group in self._groups.values():
            group.numbers.is_panicking = group.is_panic(now)
            for endpoint in group.endpoints:
                endpoint.sweep(now)
        for endpoint in tuple(self._leaving):
            endpoint.sweep(now)
            if not endpoint.connections and not endpoint.active:
                self._leaving.discard(endpoint)
        self._resolver.sweep(now)

    # Following the table

    def follow(self, table: Table) -> None:
        """Takes over a new table; costs next to nothing for routes that are the same objects."""
        routes = table.routes
        known = self._routes
        for name, route in routes.items():
            if known.get(name) is not route:
                self._update(route.spec)
        for name in known.keys() - routes.keys():
            self._remove(name, self._versions.pop(name))
        self._routes = routes

    def _update(self, spec: RouteSpec) -> None:
        before = self._routes.get(spec.name)
        if before is not None and _of_concern(before.spec) == _of_concern(spec):
            return
        versions = tuple(spec.versions)
        gone = set(self._versions.get(spec.name, ())) - set(versions)
        self._remove(spec.name, gone)
        self._versions[spec.name] = versions
        for version in versions:
            self._configure(spec, version)

    def _configure(self, spec: RouteSpec, version: str) -> None:
        key = (spec.name, version)
        group = self._groups.get(key)
        if group is None:
            numbers = self.numbers.setdefault(key, Numbers())
            group = self._groups[key] = Group(*key, numbers, self._clock, self._draw)
        known = {endpoint.url: endpoint for endpoint in group.endpoints}
        endpoints: list[Endpoint] = []
        for url in dict.fromkeys(spec.versions[version].urls):
            endpoint = known.pop(url, None) or self._endpoint(spec, version, url)
            endpoint.max_connections = spec.max_connections
            endpoints.append(endpoint)
            self._checks.watch(endpoint, spec.health_path, spec.health_interval)
        group.configure(spec, endpoints)
        for endpoint in known.values():
            self._retire(endpoint)

    def _endpoint(self, spec: RouteSpec, version: str, url: str) -> Endpoint:
        return Endpoint(
            url,
            f"route {spec.name}, version {version}",
            self._dialer,
            self._make,
            keepalive_seconds=self._keepalive_seconds,
            max_connections=spec.max_connections,
        )

    def _remove(self, route: str, versions: set[str] | tuple[str, ...]) -> None:
        for version in versions:
            group = self._groups.pop((route, version))
            group.numbers.is_panicking = False
            for endpoint in group.endpoints:
                self._retire(endpoint)

    def _retire(self, endpoint: Endpoint) -> None:
        self._checks.forget(endpoint)
        endpoint.retire()
        self._leaving.add(endpoint)

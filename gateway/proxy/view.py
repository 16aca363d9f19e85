"""What the proxy needs to know of each route, worked out when the table changes."""

from __future__ import annotations

import math
import sys
from typing import Final

from gateway.config.settings import Settings
from gateway.http1.request import RequestHead
from gateway.metrics.recorder import StrataRecorder, Tally
from gateway.proxy.mirroring import mirroring_of
from gateway.routing.bucket import threshold
from gateway.routing.decision import Reason
from gateway.routing.facts import canonical_path
from gateway.routing.table import Route, Table
from gateway.upstream.fleet import Fleet
from gateway.upstream.group import Group

_LONGEST_REMEMBERED: Final = 256
_MOST_REMEMBERED: Final = 4096

# Nobody can be kept from sending these by a route that reads its unit from them.
_NEVER_IDENTITY: Final = frozenset({b"host", b"content-length", b"authorization", b"cookie"})

# A fair sample of a route's units: who got a version by the route's own weights.
_DRAWN: Final = (Reason.WEIGHT, Reason.STABLE)
# By less than this the judge does not take the odds to be on a candidate for quite others.
_FAR: Final = 1.3


class Outcome:
    """What a request comes to: a version, and why; made once for all requests."""

    __slots__ = ("answer_lines", "key", "reason", "request_line", "tally", "version")

    def __init__(
        self,
        route: str,
        version: str,
        reason: Reason,
        settings: Settings,
        tally: Tally | None = None,
    ) -> None:
        self.version = version
        self.reason = reason
        self.tally = tally  # None = nobody compares what becomes of it
        self.key = (route, version, reason.value)  # what decisions are counted by
        self.request_line = b"X-Graygate-Version: " + version.encode()
        lines = []  # what the client is told; each can be turned off
        if settings.answers.version_header:
            lines.append(self.request_line)
        if settings.answers.reason_header:
            lines.append(b"X-Graygate-Reason: " + reason.value.encode())
        self.answer_lines = tuple(lines)

    def __repr__(self) -> str:
        return f"<Outcome {self.version}, {self.reason}>"


class RouteView:
    """One route as requests meet it."""

    __slots__ = (
        "body_limit",
        "connect_seconds",
        "dialect",
        "first_byte_seconds",
        "groups",
        "identity_names",
        "idle_seconds",
        "mirror",
        "name",
        "outcomes",
        "queue_seconds",
        "rated_places",
        "retries",
        "rewrites",
        "route",
        "stable",
        "total_seconds",
        "wants_body",
    )

    def __init__(
        self, route: Route, fleet: Fleet, settings: Settings, recorder: StrataRecorder
    ) -> None:
        spec, times = route.spec, settings.upstream
        given = spec.timeouts
        self.route = route
        self.name = route.name
        self.stable = route.stable
        self.dialect = spec.dialect
        self.retries = spec.retries
        self.mirror = mirroring_of(spec, route.salt)  # None = nothing is copied
        self.rated_places = threshold(spec.feedback)  # 0 = no answer can be rated
        self.wants_body = route.wants_body
        rewrites = {v: one.rewrite_model for v, one in spec.versions.items() if one.rewrite_model}
        self.rewrites = rewrites or None  # version -> the model's name that it is asked for
        self.body_limit = spec.body_limit or settings.limits.body_bytes
        self.connect_seconds = given.get("connect", times.connect_seconds)
        self.first_byte_seconds = given.get("first_byte", times.first_byte_seconds)
        self.idle_seconds = given.get("idle", times.idle_seconds)
        self.total_seconds = given.get("total", times.total_seconds)  # 0 = none
        self.queue_seconds = given.get("queue", times.queue_seconds)
        self.groups: dict[str, Group] = {v: fleet.group(route.name, v) for v in spec.versions}
        named = (source.partition(":") for source in spec.unit)
        self.identity_names = (
            frozenset(name.lower().encode() for kind, _, name in named if kind == "header")
            - _NEVER_IDENTITY
        )
        endpoints = {version: group.endpoints for version, group in self.groups.items()}
        tallies = recorder.follow(route.name, endpoints, stage_of(route), deal_of(route))
        self.outcomes = {
            (version, reason): Outcome(
                route.name,
                version,
                reason,
                settings,
                tallies.get(version) if reason in _DRAWN else None,
            )
            for version in spec.versions
            for reason in Reason
        }

    def __repr__(self) -> str:
        return f"<RouteView {self.name} of {len(self.groups)} versions>"


# What matching looks at, and what it found: host, the line that tells the model of it, canonical
# path (None = it must be refused), and the route (None = it is to be found yet).
Place = tuple[bytes, bytes, bytes | None, RouteView | None]


class View:
    """The table and all that belongs to it; swapped whole, and a request keeps the one it read."""

    __slots__ = ("known", "routes", "table")

    def __init__(self, table: Table, routes: dict[str, RouteView]) -> None:
        self.table = table
        self.routes = routes
        # By method, host and path as they came, of what was asked lately.
        self.known: dict[tuple[str, bytes, bytes], Place] = {}

    def look_up(self, head: RequestHead) -> Place:
        """For what is not in `known`."""
        name = head.host.lower()
        if name.rpartition(b":")[2].isdigit() or name.endswith(b":"):
            name = name.rpartition(b":")[0]
        place = name, b"X-Forwarded-Host: " + head.host, canonical_path(head.path), None
        if self.table.has_models:
            self._remember(head, place)  # the body has a say in which route it is
        return place

    def remember(self, head: RequestHead, place: Place) -> None:
        """Most clients ask for a few paths again and again."""
        if not self.table.has_models:
            self._remember(head, place)

    def _remember(self, head: RequestHead, place: Place) -> None:
        if len(head.path) <= _LONGEST_REMEMBERED:  # else it would cost more than it saves
            if len(self.known) >= _MOST_REMEMBERED:
                self.known.clear()
            self.known[head.method, head.host, head.path] = place


def stage_of(route: Route) -> tuple[bytes, tuple[tuple[str, int], ...]]:
    """Another one when users are dealt anew, or a candidate's share becomes quite another one.

    Whenever the odds to be on a candidate change by `_FAR`; a little change may be another one too.
    """
    drawn = () if route.spec.paused else route.spec.candidates
    shares = [(version, route.spec.weights.get(version, 0.0) / 100) for version in drawn]
    return route.salt, tuple((version, _rung(share)) for version, share in shares if share > 0)


def _rung(share: float) -> int:
    return math.floor(math.log(share / (1 - share)) / math.log(_FAR)) if share < 1 else sys.maxsize


def deal_of(route: Route) -> tuple[tuple[str, float], ...]:
    """Another one when some users change their version."""
    return tuple(sorted(route.spec.weights.items()))


def follow(
    view: View | None,
    table: Table,
    fleet: Fleet,
    settings: Settings,
    recorder: StrataRecorder,
) -> View:
    """The view of a new table; routes that did not change are taken over as they are."""
    fleet.follow(table)
    before = {} if view is None else view.routes
    routes: dict[str, RouteView] = {}
    for name, route in table.routes.items():
        known = before.get(name)
        is_same = known is not None and known.route is route
        routes[name] = known if known and is_same else RouteView(route, fleet, settings, recorder)
    recorder.keep_only(routes)
    return View(table, routes)

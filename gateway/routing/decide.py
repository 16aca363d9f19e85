"""The decision: which version serves this request, and why.

The first that hits decides: override > blacklist > whitelist > rule > weight > stable. Time and die
are arguments. The reasons `pinned` and `failover` belong to the proxy, which remembers and retries.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.routing.bucket import CIRCLE, bucket
from gateway.routing.decision import Decision, Reason
from gateway.routing.facts import RequestFacts
from gateway.routing.override import HEADER, verify_override
from gateway.routing.table import Route
from gateway.routing.unit import find_unit

# Told of each step: what was looked at, whether it hit, and which version or rule it was about.
Trace = Callable[[Reason, bool, str], None]


def decide(
    route: Route,
    facts: RequestFacts,
    *,
    now: float,
    draw: Callable[[], float],
    trace: Trace | None = None,
) -> Decision:
    """Decide one request; `draw` gives a number from 0 up to, not including, 1."""
    unit, source = find_unit(route.sources, facts, now)
    if route.override_key:
        version = _overridden(route, facts, now)
        if trace is not None:
            trace(Reason.OVERRIDE, version is not None, version or "")
        if version is not None:
            return Decision(route.name, version, Reason.OVERRIDE, unit, source)
    return decide_unit(route, facts, unit, source, draw, trace)


def decide_unit(
    route: Route,
    facts: RequestFacts,
    unit: bytes | None,
    source: str,
    draw: Callable[[], float],
    trace: Trace | None = None,
) -> Decision:
    """The part of `decide` that comes after the unit is known."""
    if unit is not None:
        listed = _listed(route, unit, source, trace)
        if listed is not None:
            return listed
    for rule in route.rules:
        is_hit = rule.holds(facts, unit)
        if trace is not None:
            trace(Reason.RULE, is_hit, rule.name)
        if is_hit:
            if rule.version is not None:
                return Decision(route.name, rule.version, Reason.RULE, unit, source, rule.name)
            place = _place(route, unit, draw)
            version = rule.intervals.find(place) or route.stable
            return Decision(route.name, version, Reason.RULE, unit, source, rule.name, place)
    place = _place(route, unit, draw)
    owner = route.intervals.find(place)
    if trace is not None:
        trace(Reason.WEIGHT, owner is not None, owner or "")
    if owner is not None:
        return Decision(route.name, owner, Reason.WEIGHT, unit, source, None, place)
    return Decision(route.name, route.stable, Reason.STABLE, unit, source, None, place)


def _overridden(route: Route, facts: RequestFacts, now: float) -> str | None:
    value = facts.headers.get(HEADER)
    if value is None:
        return None
    version = verify_override(route.override_key, route.name, value, now)
    return version if version in route.spec.versions else None


def _listed(route: Route, unit: bytes, source: str, trace: Trace | None) -> Decision | None:
    is_hit = unit in route.blacklist
    if trace is not None:
        trace(Reason.BLACKLIST, is_hit, route.stable)
    if is_hit:
        return Decision(route.name, route.stable, Reason.BLACKLIST, unit, source)
    for version, members in route.whitelists:
        is_hit = unit in members
        if trace is not None:
            trace(Reason.WHITELIST, is_hit, version)
        if is_hit:
            return Decision(route.name, version, Reason.WHITELIST, unit, source)
    return None


def _place(route: Route, unit: bytes | None, draw: Callable[[], float]) -> int:
    return int(draw() * CIRCLE) if unit is None else bucket(route.salt, unit)

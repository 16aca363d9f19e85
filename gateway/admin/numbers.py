"""Live numbers: every version over the last seconds, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from aiohttp import web

from gateway.admin.calls import answer, held_route, number
from gateway.admin.context import CONTEXT
from gateway.admin.roles import PRINCIPAL
from gateway.metrics.window import MOST_SECONDS, Lately, Window
from gateway.routing.spec import RouteSpec

USUAL_SECONDS = 10

WINDOW = web.AppKey("window", Window)


async def index(request: web.Request) -> web.Response:
    """All routes that the caller may see, or `?route`, over the last `?seconds`."""
    seconds = number(request, "seconds", USUAL_SECONDS, int(MOST_SECONDS))
    routes = request.app[CONTEXT].store.snapshot.routes
    names = sorted(filter(request[PRINCIPAL].may_see, routes))
    span, lately = request.app[WINDOW].last(seconds)
    return answer(
        {
            "seconds": round(span, 3),
            "routes": {name: _route(routes[name].spec, span, lately) for name in names},
        }
    )


async def show(request: web.Request) -> web.Response:
    """The same of one route."""
    spec = held_route(request).spec
    seconds = number(request, "seconds", USUAL_SECONDS, int(MOST_SECONDS))
    span, lately = request.app[WINDOW].last(seconds)
    return answer({"seconds": round(span, 3), "routes": {spec.name: _route(spec, span, lately)}})


def _route(
    spec: RouteSpec, span: float, lately: Mapping[tuple[str, str], Lately]
) -> dict[str, object]:
    versions = {name: lately.get((spec.name, name), Lately()) for name in spec.versions}
    decided = sum(one.decided for one in versions.values())
    weighed = sum(one.weighed for one in versions.values())
    return {
        "stable": spec.stable,
        "paused": spec.paused,
        "versions": {
            name: {
                "requests_per_second": _ratio(one.requests, span),
                "share_wanted": wanted_share(spec, name),
                "share_by_weight": _ratio(one.weighed, weighed),
                "share": _ratio(one.decided, decided),
                "requests": one.requests,
                "failures": one.failures,
                # After a failover the answer counts for stable, the failure still for this one.
                "error_ratio": _ratio(one.failures, max(one.requests, one.failures)),
                "in_flight": one.in_flight,
                "duration_seconds": _rounded(asdict(one.duration)),
                "first_byte_seconds": _rounded(asdict(one.first_byte)),
            }
            for name, one in versions.items()
        },
    }


def wanted_share(spec: RouteSpec, version: str) -> float:
    """Share of units, 0 to 1, that the weights give to this version."""
    candidates = 0.0 if spec.paused else sum(spec.weights.get(v, 0.0) for v in spec.candidates)
    if version == spec.stable:
        return round(max(100.0 - candidates, 0.0) / 100, 8)
    return 0.0 if spec.paused else round(spec.weights.get(version, 0.0) / 100, 8)


def _ratio(part: float, whole: float) -> float | None:
    """None where there is nothing to compare with: no data is not 0."""
    return round(part / whole, 6) if whole else None


def _rounded(values: Mapping[str, float | None]) -> dict[str, float | None]:
    return {name: None if value is None else round(value, 6) for name, value in values.items()}

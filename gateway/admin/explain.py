"""Why a unit goes where it goes, and who would move at other weights."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import msgspec
from aiohttp import web

from gateway.admin.calls import answer, body_as, held_route
from gateway.admin.context import CONTEXT
from gateway.admin.routes import refuse_wrong_rest
from gateway.errors import RefusedError, UsageError
from gateway.routing.explain import Explanation, explain, explain_unit, preview
from gateway.routing.facts import RequestFacts, canonical_path
from gateway.routing.table import Route, compile_route

MAX_SAMPLE = 100_000


class Proposal(msgspec.Struct, forbid_unknown_fields=True):
    """Weights to try, on these units or on so many made-up ones."""

    weights: dict[str, float]
    units: list[str] | None = None
    sample: int = 10_000


def _compiled(request: web.Request) -> Route:
    context = request.app[CONTEXT]
    snapshot = context.store.snapshot
    spec = held_route(request).spec
    lists = {name: members.container for name, members in snapshot.lists.items()}
    return compile_route(spec, lists, context.identity)


async def explain_unit_or_request(request: web.Request) -> web.Response:
    """`?unit=alice`, or a request described by method, host, path, query, ip and header.NAME."""
    route = _compiled(request)
    unit = request.query.get("unit")
    if unit is not None:
        if not unit:
            raise UsageError("unit is empty, and an empty id is never a unit.")
        explanation = explain_unit(route, _bytes(unit))
    else:
        explanation = explain(route, _facts(request), time.time())
    return answer(_describe(explanation))


async def preview_weights(request: web.Request) -> web.Response:
    """How many units would move, and from where to where; nothing is written."""
    proposal = await body_as(request, Proposal)
    if proposal.units is not None:
        units = [unit.encode() for unit in proposal.units]
    elif 1 <= proposal.sample <= MAX_SAMPLE:
        units = [b"unit-%d" % number for number in range(proposal.sample)]
    else:
        raise UsageError(f"sample takes a number from 1 to {MAX_SAMPLE}.")
    if len(units) > MAX_SAMPLE:
        raise UsageError(f"At most {MAX_SAMPLE} units can be looked at in one call.")
    route = _compiled(request)
    weights = {**route.spec.weights, **proposal.weights}
    refuse_wrong_rest(route.stable, proposal.weights, weights)
    weights.pop(route.stable, None)
    unknown = sorted(set(weights) - set(route.spec.versions))
    if unknown:
        raise RefusedError(f"{unknown[0][:64]!a} is no version of route {route.name}.")
    try:
        seen = await asyncio.to_thread(preview, route, weights, units)
    except ValueError as error:
        raise RefusedError(str(error)) from None
    moves = [{"from": old, "to": new, "units": count} for (old, new), count in seen.moved.items()]
    return answer({"units": seen.units, "moves": moves, "before": seen.before, "after": seen.after})


def _facts(request: web.Request) -> RequestFacts:
    query = request.query
    path = canonical_path(_bytes(query.get("path", "/")))
    if path is None:
        raise UsageError("path must begin with / and hold neither blanks nor '?' nor '#'.")
    named = [
        (_bytes(name.removeprefix("header.").lower()), _bytes(value))
        for name, value in query.items()
        if name.startswith("header.")
    ]
    # As in the proxy: of a header that came twice nobody can tell which one counts.
    counts = Counter(name for name, _ in named)
    return RequestFacts(
        query.get("method", "GET").upper(),
        _bytes(query.get("host", "").lower()),
        path,
        _bytes(query.get("query", "")),
        {name: value for name, value in named if counts[name] == 1},
        query.get("ip", ""),
        True,
        query.get("model"),
    )


def _bytes(text: str) -> bytes:
    return text.encode(errors="replace")


def _describe(explanation: Explanation) -> dict[str, object]:
    decision = explanation.decision
    return {
        "route": decision.route,
        "version": decision.version,
        "reason": decision.reason,
        "unit": decision.unit.decode(errors="replace") if decision.unit is not None else None,
        "source": decision.source,
        "rule": decision.rule,
        "percent": explanation.percent,
        "intervals": explanation.intervals,
        "steps": [
            {"reason": step.reason, "hit": step.is_hit, "text": step.text}
            for step in explanation.steps
        ],
    }

"""Routes: look at them, move their weights, go back to a revision, delete them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from gateway.admin.calls import (
    answer,
    author,
    body_as,
    expected_revision,
    held_route,
    must_exist,
    route_name,
)
from gateway.admin.context import CONTEXT
from gateway.admin.roles import PRINCIPAL
from gateway.errors import RefusedError
from gateway.routing.spec import RouteSpec, VersionSpec
from gateway.state.fields import FIELDS, TIMEOUTS
from gateway.state.raw import RouteState
from gateway.state.snapshot import HeldRoute, Snapshot
from gateway.state.write import Change, Written


class Reason(msgspec.Struct, forbid_unknown_fields=True):
    """A body that only says why."""

    why: str = ""


class Weights(msgspec.Struct, forbid_unknown_fields=True):
    """Percent by candidate; candidates that are not named keep theirs."""

    weights: dict[str, float]
    why: str = ""


class Revert(msgspec.Struct, forbid_unknown_fields=True):
    """The revision to go back to."""

    revision: Annotated[int, Meta(ge=1, le=2**53)]
    why: str = ""


_TOLD_APART = ("host", "path", "model", "methods", "unit", "paused")


def describe(held: HeldRoute, snapshot: Snapshot) -> dict[str, object]:
    spec = held.spec
    prefix = f"route/{spec.name}/"
    return {
        "revision": held.revision,
        "changed_at_ms": held.changed_at_ms,
        "stable": spec.stable,
        "versions": {name: describe_version(one) for name, one in spec.versions.items()},
        "retired": {name: describe_version(one) for name, one in spec.retired.items()},
        "weights": spec.weights,
        "paused": spec.paused,
        "salt": spec.salt,
        "unit": spec.unit,
        "match": {
            "hosts": spec.hosts,
            "paths": spec.paths,
            "models": spec.models,
            "methods": spec.methods,
        },
        "options": _options(spec),
        "rules": [msgspec.to_builtins(rule) for rule in spec.rules],
        "lists": {
            name.removeprefix(prefix): len(members)
            for name, members in snapshot.lists.items()
            if name.startswith(prefix)
        },
    }


def describe_version(version: VersionSpec) -> dict[str, object]:
    return {
        "urls": version.urls,
        "rewrite_model": version.rewrite_model,
        "meta": version.meta,
    }


def _options(spec: RouteSpec) -> dict[str, object]:
    """How requests are carried, by the names of the fields in the store."""
    fields = {field: target for field, (target, _) in FIELDS.items() if field not in _TOLD_APART}
    told = {field: getattr(spec, target) for field, target in fields.items()}
    return {**told, **{f"timeout_{name}": spec.timeouts.get(name) for name in TIMEOUTS}}


async def index(request: web.Request) -> web.Response:
    snapshot = request.app[CONTEXT].store.snapshot
    principal = request[PRINCIPAL]
    return answer(
        {
            name: describe(held, snapshot)
            for name, held in snapshot.routes.items()
            if principal.may_see(name)
        }
    )


async def show(request: web.Request) -> web.Response:
    held = held_route(request)
    return answer(describe(held, request.app[CONTEXT].store.snapshot), held.revision)


async def set_weights(request: web.Request) -> web.Response:
    wanted = await body_as(request, Weights)

    def edit(state: RouteState) -> RouteState:
        must_exist(state, request)
        return msgspec.structs.replace(state, weights=_merged(state, wanted.weights))

    return await write(request, Change(edit), wanted.why)


async def revert(request: web.Request) -> web.Response:
    wanted = await body_as(request, Revert)
    written = await request.app[CONTEXT].store.writer.revert(
        route_name(request),
        wanted.revision,
        author(request, wanted.why or f"back to revision {wanted.revision}"),
        expected_revision(request),
    )
    return written_answer(written)


async def delete(request: web.Request) -> web.Response:
    why = request.query.get("why", "")
    written = await request.app[CONTEXT].store.writer.delete(
        route_name(request), author(request, why), expected_revision(request)
    )
    return written_answer(written)


async def write(request: web.Request, change: Change, why: str) -> web.Response:
    """Writes the route in the path, at the revision that the caller expects, if any."""
    change = replace(change, expected_revision=expected_revision(request))
    written = await request.app[CONTEXT].store.writer.change(
        route_name(request), change, author(request, why)
    )
    return written_answer(written)


def written_answer(written: Written) -> web.Response:
    return answer({"revision": written.revision, "changed": written.changed}, written.revision)


def refuse_wrong_rest(
    stable: str, named: Mapping[str, float], weights: Mapping[str, float]
) -> None:
    """Stable takes the rest, so whoever names it must mean just that."""
    rest = 100 - sum(weight for name, weight in weights.items() if name != stable)
    if stable in named and rest >= 0 and abs(named[stable] - rest) > 1e-6:
        raise RefusedError(
            f"{stable} is stable and takes the rest, which is {rest:g}, not {named[stable]:g}; "
            "leave it out and name candidates only."
        )


def _merged(state: RouteState, new: Mapping[str, float]) -> dict[str, str]:
    """The weights to write. Stable's own entry goes: it would be wrong after the next change."""
    stable = state.route.get("stable", "").strip(" \t\r\n")
    merged = {**state.weights, **{name: _percent(weight) for name, weight in new.items()}}
    numbers = {
        name: number for name, text in merged.items() if (number := _number(text)) is not None
    }
    refuse_wrong_rest(stable, new, numbers)
    return {name: text for name, text in merged.items() if name != stable}


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _percent(weight: float) -> str:
    """As an operator would type it; what is no percent is left to the contract to refuse."""
    return f"{weight:.6f}".rstrip("0").rstrip(".") if weight == weight else str(weight)

"""Routes: look at them, move their weights, go back to a revision, delete them."""

from __future__ import annotations

from dataclasses import replace

import msgspec
from aiohttp import web

from gateway.admin.calls import answer, author, body_as, expected_revision, held_route
from gateway.admin.context import CONTEXT
from gateway.errors import NotFoundError
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

    revision: int
    why: str = ""


def describe(held: HeldRoute, snapshot: Snapshot) -> dict[str, object]:
    spec = held.spec
    prefix = f"route/{spec.name}/"
    return {
        "revision": held.revision,
        "changed_at_ms": held.changed_at_ms,
        "stable": spec.stable,
        "versions": {
            name: {"urls": version.urls, "meta": version.meta}
            for name, version in spec.versions.items()
        },
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
        "rules": [msgspec.to_builtins(rule) for rule in spec.rules],
        "lists": {
            name.removeprefix(prefix): len(members)
            for name, members in snapshot.lists.items()
            if name.startswith(prefix)
        },
    }


async def index(request: web.Request) -> web.Response:
    snapshot = request.app[CONTEXT].store.snapshot
    return answer({name: describe(held, snapshot) for name, held in snapshot.routes.items()})


async def show(request: web.Request) -> web.Response:
    held = held_route(request)
    return answer(describe(held, request.app[CONTEXT].store.snapshot), held.revision)


async def set_weights(request: web.Request) -> web.Response:
    wanted = await body_as(request, Weights)
    new = {name: _percent(weight) for name, weight in wanted.weights.items()}

    def edit(state: RouteState) -> RouteState:
        _must_exist(state, request)
        return msgspec.structs.replace(state, weights={**state.weights, **new})

    return await _change(request, Change(edit), wanted.why)


async def revert(request: web.Request) -> web.Response:
    wanted = await body_as(request, Revert)
    written = await request.app[CONTEXT].store.writer.revert(
        request.match_info["route"],
        wanted.revision,
        author(request, wanted.why or f"back to revision {wanted.revision}"),
        expected_revision(request),
    )
    return _written(written)


async def delete(request: web.Request) -> web.Response:
    why = request.query.get("why", "")
    written = await request.app[CONTEXT].store.writer.delete(
        request.match_info["route"], author(request, why), expected_revision(request)
    )
    return _written(written)


async def _change(request: web.Request, change: Change, why: str) -> web.Response:
    change = replace(change, expected_revision=expected_revision(request))
    written = await request.app[CONTEXT].store.writer.change(
        request.match_info["route"], change, author(request, why)
    )
    return _written(written)


def _written(written: Written) -> web.Response:
    return answer({"revision": written.revision, "changed": written.changed}, written.revision)


def _must_exist(state: RouteState, request: web.Request) -> None:
    if state.is_empty:
        name = ascii(request.match_info["route"][:64])
        raise NotFoundError(f"There is no route {name} in the store.")


def _percent(weight: float) -> str:
    """As an operator would type it; what is no percent is left to the contract to refuse."""
    return f"{weight:.6f}".rstrip("0").rstrip(".") if weight == weight else str(weight)

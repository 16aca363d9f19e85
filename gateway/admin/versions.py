"""The registry of a route's versions: look, add, change, retire, bring back, remove."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import web

from gateway.admin.calls import answer, body_as, held_route, must_exist, route_name
from gateway.admin.context import CONTEXT
from gateway.admin.routes import Reason, describe_version, write
from gateway.errors import NotFoundError, Problem, RefusedError
from gateway.routing.lists import whitelist_name
from gateway.routing.suggest import suggest
from gateway.state import registry
from gateway.state.document import VersionDocument, merged_version
from gateway.state.raw import RouteState
from gateway.state.snapshot import HeldRoute, Snapshot
from gateway.state.versions import ACTIVE, RETIRED
from gateway.state.write import Change


class NewVersion(msgspec.Struct, forbid_unknown_fields=True):
    """A version to add: where it answers, and notes of any kind."""

    name: str
    urls: list[str]
    rewrite_model: str = ""
    meta: dict[str, Any] = {}
    why: str = ""


class VersionChange(msgspec.Struct, forbid_unknown_fields=True):
    """What shall change of a version; a note that is null goes, the others stay."""

    urls: list[str] | None = None
    rewrite_model: str | None = None
    meta: dict[str, Any] = {}
    why: str = ""


async def index(request: web.Request) -> web.Response:
    """All versions of a route in force, the retired ones too."""
    held, snapshot = held_route(request), request.app[CONTEXT].store.snapshot
    names = [*held.spec.versions, *held.spec.retired]
    return answer({name: _describe(held, name, snapshot) for name in names}, held.revision)


async def show(request: web.Request) -> web.Response:
    held, snapshot = held_route(request), request.app[CONTEXT].store.snapshot
    name = request.match_info["version"]
    names = [*held.spec.versions, *held.spec.retired]
    if name not in names:
        hint = suggest(name, names)
        raise NotFoundError(f"{name[:64]!a} is no version of this route.{hint}")
    return answer(_describe(held, name, snapshot), held.revision)


async def add(request: web.Request) -> web.Response:
    wanted = await body_as(request, NewVersion)
    _check_notes(wanted.meta)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    meta = {"created": now, **wanted.meta}
    document = VersionDocument(tuple(wanted.urls), wanted.rewrite_model, meta)

    def edit(state: RouteState) -> RouteState:
        must_exist(state, request)
        entry = registry.entry_of(merged_version(document, None))
        return registry.added(state, wanted.name, entry)

    return await write(request, Change(edit), wanted.why)


async def change(request: web.Request) -> web.Response:
    wanted = await body_as(request, VersionChange)
    _check_notes({name: note for name, note in wanted.meta.items() if note is not None})
    if wanted.urls is not None and not wanted.urls:
        raise RefusedError("A version needs at least one URL.", (Problem("urls", "is empty"),))
    urls = tuple(wanted.urls or ())
    document = VersionDocument(urls, wanted.rewrite_model, wanted.meta)

    def edit(state: RouteState, name: str) -> RouteState:
        registry.known(state, name)
        text = merged_version(document, state.versions[name])
        return msgspec.structs.replace(state, versions={**state.versions, name: text})

    return await _write_one(request, edit, wanted.why)


async def retire(request: web.Request) -> web.Response:
    """Take a version that nothing uses out of traffic; it stays in the registry."""
    reason = await body_as(request, Reason)
    return await _write_one(request, registry.retired, reason.why, must_be_unused=True)


async def restore(request: web.Request) -> web.Response:
    """Bring a retired version back; it gets traffic once it is given some."""
    reason = await body_as(request, Reason)
    return await _write_one(request, registry.restored, reason.why)


async def remove(request: web.Request) -> web.Response:
    """Remove a version that nothing uses; what it was stays in the history."""
    why = request.query.get("why", "")
    return await _write_one(request, registry.removed, why, must_be_unused=True)


async def _write_one(
    request: web.Request,
    edit: Callable[[RouteState, str], RouteState],
    why: str,
    *,
    must_be_unused: bool = False,
) -> web.Response:
    name = request.match_info["version"]

    def edited(state: RouteState) -> RouteState:
        must_exist(state, request)
        after: RouteState = edit(state, name)
        return after

    keys, require = request.app[CONTEXT].store.keys, None
    if must_be_unused:
        require = registry.must_be_unused(keys, route_name(request), name)
    return await write(request, Change(edited, require=require), why)


def _check_notes(meta: dict[str, Any]) -> None:
    wrong = registry.wrong_with_notes(meta)
    if wrong:
        problems = tuple(Problem(f"meta.{name}", what) for name, what in wrong.items())
        raise RefusedError("; ".join(map(str, problems)) + ".", problems)


def _describe(held: HeldRoute, name: str, snapshot: Snapshot) -> dict[str, object]:
    spec = held.spec
    is_retired = name in spec.retired
    version = spec.retired[name] if is_retired else spec.versions[name]
    members = snapshot.lists.get(whitelist_name(spec.name, name), ())
    used = [] if is_retired else registry.users(held.state, name)
    if members:
        used.append(registry.on_whitelist(len(members)))
    weight = spec.weights.get(name, 0.0)
    if name == spec.stable:
        weight = 100 - sum(spec.weights.values())
    return {
        **describe_version(version),
        "state": RETIRED if is_retired else ACTIVE,
        "is_stable": name == spec.stable,
        "weight": weight,
        "used_by": used,
    }

"""Routes as documents: one of them replaced or changed, or many brought to what a file says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from gateway.admin.calls import answer, author, body_as, must_exist, route_name
from gateway.admin.context import CONTEXT
from gateway.admin.roles import PRINCIPAL
from gateway.admin.routes import write
from gateway.errors import (
    ConflictError,
    ConsentError,
    ForbiddenError,
    InUseError,
    Problem,
    RefusedError,
    UsageError,
)
from gateway.state.compare import FieldChange, compare
from gateway.state.document import dropped_versions, merged, read_document, taken_away
from gateway.state.keys import NAME_RULE, is_name
from gateway.state.link import Link
from gateway.state.raw import RawRoute, RouteState
from gateway.state.reader import read_route_names
from gateway.state.registry import must_be_unused
from gateway.state.store import Store
from gateway.state.tokens import Role
from gateway.state.write import Author, Change, Edit

MAX_ROUTES = 1000  # in one call


class RouteBody(msgspec.Struct, forbid_unknown_fields=True):
    """A route as `config/routes.toml` has it."""

    route: dict[str, Any]
    why: str = ""


class ApplyBody(msgspec.Struct, forbid_unknown_fields=True):
    """Routes by name, each as `config/routes.toml` has it."""

    routes: dict[str, dict[str, Any]]
    why: str = ""


@dataclass(frozen=True, slots=True)
class Planned:
    """What shall become of one route; nothing of it is written yet."""

    name: str
    op: str  # create, change, delete, same
    raw: RawRoute
    after: RouteState
    changes: list[FieldChange]


async def put(request: web.Request) -> web.Response:
    """Create a route, or bring it to what the document says: what it leaves out goes.

    Only what moves while the gateway runs stays when it is left out: see `state.document`.
    `?new=true` takes no route that is there already.
    """
    return await _write_document(request, is_whole=True)


async def patch(request: web.Request) -> web.Response:
    """Change what the document names; `null` takes a field or a version away."""
    return await _write_document(request, is_whole=False)


async def apply(request: web.Request) -> web.Response:
    """Bring the store to what the body says: one revision for each route that differs.

    `?dry_run=true` only tells what would change; `?prune=true` also takes away what is left out.
    Everything that is wrong is told at once, and then nothing is written.
    """
    wanted = await body_as(request, ApplyBody)
    is_dry, is_pruning = _flag(request, "dry_run"), _flag(request, "prune")
    store = request.app[CONTEXT].store
    if is_pruning and not wanted.routes:
        raise RefusedError(
            "No route is named, so this would delete every route; name those to keep."
        )
    plan = await _plan(store, wanted.routes, is_pruning=is_pruning)
    goes = any(one.op == "delete" or dropped_versions(one.raw.state(), one.after) for one in plan)
    if goes and not is_dry:
        _must_approve(request)
    revisions: dict[str, int] = {}
    if not is_dry:
        revisions = await _carry_out(store, plan, author(request, wanted.why))
    told = [_describe(one, revisions.get(one.name, one.raw.revision)) for one in plan]
    changed = sum(one.op != "same" for one in plan)
    return answer({"dry_run": is_dry, "changed": changed, "routes": told})


async def _write_document(request: web.Request, *, is_whole: bool) -> web.Response:
    wanted = await body_as(request, RouteBody)
    document, problems = read_document(wanted.route)
    if problems:
        raise _refused(problems)
    keys, name = request.app[CONTEXT].store.keys, route_name(request)
    must_be_new = is_whole and _flag(request, "new")

    def edit(state: RouteState) -> RouteState:
        if not is_whole:
            must_exist(state, request)
        if must_be_new and not state.is_empty:
            raise InUseError(f"There is a route {name} already; change it: graygate route set")
        return merged(document, state, is_whole=is_whole)

    async def require(link: Link, before: RouteState, after: RouteState) -> None:
        if dropped_versions(before, after):
            _must_approve(request)
        await must_be_unused(keys, name, *taken_away(before, after))(link, after, after)

    return await write(request, Change(edit, require=require), wanted.why)


def _must_approve(request: web.Request) -> None:
    principal = request[PRINCIPAL]
    if principal.role < Role.APPROVER:
        raise ForbiddenError(
            f"Taking routes or versions away takes the role {Role.APPROVER}; "
            f"{principal.name} is {principal.role}."
        )


# Planning


async def _plan(
    store: Store, routes: Mapping[str, Mapping[str, Any]], *, is_pruning: bool
) -> list[Planned]:
    """What each route becomes; RefusedError with everything that is wrong."""
    if len(routes) > MAX_ROUTES:
        raise RefusedError(f"At most {MAX_ROUTES} routes can be applied in one call.")
    plan: list[Planned] = []
    problems: list[Problem] = []
    for name, content in routes.items():
        planned, wrong = await _plan_route(store, name, content, is_pruning=is_pruning)
        problems += [Problem(f"routes.{name[:64]}.{one.where}".rstrip("."), one.what)
                     for one in wrong]  # fmt: skip
        if planned is not None:
            plan.append(planned)
    if problems:
        raise _refused(problems)
    if is_pruning:
        plan += await _leftovers(store, routes)
    return plan


async def _plan_route(
    store: Store, name: str, content: Mapping[str, Any], *, is_pruning: bool
) -> tuple[Planned | None, list[Problem]]:
    if not is_name(name):
        return None, [Problem("", f"is no route name: use {NAME_RULE}")]
    document, problems = read_document(content)
    known = {problem.where for problem in problems}
    try:
        raw = await store.writer.read(name)
        before = raw.state()
        after = merged(document, before, is_whole=is_pruning)
        gone = taken_away(before, after)
        if gone:
            await must_be_unused(store.keys, name, *gone)(await store.link(), after, after)
        store.writer.judge(raw, after)
    except InUseError as error:
        return None, [*problems, Problem("versions", str(error))]
    except RefusedError as error:
        found = list(error.problems) or [Problem("", str(error))]
        return None, [*problems, *(one for one in found if one.where not in known)]
    if problems:
        return None, problems
    changes = compare(before, after)
    op = "create" if raw.is_empty else "change" if changes else "same"
    return Planned(name, op, raw, after, changes), []


async def _leftovers(store: Store, routes: Mapping[str, object]) -> list[Planned]:
    """The routes of the store that nobody named."""
    names, _ = await read_route_names(await store.link(), store.keys)
    plan = []
    for name in sorted((names or frozenset()) - routes.keys()):
        await store.writer.must_rest(name)
        raw = await store.writer.read(name)
        changes = compare(raw.state(), RouteState())
        plan.append(Planned(name, "delete", raw, RouteState(), changes))
    return plan


# Doing it


async def _carry_out(store: Store, plan: list[Planned], by: Author) -> dict[str, int]:
    """Write what was planned, each route at the revision it was planned at."""
    done: dict[str, int] = {}
    wishes: list[object] = []  # what takes a second person
    for one in plan:
        if one.op == "same":
            continue
        try:
            if one.op == "delete":
                written = await store.writer.delete(one.name, by, one.raw.revision)
            else:
                change = Change(_becoming(one.after), expected_revision=one.raw.revision)
                written = await store.writer.change(one.name, change, by)
        except ConsentError as error:
            wishes += error.wishes
            continue
        except ConflictError as error:
            before = f" Written before that: {', '.join(done)}." if done else ""
            raise ConflictError(f"{error}{before} Apply it again.") from None
        done[one.name] = written.revision
    if wishes:
        raise ConsentError("Some of it takes two people.", tuple(wishes), by.why, tuple(done))
    return done


def _becoming(after: RouteState) -> Edit:
    return lambda _: after


def _describe(one: Planned, revision: int) -> dict[str, object]:
    return {"route": one.name, "op": one.op, "revision": revision, "changes": one.changes}


def _refused(problems: list[Problem]) -> RefusedError:
    texts = "; ".join(str(problem) for problem in problems)
    return RefusedError(f"Refused, nothing was written: {texts}", tuple(problems))


def _flag(request: web.Request, name: str) -> bool:
    text = request.query.get(name, "false").lower()
    if text not in ("true", "false", "1", "0", ""):
        raise UsageError(f"{name} takes true or false.")
    return text in ("true", "1", "")

"""Whitelists and blacklists: who is on them, and changes of some ids."""

from __future__ import annotations

import time
from typing import cast

import msgspec
from aiohttp import web

from gateway.admin.calls import (
    answer,
    author,
    body_as,
    expected_revision,
    held_route,
    must_exist,
    number,
    route_name,
)
from gateway.admin.context import CONTEXT
from gateway.errors import NotFoundError, StoreError, UsageError
from gateway.routing.lists import blacklist_name, whitelist_name
from gateway.state.history import Delta
from gateway.state.raw import RouteState
from gateway.state.reader import of_other_type
from gateway.state.snapshot import HeldRoute
from gateway.state.walk import literally, walk
from gateway.state.write import Change, list_key

SEARCH_SECONDS = 2.0  # that one look through a list may take


class Ids(msgspec.Struct, forbid_unknown_fields=True):
    """Ids to add and to remove, in one step."""

    add: list[str] = []
    remove: list[str] = []
    why: str = ""


def list_name(request: web.Request) -> str:
    """The list that the path names, as other processes call it."""
    route, version = route_name(request), request.match_info.get("version")
    return blacklist_name(route) if version is None else whitelist_name(route, version)


def known_version(request: web.Request, held: HeldRoute) -> None:
    """Raises when the path names a version that the route does not have."""
    version = request.match_info.get("version")
    if version is not None and version not in held.spec.versions:
        known = ", ".join(held.spec.versions)
        raise NotFoundError(f"{version[:64]!a} is no version of this route; there are: {known}.")


async def show(request: web.Request) -> web.Response:
    """Up to `most` ids as the store holds them now, and how many there are.

    `?unit=alice` asks instead whether that one is on the list as it is in force, `?prefix=al` or
    `?contains=lic` for those that begin so or hold that.
    """
    held = held_route(request)
    known_version(request, held)
    most, cursor = number(request, "most", 1000, 100_000), _cursor(request)
    store, name = request.app[CONTEXT].store, list_name(request)
    unit = request.query.get("unit")
    if unit is not None:
        members = store.snapshot.lists.get(name)
        listed = members is not None and unit.encode(errors="replace") in members.container
        return answer({"unit": unit, "listed": listed})
    key = list_key(store.keys, name)
    if request.query.get("prefix") or request.query.get("contains"):
        return answer(await _search(request, key, most, cursor), held.revision)
    link = await store.link()
    count, ids = await link.pipeline([("SCARD", key), ("SRANDMEMBER", key, most)])
    for reply in (count, ids):
        if isinstance(reply, StoreError):
            raise of_other_type(reply, key, "set")
    texts = sorted(unit.decode(errors="replace") for unit in cast("list[bytes]", ids))
    return answer({"count": count, "ids": texts}, held.revision)


def _cursor(request: web.Request) -> str:
    cursor = request.query.get("next", "0")
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > 20:
        raise UsageError("next takes what the last answer said.")
    return cursor


async def _search(request: web.Request, key: str, most: int, cursor: str) -> dict[str, object]:
    """A bounded look through the list; `next` is where the next one would go on, if there is one.

    There may be a few more than `most`: what was found with the last of them is not kept back.
    """
    query, store = request.query, request.app[CONTEXT].store
    begins, holds = query.get("prefix", ""), query.get("contains", "")
    if begins and holds:
        raise UsageError("Ask for prefix or for contains, not for both.")
    pattern = f"{literally(begins)}*" if begins else f"*{literally(holds)}*"
    found: set[str] = set()
    ends = time.monotonic() + SEARCH_SECONDS
    async for following, ids in walk(store.link, key, pattern=pattern, cursor=cursor):
        found |= {unit.decode(errors="replace") for unit in ids}
        cursor = following
        if len(found) >= most or time.monotonic() > ends:
            break
    return {"ids": sorted(found), "next": cursor if cursor != "0" else None}


async def change(request: web.Request) -> web.Response:
    """Add and remove ids in one step; an id that is in both is added."""
    wanted = await body_as(request, Ids)
    added = frozenset(unit.encode() for unit in wanted.add)
    removed = frozenset(unit.encode() for unit in wanted.remove) - added

    def edit(state: RouteState) -> RouteState:
        must_exist(state, request)
        return state

    written = await request.app[CONTEXT].store.writer.change(
        route_name(request),
        Change(
            edit,
            lists={list_name(request): Delta(added, removed)},
            expected_revision=expected_revision(request),
        ),
        author(request, wanted.why),
    )
    return answer({"revision": written.revision, "changed": written.changed}, written.revision)

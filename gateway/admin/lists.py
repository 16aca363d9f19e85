"""Whitelists and blacklists: who is on them, and changes of some ids."""

from __future__ import annotations

from typing import cast

import msgspec
from aiohttp import web

from gateway.admin.calls import answer, author, body_as, expected_revision, held_route, number
from gateway.admin.context import CONTEXT
from gateway.routing.lists import blacklist_name, whitelist_name
from gateway.state.history import Delta
from gateway.state.write import Change, list_key


class Ids(msgspec.Struct, forbid_unknown_fields=True):
    """Ids to add and to remove, in one step."""

    add: list[str] = []
    remove: list[str] = []
    why: str = ""


def _name(request: web.Request) -> str:
    route, version = request.match_info["route"], request.match_info.get("version")
    return whitelist_name(route, version) if version else blacklist_name(route)


async def show(request: web.Request) -> web.Response:
    """Up to `most` ids as the store holds them now, and how many there are."""
    held = held_route(request)
    most = number(request, "most", 1000, 100_000)
    context, name = request.app[CONTEXT], _name(request)
    members = context.store.snapshot.lists.get(name)
    if "unit" in request.query:
        unit = request.query["unit"].encode()
        listed = members is not None and unit in members.container
        return answer({"unit": request.query["unit"], "listed": listed})
    link = await context.store.link()
    reply = await link.call("SRANDMEMBER", list_key(context.store.keys, name), most)
    ids = sorted(unit.decode(errors="replace") for unit in cast("list[bytes]", reply))
    return answer({"count": len(members) if members else 0, "ids": ids}, held.revision)


async def change(request: web.Request) -> web.Response:
    wanted = await body_as(request, Ids)
    delta = Delta(
        frozenset(unit.encode() for unit in wanted.add),
        frozenset(unit.encode() for unit in wanted.remove if unit not in set(wanted.add)),
    )
    written = await request.app[CONTEXT].store.writer.change(
        request.match_info["route"],
        Change(lists={_name(request): delta}, expected_revision=expected_revision(request)),
        author(request, wanted.why),
    )
    return answer({"revision": written.revision, "changed": written.changed}, written.revision)

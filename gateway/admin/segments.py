"""Segments: which there are, who is in them, changes of some ids, and what happened to them."""

from __future__ import annotations

from aiohttp import web

from gateway.admin.calls import answer, author, body_as, expected_revision, number
from gateway.admin.context import CONTEXT
from gateway.admin.history import describe as describe_entry
from gateway.admin.lists import Ids
from gateway.admin.routes import Revert, written_answer
from gateway.errors import NotFoundError
from gateway.state.history import Delta, read_newest_entries
from gateway.state.keys import NAME_RULE, is_name
from gateway.state.segments import Segments


async def index(request: web.Request) -> web.Response:
    """Every segment: how many ids it has, and the routes whose rules ask for it."""
    segments = _segments(request)
    names, is_complete = await segments.names()
    counts, users = await segments.counts(names), segments.users()
    told = {name: {"count": counts[name], "used_by": users.get(name, [])} for name in names}
    return answer({"segments": told, "complete": is_complete})


async def show(request: web.Request) -> web.Response:
    """Up to `most` ids as the store holds them; `?unit=alice` asks for one of them instead."""
    name, segments = _name(request), _segments(request)
    most = number(request, "most", 1000, 100_000)
    unit = request.query.get("unit")
    if unit is not None:
        link = await request.app[CONTEXT].store.link()
        word = unit.encode(errors="replace")
        is_listed = await link.call("SISMEMBER", segments.keys.segment(name), word) == 1
        return answer({"unit": unit, "listed": is_listed})
    count, ids = await segments.members(name, most)
    users, revision = segments.users().get(name, []), await segments.revision(name)
    texts = sorted(one.decode(errors="replace") for one in ids)
    told = {"count": count, "ids": texts, "used_by": users, "revision": revision}
    return answer(told, revision)


async def change(request: web.Request) -> web.Response:
    """Add and remove ids in one step; an id that is in both is added."""
    name, wanted = _name(request), await body_as(request, Ids)
    added = frozenset(unit.encode() for unit in wanted.add)
    removed = frozenset(unit.encode() for unit in wanted.remove) - added
    written = await _segments(request).change(
        name, Delta(added, removed), author(request, wanted.why), expected_revision(request)
    )
    return written_answer(written)


async def delete(request: web.Request) -> web.Response:
    """Take out all ids of a segment that no rule asks for."""
    why = request.query.get("why", "")
    written = await _segments(request).delete(
        _name(request), author(request, why), expected_revision(request)
    )
    return written_answer(written)


async def history(request: web.Request) -> web.Response:
    """What happened to a segment, newest first; one without a history has an empty one."""
    most, segments = number(request, "most", 50, 1000), _segments(request)
    link = await request.app[CONTEXT].store.link()
    entries = await read_newest_entries(link, segments.keys, _name(request), most)
    return answer([describe_entry(entry, entry) for entry in entries])


async def revert(request: web.Request) -> web.Response:
    name, wanted = _name(request), await body_as(request, Revert)
    written = await _segments(request).revert(
        name,
        wanted.revision,
        author(request, wanted.why or f"back to revision {wanted.revision}"),
        expected_revision(request),
    )
    return written_answer(written)


def _segments(request: web.Request) -> Segments:
    return request.app[CONTEXT].store.segments


def _name(request: web.Request) -> str:
    name = request.match_info["segment"]
    if not is_name(name):
        raise NotFoundError(f"{name[:64]!a} is no segment name: use {NAME_RULE}.")
    return name

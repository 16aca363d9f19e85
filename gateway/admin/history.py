"""What happened to a route, newest first."""

from __future__ import annotations

from aiohttp import web

from gateway.admin.calls import answer, held_route, number, route_name
from gateway.admin.context import CONTEXT
from gateway.state.compare import FieldChange, compare
from gateway.state.history import Entry, read_newest_entries


async def index(request: web.Request) -> web.Response:
    """A deleted route has a history too; one that never was is not found."""
    most = number(request, "most", 50, 1000)
    route, store = route_name(request), request.app[CONTEXT].store
    entries = await read_newest_entries(await store.link(), store.keys, route, most + 1)
    if not entries:
        held_route(request)
    older = [*entries[1:], None]
    return answer([describe(e, before) for e, before in zip(entries[:most], older, strict=False)])


def describe(entry: Entry, before: Entry | None) -> dict[str, object]:
    return {
        "revision": entry.revision,
        "at_ms": entry.at_ms,
        "by": entry.by,
        "via": entry.via,
        "from": entry.origin,
        "why": entry.why,
        "op": entry.op,
        "changes": _changes(before, entry),
        "lists": _lists(entry),
    }


def _lists(entry: Entry) -> str:
    """What each list gained and lost, as the history counts it; `unknown` where nobody saw all."""
    told = entry.lists
    for name, delta in entry.deltas.items():
        if delta.is_unknown:
            counted = f"+{len(delta.added)} -{len(delta.removed)}"
            seen = "" if counted == "+0 -0" else f"{counted} and "
            told = told.replace(f"{name} {counted}", f"{name} {seen}unknown")
    return told


def _changes(before: Entry | None, after: Entry) -> list[FieldChange]:
    """Which fields differ from the revision before, with both values."""
    return compare(before.state if before else None, after.state)

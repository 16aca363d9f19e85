"""What differs between two revisions of a route."""

from __future__ import annotations

import asyncio

from aiohttp import web

from gateway.admin.calls import answer, number, route_name
from gateway.admin.context import CONTEXT
from gateway.errors import NotFoundError, RefusedError
from gateway.state.compare import compare, compare_lists
from gateway.state.history import Entry, deltas_by_list, read_entries
from gateway.state.store import Store

MOST_APART = 10_000  # revisions


async def show(request: web.Request) -> web.Response:
    """`?from=3&to=7`: fields that differ, lists by how many ids they gained and lost, and some."""
    start, end = (number(request, name, 0, 999_999_999) for name in ("from", "to"))
    route, store = route_name(request), request.app[CONTEXT].store
    entries = await _between(store, route, *sorted((start, end)))
    first, last = (entries[0], entries[-1]) if start <= end else (entries[-1], entries[0])
    lists = await asyncio.to_thread(
        lambda: compare_lists(deltas_by_list(entries[1:]), backwards=start > end)
    )
    changes = compare(first.state, last.state)
    # Where revisions in between were removed, what they did to lists is not known.
    is_whole = len(entries) == abs(end - start) + 1
    told = {"from": start, "to": end, "changes": changes, "lists": lists, "complete": is_whole}
    return answer(told)


async def _between(store: Store, route: str, low: int, high: int) -> list[Entry]:
    """The entries from one revision to another one, both of which must be there and readable."""
    if high - low > MOST_APART:
        raise RefusedError(f"The two revisions are more than {MOST_APART} apart.")
    link = await store.link()
    entries = await read_entries(link, store.keys, route, after=low - 1, most=high - low + 1)
    entries = [entry for entry in entries if entry.revision <= high]
    known = {entry.revision: entry for entry in entries}
    for revision in (low, high):
        if revision not in known:
            raise NotFoundError(
                f"{route} has no revision {revision} in its history; see: graygate history {route}"
            )
        if not known[revision].is_whole:
            raise RefusedError(f"Revision {revision} of {route} cannot be read; choose another.")
    return entries

"""What was recorded, as JSON lines, and whether it still is as it was written."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
from aiohttp import web

from gateway.admin.calls import answer
from gateway.admin.context import CONTEXT
from gateway.errors import NotFoundError, StoreError
from gateway.state.audit import ENTRIES, rows_of, verify_stream
from gateway.state.chain import Verifier
from gateway.state.history import Delta, Entry, read_entries
from gateway.state.keys import NAME_RULE, is_name
from gateway.state.link import Link
from gateway.state.store import Store
from gateway.state.write import STREAM_ENTRIES

REVISIONS_AT_ONCE = 20  # each may hold 20,000 ids
LINES = "application/x-ndjson"


async def lines(request: web.Request) -> web.StreamResponse:
    """Every revision of every route and segment, or of `?route`, then the audit; JSON lines."""
    store = request.app[CONTEXT].store
    link = await store.link()
    told = _lines(store, link, _routes(request), await _segments(request))
    first = await anext(told, b"")  # a store that does not answer is told as a problem
    response = web.StreamResponse(headers={"Content-Type": LINES, "Cache-Control": "no-store"})
    await response.prepare(request)
    try:
        await response.write(first)
        async for line in told:
            await response.write(line)
        await response.write_eof()
    except ConnectionError:
        pass  # who listened has enough
    except StoreError:
        # Half of it must not look like all of it.
        if request.transport is not None:
            request.transport.abort()
    return response


async def verify(request: web.Request) -> web.Response:
    """Whether the hashes of every history, or of that of `?route`, and of the audit agree."""
    store = request.app[CONTEXT].store
    link = await store.link()
    found = [
        _told(await verify_stream(link, store.keys.history(route), STREAM_ENTRIES), route=route)
        for route in _routes(request)
    ]
    for name in await _segments(request):
        stream = await verify_stream(link, store.keys.segment_history(name), STREAM_ENTRIES)
        found.append(_told(stream, segment=name))
    audit = await verify_stream(link, store.keys.audit, ENTRIES)
    return answer([*found, _told(audit)])


def _routes(request: web.Request) -> list[str]:
    """The one that is asked for, be it deleted, or all that are in force."""
    asked = request.query.get("route")
    if asked is None:
        return sorted(request.app[CONTEXT].store.snapshot.routes)
    if not is_name(asked):
        raise NotFoundError(f"{asked[:64]!a} is no route name: use {NAME_RULE}.")
    return [asked]


async def _segments(request: web.Request) -> list[str]:
    """All there are, unless one route is asked for."""
    if "route" in request.query:
        return []
    names, _ = await request.app[CONTEXT].store.segments.names()
    return names


def _told(
    found: Verifier, *, route: str | None = None, segment: str | None = None
) -> dict[str, object]:
    return {
        "route": route,  # None = a segment, or the audit
        "segment": segment,
        "entries": found.entries,
        "unchained": found.unchained,
        "first": found.first,
        "last": found.last,
        "chain": found.chain,
        "problems": found.problems,
    }


async def _lines(
    store: Store, link: Link, routes: list[str], segments: list[str]
) -> AsyncIterator[bytes]:
    named = [("route", name, store.keys) for name in routes]
    named += [("segment", name, store.segments.keys) for name in segments]
    for kind, name, keys in named:
        after = 0
        while entries := await read_entries(link, keys, name, after=after, most=REVISIONS_AT_ONCE):
            after = entries[-1].revision
            for entry in entries:
                yield _line({kind: name, **_entry(entry)})
    last = b""
    while rows := await rows_of(link, store.keys.audit, last):
        last = rows[-1][0]
        for entry_id, flat in rows:
            words = [word.decode(errors="replace") for word in flat]
            number = entry_id.partition(b"-")[0].decode()
            yield _line({"audit": number, **dict(zip(words[::2], words[1::2], strict=True))})


def _entry(entry: Entry) -> dict[str, object]:
    return {
        "revision": entry.revision,
        "at_ms": entry.at_ms,
        "by": entry.by,
        "via": entry.via,
        "from": entry.origin,
        "why": entry.why,
        "op": entry.op,
        "state": entry.state if entry.is_whole else None,
        "lists": {name: _delta(delta) for name, delta in entry.deltas.items()},
        "prev": entry.prev,
        "chain": entry.chain,
    }


def _delta(delta: Delta) -> dict[str, object]:
    return {
        "added": sorted(unit.decode(errors="replace") for unit in delta.added),
        "removed": sorted(unit.decode(errors="replace") for unit in delta.removed),
        "unknown": delta.is_unknown,
    }


def _line(content: object) -> bytes:
    return msgspec.json.encode(content) + b"\n"

"""`/events`: what happens, as server-sent events, for as long as somebody listens.

A listener that comes back with the id of its last event gets what it missed: exactly, where this
process still holds it, else the changes of routes, out of their histories. Then an event may come
twice, and none of a route is left out; the rest is in `/state`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from aiohttp import web

import gateway
from gateway.admin.context import CONTEXT
from gateway.admin.event_log import Event, EventLog, Listener, place_of
from gateway.admin.guard import identify
from gateway.admin.lookout import MOST_HEADS, route_event
from gateway.admin.problem import problem
from gateway.admin.roles import PRINCIPAL, Principal
from gateway.errors import StoreError
from gateway.state.history import read_heads

BEAT_SECONDS = 10.0
LOOK_AGAIN_SECONDS = 2.0  # at whether the token still holds
STALL_SECONDS = 10.0  # that a listener may take nothing at all
MOST_LISTENERS = 100
OVERLAP_MS = 2000  # clocks of store and gateway may differ by so much

EVENTS = web.AppKey("events", EventLog)


async def stream(request: web.Request) -> web.StreamResponse:
    """Events until the listener goes; with `?follow=no` only what it missed."""
    log = request.app[EVENTS]
    if len(log) >= MOST_LISTENERS:
        response = problem(503, "too_many_listeners", "Too many listen already; try again later.")
        response.headers["Retry-After"] = "10"
        return response
    out = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
    )
    await out.prepare(request)
    if request.method == "HEAD":
        return out
    listener = log.join()
    try:
        async for piece in _pieces(request, log, listener):
            async with asyncio.timeout(STALL_SECONDS):
                await out.write(piece)
        await out.write_eof()
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
    except ConnectionError:
        pass  # it has gone
    finally:
        log.leave(listener)
    return out


async def _pieces(request: web.Request, log: EventLog, listener: Listener) -> AsyncIterator[bytes]:
    principal = request[PRINCIPAL]
    context = request.app[CONTEXT]
    yield Event(
        "hello",
        data={"gateway": context.own_id, "version": gateway.__version__},
        at_ms=_now_ms(),
    ).encode()
    told: dict[str, int] = {}  # route -> newest revision that was told out of its history
    last_id = request.headers.get("Last-Event-ID") or request.query.get("last_event_id", "")
    if last_id:
        async for event in _missed(request, log, listener, last_id):
            if event.id.startswith(f"{event.at_ms}--"):
                told[event.route] = int(str(event.data["revision"]))
            yield event.encode()
    is_following = request.query.get("follow") != "no"
    beat_at = time.monotonic() + BEAT_SECONDS
    while is_following:
        await listener.wait(LOOK_AGAIN_SECONDS)
        for event in listener.take():
            revision = event.data.get("revision")
            is_new = not isinstance(revision, int) or revision > told.get(event.route, 0)
            if is_new and may_hear(principal, event):
                yield event.encode()
        if ending := _ending(request, listener):
            yield ending.encode()
            return
        if time.monotonic() >= beat_at:
            beat_at = time.monotonic() + BEAT_SECONDS
            yield b": alive\n\n"


def _ending(request: web.Request, listener: Listener) -> Event | None:
    """The last event, when there is to be one."""
    why = ""
    if listener.is_lost:
        why = "You read too slowly, so events were lost; read /api/v1/state and come back."
    elif listener.is_over:
        why = "The gateway ends; come back soon."
    elif identify(request) != request[PRINCIPAL]:
        why = "The token does not hold any more."
    if not why:
        return None
    return Event("dropped" if listener.is_lost else "ended", data={"text": why}, at_ms=_now_ms())


async def _missed(
    request: web.Request, log: EventLog, listener: Listener, last_id: str
) -> AsyncIterator[Event]:
    """What happened since the event of this id, as far as anybody knows."""
    principal = request[PRINCIPAL]
    kept = log.after(last_id)
    if kept is not None:
        listener.take()  # whatever came since it joined is among them
        for event in kept:
            if may_hear(principal, event):
                yield event
        return
    place = place_of(last_id)
    text = "Changes of routes since then follow; for all else read /api/v1/state."
    if place is None:
        text = "That is no id of an event; read /api/v1/state."
    yield Event("gap", data={"text": text}, at_ms=_now_ms())
    if place is not None:
        for event in await _out_of_histories(request, place.at_ms - OVERLAP_MS):
            yield event


async def _out_of_histories(request: web.Request, since_ms: int) -> list[Event]:
    """The changes of all routes that the caller may see, oldest first."""
    store, principal = request.app[CONTEXT].store, request[PRINCIPAL]
    found: list[Event] = []
    for name, held in store.snapshot.routes.items():
        if not principal.may_see(name) or held.changed_at_ms < since_ms:
            continue
        wanted = range(max(1, held.revision - MOST_HEADS + 1), held.revision + 1)
        try:
            entries = await read_heads(await store.link(), store.keys, name, wanted)
        except StoreError as error:
            return [Event("gap", data={"text": str(error)}, at_ms=_now_ms())]
        # An id without the name of a log: whoever comes back with it is told from here again.
        found += [
            route_event(name, entry, event_id=f"{entry.at_ms}--{entry.revision}")
            for entry in entries
            if entry.at_ms >= since_ms
        ]
    return sorted(found, key=lambda event: event.at_ms)


def may_hear(principal: Principal, event: Event) -> bool:
    if event.route:
        return principal.may_see(event.route)
    return event.is_for_all or principal.sees_everything


def _now_ms() -> int:
    return int(time.time() * 1000)

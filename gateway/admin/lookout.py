"""Looks around once a second, and when a route changes: numbers for the window, events for the log.

It looks at what the control process knows anyway. Only who made a change, and why, is read from the
store: the heads of the history, one by one, since what lists gained and lost may be megabytes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from dataclasses import replace

from gateway.admin.context import AdminContext
from gateway.admin.event_log import Event, EventLog
from gateway.admin.sight import Alarm, Sight, changed_routes, events_between
from gateway.errors import StoreError
from gateway.metrics.numbers import Counted
from gateway.metrics.window import Window
from gateway.state.history import Entry, read_heads
from gateway.state.instances import GONE_SECONDS
from gateway.state.snapshot import HeldRoute

LOOK_SECONDS = 1.0
SETTLE_SECONDS = 0.15  # an edit made by hand has its revision by then
# Thousands of versions take long to add up: looks may take this share of the processor.
MOST_SHARE = 0.02
PATIENCE_SECONDS = 3.0  # and if it has none by then, nobody records
MOST_HEADS = 50  # revisions of one route told one by one; of earlier ones the number

log = logging.getLogger("graygate.admin")


class Lookout:
    """Owns the window and the log; `run` is to be running."""

    def __init__(self, context: AdminContext, events: EventLog, window: Window) -> None:
        self._context = context
        self._events = events
        self._window = window
        self._counted = Counted()
        self._sight: Sight | None = None  # None until a table is in force
        self._suspected: frozenset[Alarm] = frozenset()
        self._lasting: frozenset[Alarm] = frozenset()
        self._shed: dict[str, int] = {}
        self._unclear: dict[str, float] = {}  # edited by hand, not recorded yet: since when
        self._woken = asyncio.Event()
        context.store.subscribe(lambda _: self._woken.set())

    def __repr__(self) -> str:
        return f"<Lookout with {self._events!r}>"

    async def run(self) -> None:
        """Looks for ever; whatever goes wrong is logged, and it goes on."""
        next_look = time.monotonic()
        while True:
            try:
                began = time.monotonic()
                if began >= next_look:
                    next_look = began + LOOK_SECONDS
                    self._count(began)
                    cost = time.monotonic() - began
                    next_look = began + max(LOOK_SECONDS, cost / MOST_SHARE)
                await self._look()
            except Exception:
                log.exception("A look around failed.")
            await self._rest(next_look - time.monotonic())

    async def _rest(self, seconds: float) -> None:
        """Until the next look is due, or a route changed a moment ago."""
        try:
            async with asyncio.timeout(max(seconds, 0.01)):
                await self._woken.wait()
        except TimeoutError:
            return
        self._woken.clear()
        await asyncio.sleep(SETTLE_SECONDS)

    def _count(self, now: float) -> None:
        self._counted = self._context.counted()
        self._window.look(now, self._counted)
        alarms = frozenset(self._alarms())
        self._shed = dict(self._counted.shed)
        # What lasts for one look only, such as a worker that is replaced, is no alarm.
        self._lasting, self._suspected = alarms & self._suspected, alarms

    async def _look(self) -> None:
        if not self._context.store.status.is_loaded:
            return
        before, after = self._sight, self._see()
        if before is None:
            self._sight = after  # what stands at the start did not happen now
            data = {"sequence": self._context.store.snapshot.sequence}
            self._events.publish(Event("table_loaded", data=data), int(time.time() * 1000))
            return
        after = self._wait_for_records(before, after)
        self._sight = after
        now_ms = int(time.time() * 1000)
        for name in changed_routes(before, after):
            old, new = before.routes.get(name), after.routes.get(name)
            for event in await self._route_events(name, old, new):
                self._events.publish(event, now_ms)
        for event in events_between(before, after):
            self._events.publish(event, now_ms)

    def _wait_for_records(self, before: Sight, after: Sight) -> Sight:
        """An edit by hand gets its revision in a moment: until then the route is as it was."""
        now = time.monotonic()
        routes = dict(after.routes)
        unclear: dict[str, float] = {}
        for name in changed_routes(before, after):
            old, new = before.routes.get(name), after.routes.get(name)
            if new is None or new.revision != (old.revision if old is not None else 0):
                continue
            unclear[name] = self._unclear.get(name, now)
            if now - unclear[name] < PATIENCE_SECONDS:
                if old is None:
                    del routes[name]
                else:
                    routes[name] = old
        self._unclear = unclear
        return replace(after, routes=routes)

    def _see(self) -> Sight:
        context, store = self._context, self._context.store
        snapshot, status = store.snapshot, store.status
        now = time.time()
        return Sight(
            routes=snapshot.routes,
            refused=frozenset((*snapshot.refused, *store.tokens.refused)),
            warnings=frozenset(snapshot.warnings),
            instances={
                name: one.version
                for name, one in store.instances.latest.items()
                if abs(now - one.at) <= GONE_SECONDS
            },
            endpoints=self._counted.endpoints,
            store=status.server if status.is_connected else "",
            store_error=status.error,
            is_leading=bool(store.leader.term),
            is_draining=context.standing().is_draining,
            alarms=self._lasting,
        )

    def _alarms(self) -> Iterator[Alarm]:
        context, standing = self._context, self._context.standing()
        for role in standing.looping:
            yield Alarm("crash_loop", about=role, text=f"{role} dies as soon as it starts")
        connected = len({worker.worker for worker in context.workers()})
        if connected < standing.workers:
            text = f"{connected} of {standing.workers} workers are there"
            yield Alarm("workers_missing", text=text)
        if not standing.is_reload_good:
            yield Alarm("reload_failed", text="the last settings were not taken over; see the log")
        for cause, count in self._counted.shed.items():
            if count > self._shed.get(cause, count):
                text = "requests are refused to protect the gateway"
                yield Alarm("overload", about=cause, text=text)
        for (route, version), numbers in self._counted.numbers.items():
            if numbers.is_panicking:
                text = "so few endpoints are up that all are used"
                yield Alarm("panic", route, version, text)
        for route in context.store.unrecorded:
            text = "the history does not hold how the route stands"
            yield Alarm("unrecorded", route, text=text)

    async def _route_events(
        self, name: str, old: HeldRoute | None, new: HeldRoute | None
    ) -> list[Event]:
        """One event for each revision in between; one without author when none can be read."""
        first = old.revision + 1 if old is not None else (new.revision if new is not None else 0)
        last = new.revision if new is not None else first
        wanted = range(max(first, last - MOST_HEADS + 1), last + 1)
        entries: list[Entry] = []
        try:
            store = self._context.store
            entries = await read_heads(await store.link(), store.keys, name, wanted)
        except StoreError:
            pass
        events = [route_event(name, entry) for entry in entries]
        if not events:
            kind = "route_changed" if new is not None else "route_deleted"
            revision = {"revision": new.revision} if new is not None else {}
            events = [Event(kind, name, revision)]
        skipped = wanted.start - first
        if skipped > 0:
            events.insert(0, Event("revisions_skipped", name, {"count": skipped}))
        return events


def route_event(route: str, entry: Entry, *, event_id: str = "") -> Event:
    data: dict[str, object] = {
        "revision": entry.revision,
        "by": entry.by,
        "via": entry.via,
        "why": entry.why,
        "lists": entry.lists,
    }
    kind = "route_deleted" if entry.op == "delete" else "route_changed"
    return Event(kind, route, data, at_ms=entry.at_ms, id=event_id)

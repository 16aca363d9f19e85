"""What happened of late, kept for those who listen now and for those who come back soon.

Every listener has a bounded queue of its own. One that does not take what it is sent loses its
place, and is told so: it must never cost memory, nor hold up the others.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

KEPT = 1000  # events, for listeners that come back
WAITING = 256  # events that a listener may be behind


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened. `route` says whom it concerns; "" = the gateway as a whole."""

    kind: str
    route: str = ""
    data: Mapping[str, object] = field(default_factory=dict)
    is_for_all: bool = True  # without a route: also for those who may see some routes only
    at_ms: int = 0  # 0 = when it is published
    id: str = ""

    def encode(self) -> bytes:
        """The event as a browser's EventSource reads it."""
        content = {"at_ms": self.at_ms}
        route = {"route": self.route} if self.route else {}
        body = msgspec.json.encode({**content, **route, **self.data})  # one line, by its nature
        named = f"id: {self.id}\n" if self.id else ""
        return f"{named}event: {self.kind}\ndata: ".encode() + body + b"\n\n"


class Listener:
    """One reader's place in the log."""

    def __init__(self) -> None:
        self._waiting: deque[Event] = deque()
        self._woken = asyncio.Event()
        self.is_lost = False  # it was too slow
        self.is_over = False  # the gateway ends

    def __repr__(self) -> str:
        return f"<Listener, {len(self._waiting)} events behind>"

    def put(self, event: Event) -> None:
        if len(self._waiting) >= WAITING:
            self.is_lost = True
            self._waiting.clear()
        if not self.is_lost:
            self._waiting.append(event)
        self._woken.set()

    def end(self) -> None:
        self.is_over = True
        self._woken.set()

    def take(self) -> list[Event]:
        """What came since the last time."""
        taken = list(self._waiting)
        self._waiting.clear()
        return taken

    async def wait(self, seconds: float) -> None:
        """Returns when there is something to take or to know, or after so many seconds."""
        if self._waiting or self.is_lost or self.is_over:
            return
        self._woken.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            pass


class EventLog:
    """Gives every event its id, keeps the newest, and hands each to all listeners."""

    def __init__(self, name: str) -> None:
        self._name = name  # of this life of the process: numbers begin anew with the next one
        self._number = 0
        self._kept: deque[Event] = deque(maxlen=KEPT)
        self._listeners: set[Listener] = set()
        self._is_over = False

    def __repr__(self) -> str:
        return f"<EventLog at {self._number}, {len(self._listeners)} listeners>"

    def __len__(self) -> int:
        return len(self._listeners)

    @property
    def newest(self) -> int:
        """Number of the last event; 0 = nothing has happened yet."""
        return self._number

    def publish(self, event: Event, now_ms: int) -> None:
        self._number += 1
        at_ms = event.at_ms or now_ms
        told = Event(
            event.kind, event.route, event.data, event.is_for_all,
            at_ms, f"{at_ms}-{self._name}-{self._number}",
        )  # fmt: skip
        self._kept.append(told)
        for listener in self._listeners:
            listener.put(told)

    def join(self) -> Listener:
        listener = Listener()
        listener.is_over = self._is_over
        self._listeners.add(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        self._listeners.discard(listener)

    def close(self) -> None:
        """Every listener is to go: the gateway ends."""
        self._is_over = True
        for listener in self._listeners:
            listener.end()

    def after(self, last_id: str) -> list[Event] | None:
        """Everything since the event of this id; None when that is not known any more."""
        place = place_of(last_id)
        if place is None or place.name != self._name or not place.number <= self._number:
            return None
        if place.number + len(self._kept) < self._number:
            return None  # some in between were forgotten
        missed = self._number - place.number
        return list(self._kept)[len(self._kept) - missed :]


@dataclass(frozen=True, slots=True)
class Place:
    """What the id of an event says."""

    at_ms: int
    name: str
    number: int


def place_of(event_id: str) -> Place | None:
    """None for what is no id of ours."""
    at, _, rest = event_id.partition("-")
    name, _, number = rest.rpartition("-")
    digits = (at, number)
    if "-" not in rest or not all(
        one.isascii() and one.isdigit() and len(one) <= 15 for one in digits
    ):
        return None
    return Place(int(at), name, int(number))

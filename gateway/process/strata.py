"""From the workers' numbers of each second to the store, for the judge.

Control adds up what its workers sent in the same second and puts one entry for each route with
traffic into the store. While the store is away, the last two minutes wait; what is older is
dropped, and counted, since a judge that hears of it late has no use for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count

from gateway.errors import StoreError
from gateway.metrics.sketch import Units
from gateway.metrics.strata import (
    CellCounts,
    EventCounts,
    Observed,
    SketchDelta,
    merge,
    merge_events,
)
from gateway.process.channel import Strata
from gateway.process.second import CONTROL_SENDS_AFTER, seconds_until
from gateway.state.strata import Entry, StrataLog

_log = logging.getLogger(__name__)

KEPT_SECONDS = 120
_AT_ONCE = 500  # entries in one pipeline


@dataclass(slots=True)
class _Second:
    """What was sent in one second, by route."""

    cells: dict[str, list[CellCounts]] = field(default_factory=dict)
    events: dict[str, list[EventCounts]] = field(default_factory=dict)


class StrataSums:
    """Adds up the workers of one gateway, until somebody takes the sums away."""

    def __init__(self) -> None:
        self.dropped = 0  # seconds of a route that nobody took in time
        self._seconds: dict[int, _Second] = {}
        self._units: dict[tuple[str, str], Units] = {}

    def __repr__(self) -> str:
        return f"<StrataSums of {len(self._seconds)} seconds>"

    def put(self, message: Strata) -> None:
        """A worker's word."""
        second = self._second(message.sent)
        for cell in message.cells:
            second.cells.setdefault(cell.route, []).append(cell)
        self._put_events(second, message.events)
        for sketch in message.sketches:
            self._put_sketch(sketch)

    def put_events(self, sent: int, events: Iterable[EventCounts]) -> None:
        """What control itself was told about answers, such as what users think of them."""
        self._put_events(self._second(sent), events)

    def _second(self, sent: int) -> _Second:
        found = self._seconds.get(sent)
        if found is None:
            found = self._seconds[sent] = _Second()
            while len(self._seconds) > KEPT_SECONDS:
                oldest = self._seconds.pop(min(self._seconds))
                self.dropped += len(oldest.cells.keys() | oldest.events.keys())
        return found

    def _put_events(self, second: _Second, events: Iterable[EventCounts]) -> None:
        for event in events:
            second.events.setdefault(event.route, []).append(event)

    def _put_sketch(self, sketch: SketchDelta) -> None:
        units = self._units.setdefault((sketch.route, sketch.version), Units())
        units.merge(sketch.minute, sketch.registers)

    def take(self) -> list[tuple[int, str, list[CellCounts], list[EventCounts]]]:
        """Second, route, and their sums; oldest first."""
        seconds, self._seconds = self._seconds, {}
        return [
            (sent, route, merge(one.cells.get(route, ())), merge_events(one.events.get(route, ())))
            for sent, one in sorted(seconds.items())
            for route in one.cells.keys() | one.events.keys()
        ]

    def units(self, minute: int) -> dict[tuple[str, str], float]:
        """By route and version: about how many units had an answer in the last ten minutes."""
        found = {key: units.count(minute) for key, units in self._units.items()}
        for key in [key for key, units in self._units.items() if units.is_empty]:
            del self._units[key], found[key]
        return found


class StrataPublisher:
    """Brings the sums to the store once a second."""

    def __init__(self, sums: StrataSums, log: StrataLog, gateway: str) -> None:
        self.dropped = 0  # entries that the store would not take in time
        self._sums = sums
        self._strata = log
        self._gateway = gateway
        self._waiting: deque[Entry] = deque()
        # Of a process, never those of the one before it that had the same name.
        self._numbers = count(time.time_ns())
        self._has_failed = False
        self._must_end = asyncio.Event()

    def __repr__(self) -> str:
        return f"<StrataPublisher of {self._gateway}: {len(self._waiting)} entries wait>"

    async def run(self) -> None:
        """Publishes until `end` is called, and what there is then."""
        while not self._must_end.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds_until(time.time(), CONTROL_SENDS_AFTER)):
                    await self._must_end.wait()
            await self.publish()

    def end(self) -> None:
        self._must_end.set()

    def observed(self) -> Observed:
        """As of now."""
        return Observed(
            units=self._sums.units(int(time.time()) // 60),
            dropped=self.dropped + self._sums.dropped,
        )

    async def publish(self) -> None:
        """Sends what there is; what the store does not take waits for the next time."""
        for sent, route, cells, events in self._sums.take():
            number = next(self._numbers)
            entry = Entry.of(route, self._gateway, sent, number, cells, events)
            self._waiting.append(entry)
        self._drop_old()
        try:
            failures = await self._send()
        except StoreError as error:
            failures = [error]
        if failures and not self._has_failed:
            _log.warning("Numbers for the judge wait for the store: %s", failures[0])
        self._has_failed = bool(failures)

    async def _send(self) -> list[StoreError]:
        """What the store said of those that it did not take."""
        failures: list[StoreError] = []
        for _ in range(0, len(self._waiting), _AT_ONCE):
            sent = [self._waiting[i] for i in range(min(_AT_ONCE, len(self._waiting)))]
            # If this raises, some may be there: they are sent again with the same numbers.
            outcome = await self._strata.append_all(sent)
            for entry, failure in zip(sent, outcome, strict=True):
                self._waiting.popleft()
                if failure is not None:
                    failures.append(failure)
                    self._waiting.append(entry)
        return failures

    def _drop_old(self) -> None:
        if not self._waiting:
            return
        least = max(entry.sent for entry in self._waiting) - KEPT_SECONDS
        kept = [entry for entry in self._waiting if entry.sent > least]
        self.dropped += len(self._waiting) - len(kept)
        self._waiting = deque(kept)

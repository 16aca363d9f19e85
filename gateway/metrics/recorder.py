"""What a worker notes for the judge of each request whose version the route's weights drew.

Every request passes here twice, when its version is drawn and when it ends, so there is one object
for each version and second, and what an end means is worked out later, many in a row. Who is only
let through to a version, by a list, a rule, an override or because another version failed, is no
fair sample and is not noted; a route with one version has nothing to compare, and nothing is noted
of it at all.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping
from typing import Final

from xxhash import xxh3_64_intdigest

from gateway.metrics.firsts import UNIT_MASK, Firsts
from gateway.metrics.sketch import Sketch
from gateway.metrics.strata import (
    LEAST_SECONDS,
    MOST_BAD_UNITS,
    PER_LOG,
    CellCounts,
    EventCounts,
    FirstTimes,
    SketchDelta,
    bucket_of,
)

_MOST_MARKED = 100_000  # units of a route that had a bad answer
_NEVER: Final = -math.inf
_LEAST: Final = LEAST_SECONDS
_LEAST_BUCKET: Final = bucket_of(LEAST_SECONDS)

# Cell, is bad, unit, endpoint; seconds until the end, until the first byte, and the longest gap;
# when it arrived.
End = tuple["Cell", bool, bytes | None, Hashable | None, float, float, float, float]
Comer = tuple["Cell", bytes, float]  # who arrived in it, and when

_log: Final = math.log
_floor: Final = math.floor
_hash: Final = xxh3_64_intdigest


class Cell:
    """The requests of one version that arrived in one second: what happened since it was sent.

    A request keeps the cell that it arrived in for as long as it lives.
    """

    __slots__ = (
        "arrived",
        "bad",
        "bad_units",
        "client_errors",
        "finished",
        "first_byte",
        "first_times",
        "first_units",
        "gap",
        "half_bad",
        "half_finished",
        "is_open",
        "more_bad_units",
        "second",
        "tally",
        "total",
        "units",
    )

    def __init__(self, tally: Tally, second: int) -> None:
        self.tally = tally
        self.second = second
        self._clear()

    def __repr__(self) -> str:
        return f"<Cell {self.tally.version} at {self.second}: {self.arrived} came>"

    def _clear(self) -> None:
        self.is_open = False  # there is something that was not sent yet
        self.arrived = self.finished = self.bad = self.client_errors = 0
        self.units = self.more_bad_units = self.half_finished = self.half_bad = 0
        self.bad_units: list[int] = []
        self.first_units: list[int] = []
        self.first_times: list[FirstTimes] = []
        self.total: dict[int, int] = {}
        self.first_byte: dict[int, int] = {}
        self.gap: dict[int, int] = {}

    def ended(
        self,
        is_bad: bool,
        unit: bytes | None,
        endpoint: Hashable | None,
        seconds: float,
        first_byte: float,
        gap: float = 0.0,
        started: float = 0.0,
    ) -> None:
        """A request that arrived here has ended, so long after it had come; 0 is no time at all.

        `endpoint` is the last one that it was sent to; `gap` is the longest one between two pieces
        of the answer, if that came in pieces; `started` is what `arrived` was told. The rest is
        done in `digest`.
        """
        self.tally.ends.append((self, is_bad, unit, endpoint, seconds, first_byte, gap, started))

    def refused(self) -> None:
        """The one that has just ended was the client's fault."""
        self.client_errors += 1

    def mark(self, place: int) -> None:
        """The unit had its first bad answer."""
        marked = self.tally.marked
        if len(marked) >= _MOST_MARKED:
            del marked[next(iter(marked))]  # the oldest: as if it had never failed
        marked[place] = None
        if len(self.bad_units) < MOST_BAD_UNITS:
            self.bad_units.append(place)
        else:
            self.more_bad_units += 1

    def end_of_first(self, unit: int, seconds: float, first_byte: float, gap: float) -> None:
        """The request of the unit that is timed has ended."""
        self.first_times.append((unit, _known(seconds), _known(first_byte), _known(gap)))

    def take(self) -> CellCounts:
        """What happened since it was sent last; from here on it counts from 0."""
        tally = self.tally
        counts = CellCounts(
            self.second, tally.route, tally.version,
            self.arrived, self.finished, self.bad, self.client_errors,
            self.units, self.bad_units, self.half_finished, self.half_finished, self.half_bad,
            self.total, self.first_byte, self.gap, self.more_bad_units,
            self.first_units, self.first_times,
        )  # fmt: skip
        self._clear()
        return counts


def _known(seconds: float) -> int | None:
    return bucket_of(seconds) if seconds else None


class Tally:
    """One version of a route that has several: the cell of this second, and whom it has seen."""

    __slots__ = (
        "_cell", "_recorder", "_sketch", "_until", "comers", "ends", "firsts", "marked", "odd",
        "route", "seen", "version",
    )  # fmt: skip

    def __init__(self, recorder: StrataRecorder, route: str, version: str) -> None:
        self._recorder = recorder
        self.ends = recorder.ends
        self.comers = recorder.comers
        self.route = route
        self.version = version
        self.odd: frozenset[Hashable] = frozenset()  # every other of its endpoints
        self.seen: set[int] = set()  # units of which a request ended since the last batch
        self.marked: dict[int, None] = {}  # of the route: units that had a bad answer
        self.firsts = Firsts()  # of the route
        self._sketch = Sketch()
        self._cell = Cell(self, 0)
        self._until = _NEVER

    def __repr__(self) -> str:
        return f"<Tally of {self.route} {self.version}>"

    def arrived(self, now: float, unit: bytes | None = None) -> Cell:
        """The weights have drawn this version for a request; its end is to be told to the cell."""
        if now >= self._until:
            self._next_cell(now)
        cell = self._cell
        cell.arrived += 1
        if unit is not None:
            self.comers.append((cell, unit, now))
        return cell

    def second_of(self, at: float) -> int:
        """By the wall clock."""
        return math.floor(at + self._recorder.offset)

    def _next_cell(self, now: float) -> None:
        second = self.second_of(now)
        self._until = second + 1 - self._recorder.offset
        self._cell = Cell(self, second)
        self.open_again(self._cell)

    def open_again(self, cell: Cell) -> None:
        """It has something to tell again."""
        cell.is_open = True
        self._recorder.open.append(cell)

    def was_sent(self, minute: int) -> dict[int, int]:
        """A new batch begins; what the units of this one change in the sketch of the minute."""
        self._until = _NEVER
        seen, self.seen = self.seen, set()
        return self._sketch.add(seen, minute)


class StrataRecorder:
    """Notes of all versions of one worker."""

    def __init__(self) -> None:
        self.offset = 0.0  # of the wall clock from the one that `now` is of; renewed every second
        self.open: list[Cell] = []  # those with something to tell
        self.comers: list[Comer] = []  # who have yet to be looked at
        self.ends: list[End] = []  # that have yet to be counted
        self._routes: dict[str, dict[str, Tally]] = {}
        self._stages: dict[str, tuple[Hashable, Hashable]] = {}  # and the deal
        self._events: dict[tuple[int, str, str, str], EventCounts] = {}

    def __repr__(self) -> str:
        return f"<StrataRecorder of {len(self._routes)} routes, {len(self.open)} cells to send>"

    def follow(
        self,
        route: str,
        versions: Mapping[str, Iterable[Hashable]],
        stage: Hashable,
        deal: Hashable = (),
    ) -> Mapping[str, Tally]:
        """The tallies of a route with these versions and their endpoints; none if it has just one.

        Who had a bad answer is forgotten when `stage` becomes another one. It is remembered by
        route, not by version: who failed on stable and is then moved is no news of the candidate.
        With another `deal` users are on other versions than before.
        """
        if len(versions) < 2:
            self.forget(route)
            return {}
        known = self._routes.get(route, {})
        tallies = {v: known.get(v) or Tally(self, route, v) for v in versions}
        before = next(iter(known.values()), None)
        firsts = before.firsts if before is not None else Firsts()
        marked = before.marked if before is not None else {}
        last_stage, last_deal = self._stages.get(route, (None, None))
        if last_stage != stage:
            marked = {}
        if (last_stage, last_deal) != (stage, deal):
            firsts.dealt()
        for version, tally in tallies.items():
            tally.marked = marked
            tally.firsts = firsts
            tally.odd = frozenset(tuple(versions[version])[1::2])
        self._routes[route] = tallies
        self._stages[route] = (stage, deal)
        return tallies

    def keep_only(self, routes: Iterable[str]) -> None:
        """All other routes are gone from the table."""
        for route in self._routes.keys() - set(routes):
            self.forget(route)

    def forget(self, route: str) -> None:
        """What its cells have to tell is told all the same."""
        self._routes.pop(route, None)
        self._stages.pop(route, None)

    def event(self, now: float, route: str, version: str, family: str, is_bad: bool) -> None:
        """Something else was found out about an answer, such as that a copy's differs."""
        key = (math.floor(now + self.offset), route, version, family)
        counts = self._events.get(key)
        if counts is None:
            counts = self._events[key] = EventCounts(*key, n=0, bad=0)
        counts.n += 1
        counts.bad += is_bad

    def digest(self) -> None:
        """Count what has ended; to be called several times a second, so that it never takes long.

        In a row this takes half of what it would take while each request is carried.
        """
        self._look_at_comers()
        for cell, is_bad, unit, endpoint, seconds, first_byte, gap, started in self.ends:
            tally = cell.tally
            if not cell.is_open:
                tally.open_again(cell)
            cell.finished = half = cell.finished + 1
            if unit is not None:
                half = place = _hash(unit)
                seen = tally.seen
                if place not in seen:
                    seen.add(place)
                    if place not in tally.marked:
                        cell.units += 1
                if is_bad and place not in tally.marked:
                    cell.mark(place)
                awaited = tally.firsts.awaited
                # Of several at a time the first that came, not the first that ended.
                if awaited and awaited.get(place & UNIT_MASK) == started:
                    del awaited[place & UNIT_MASK]
                    cell.end_of_first(place & UNIT_MASK, seconds, first_byte, gap)
            if is_bad:
                cell.bad += 1
            # One endpoint alone has no half: then those of the units with an odd hash are one.
            odd = tally.odd
            if endpoint in odd if odd else half & 1:
                cell.half_finished += 1
                if is_bad:
                    cell.half_bad += 1
            # `bucket_of`, written out: two calls would be a third of all this.
            if seconds:
                counts = cell.total
                bucket = _floor(_log(seconds) * PER_LOG) if seconds > _LEAST else _LEAST_BUCKET
                counts[bucket] = counts.get(bucket, 0) + 1
            if first_byte:
                counts = cell.first_byte
                bucket = (
                    _floor(_log(first_byte) * PER_LOG) if first_byte > _LEAST else _LEAST_BUCKET
                )
                counts[bucket] = counts.get(bucket, 0) + 1
            if gap:
                counts = cell.gap
                bucket = bucket_of(gap)
                counts[bucket] = counts.get(bucket, 0) + 1
        self.ends.clear()

    def _look_at_comers(self) -> None:
        for cell, unit, at in self.comers:
            place = _hash(unit) & UNIT_MASK
            firsts = cell.tally.firsts
            # Nearly always it was; the call would be half of all this.
            if place not in firsts.met and firsts.is_first(place, cell.second, at):
                cell.first_units.append(place)
        self.comers.clear()

    def take(self, second: int) -> tuple[list[CellCounts], list[EventCounts], list[SketchDelta]]:
        """All that is new since the last call; `second` is the one in which it is sent."""
        self.digest()
        for tallies in self._routes.values():
            next(iter(tallies.values())).firsts.tick(second)
        cells = self.open.copy()
        self.open.clear()
        minute = second // 60
        sketches = [
            SketchDelta(minute, tally.route, tally.version, registers)
            for tally in dict.fromkeys(cell.tally for cell in cells)
            if (registers := tally.was_sent(minute))
        ]
        events, self._events = list(self._events.values()), {}
        return [cell.take() for cell in cells], events, sketches

"""The numbers that the judge decides by: what happened to each version, second by second.

Everything in a cell adds up: workers send what is new since they sent last, control adds its
workers up, the judge adds gateways up, and the order makes no difference. A cell belongs to the
second in which its requests *arrived*; the second in which something was *sent* stands beside the
cells of a batch, and is when answers ended, to a second or two.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

_BASE: Final = 1.05
PER_LOG: Final = 1 / math.log(_BASE)
LEAST_SECONDS: Final = 1e-6
MOST_BAD_UNITS: Final = 1000  # that a cell names
MOST_RATED: Final = 10_000  # units that an event names

# A unit, and the buckets of its request's total time, first byte and longest gap, where it had one.
FirstTimes = tuple[int, int | None, int | None, int | None]


class CellCounts(msgspec.Struct, array_like=True):
    """One second of one version; new fields go to the end, where older readers do not look."""

    second: int  # of arrival, by the wall clock of the worker
    route: str
    version: str
    arrived: int = 0  # the weights of the route drew this version for them
    finished: int = 0  # of those, requests that ended by now, whatever way
    bad: int = 0  # of those, the version's fault, also where stable answered in its place
    client_errors: int = 0  # 4xx; a client that left is neither this nor bad
    # Known units of which a request ended since the last batch, each once in a batch, but for those
    # with a bad answer in an earlier batch; who had one in this batch is among them.
    units: int = 0
    bad_units: list[int] = []  # xxh3_64 of those whose first bad answer this was
    half_arrived: int = 0  # as `half_finished`: who has not ended belongs to no half yet
    half_finished: int = 0  # of `finished`, those of one half of the version's endpoints
    half_bad: int = 0
    # Bucket -> requests; see `bucket_of`. An upgraded connection has only a first byte.
    total: dict[int, int] = {}  # until the end, also of requests that failed
    first_byte: dict[int, int] = {}  # until the content began; until the head, if it was no stream
    gap: dict[int, int] = {}  # the longest one between two pieces of a streamed answer
    more_bad_units: int = 0  # that `bad_units` has no room for
    # What is known of units of which this is the first request in a while; see `firsts`.
    first_units: list[int] = []  # of those that arrived, 32 bits of their hashes
    first_times: list[FirstTimes] = []  # of those that ended


class EventCounts(msgspec.Struct, array_like=True):
    """What was found out about answers of one second by other means than carrying them."""

    second: int  # of ratings by known units: in which the request came
    route: str
    version: str
    family: str  # feedback, shadow, shadow_self, or a name of the operators' own
    n: int
    bad: int
    rated: list[tuple[int, bool]] = []  # of the known units among them: unit, is bad


class SketchDelta(msgspec.Struct, array_like=True):
    """Registers that rose in the sketch of one version's units of one minute."""

    minute: int
    route: str
    version: str
    registers: dict[int, int]


@dataclass(frozen=True, slots=True)
class Observed:
    """What control knows of its workers' strata."""

    # route, version -> about how many units had an answer in the last ten minutes
    units: Mapping[tuple[str, str], float] = field(default_factory=dict)
    dropped: int = 0  # seconds of a route that the store did not take in time


def bucket_of(seconds: float) -> int:
    """Buckets grow by 5 %; a time on an edge may fall on either side of it, always the same."""
    return math.floor(math.log(seconds if seconds > LEAST_SECONDS else LEAST_SECONDS) * PER_LOG)


def edge_of(bucket: int) -> float:
    """The least time in a bucket, in seconds."""
    return _BASE**bucket


def merge(cells: Iterable[CellCounts]) -> list[CellCounts]:
    """One cell for each second, route and version; those given are left as they are."""
    merged: dict[tuple[int, str, str], CellCounts] = {}
    for cell in cells:
        key = (cell.second, cell.route, cell.version)
        into = merged.get(key)
        if into is None:
            into = merged[key] = CellCounts(*key)
        _add(into, cell)
    for cell in merged.values():
        _name_each_once(cell)
    return list(merged.values())


def merge_events(events: Iterable[EventCounts]) -> list[EventCounts]:
    """As `merge`, of events."""
    merged: dict[tuple[int, str, str, str], EventCounts] = {}
    for event in events:
        key = (event.second, event.route, event.version, event.family)
        into = merged.setdefault(key, EventCounts(*key, n=0, bad=0))
        into.n += event.n
        into.bad += event.bad
        into.rated += event.rated
        del into.rated[MOST_RATED:]
    return list(merged.values())


def _add(into: CellCounts, cell: CellCounts) -> None:
    into.arrived += cell.arrived
    into.finished += cell.finished
    into.bad += cell.bad
    into.client_errors += cell.client_errors
    into.units += cell.units
    into.bad_units += cell.bad_units
    into.half_arrived += cell.half_arrived
    into.half_finished += cell.half_finished
    into.half_bad += cell.half_bad
    into.more_bad_units += cell.more_bad_units
    into.first_units += cell.first_units
    into.first_times += cell.first_times
    for sums, more in (
        (into.total, cell.total),
        (into.first_byte, cell.first_byte),
        (into.gap, cell.gap),
    ):
        for bucket, count in more.items():
            sums[bucket] = sums.get(bucket, 0) + count


def _name_each_once(cell: CellCounts) -> None:
    """Two workers may have met the same unit."""
    if len(cell.bad_units) > 1:
        units = list(dict.fromkeys(cell.bad_units))
        cell.more_bad_units += max(len(units) - MOST_BAD_UNITS, 0)
        cell.bad_units = units[:MOST_BAD_UNITS]

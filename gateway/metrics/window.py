"""The last seconds of every version: what was counted lately, out of totals that only grow. Pure.

Each look at the totals leaves what was added since the look before, of the versions that anything
happened to; some dozens of looks make the window. A percentile is read off the histogram of the
window, straight between the bounds of its bucket: as near as the buckets are narrow.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import add, sub

from gateway.metrics.numbers import DURATION_BOUNDS, FIRST_BYTE_BOUNDS, Counted, Numbers

Version = tuple[str, str]  # route, version

MOST_SECONDS = 60.0
# What the caller did is no failure of the version.
_NOBODYS_FAULT = frozenset({"client_gone"})
# Drawn by the route's weights; all other reasons send a request without looking at them.
_BY_WEIGHT = frozenset({"weight", "stable"})


@dataclass(frozen=True, slots=True)
class Latencies:
    """Seconds; None where nothing was measured, which is not the same as quick."""

    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


@dataclass(frozen=True, slots=True)
class Lately:
    """One version in the window."""

    requests: int = 0  # answered
    failures: int = 0  # charged to it; after a failover more than it answered
    decided: int = 0  # requests that were sent here, for whatever reason
    weighed: int = 0  # those of them that weights decided
    in_flight: int = 0  # now
    duration: Latencies = Latencies()
    first_byte: Latencies = Latencies()


@dataclass(frozen=True, slots=True)
class _Growth:
    """What came to one version between two looks; also how it stood, with everything since ever."""

    requests: int
    failures: int
    decided: int
    weighed: int
    duration: Sequence[int]
    first_byte: Sequence[int]

    def minus(self, before: _Growth) -> _Growth:
        return _Growth(
            self.requests - before.requests,
            self.failures - before.failures,
            self.decided - before.decided,
            self.weighed - before.weighed,
            tuple(map(sub, self.duration, before.duration)),
            tuple(map(sub, self.first_byte, before.first_byte)),
        )

    def plus(self, more: _Growth) -> _Growth:
        return _Growth(
            self.requests + more.requests,
            self.failures + more.failures,
            self.decided + more.decided,
            self.weighed + more.weighed,
            tuple(map(add, self.duration, more.duration)),
            tuple(map(add, self.first_byte, more.first_byte)),
        )


_NOTHING = _Growth(
    0, 0, 0, 0, (0,) * (len(DURATION_BOUNDS) + 1), (0,) * (len(FIRST_BYTE_BOUNDS) + 1)
)


class Window:
    """Keeps the growth of the last MOST_SECONDS; `look` is to be called every second or so."""

    def __init__(self) -> None:
        self._stood: dict[Version, _Growth] | None = None
        self._looked_at = 0.0
        self._steps: deque[tuple[float, float, dict[Version, _Growth]]] = deque()
        self._in_flight: dict[Version, int] = {}

    def __repr__(self) -> str:
        return f"<Window of {len(self._steps)} looks>"

    def look(self, now: float, counted: Counted) -> None:
        """Take in the totals as they are at `now`, by a clock that never goes back."""
        stands = dict(_standing(counted))
        self._in_flight = {key: n.in_flight for key, n in counted.numbers.items() if n.in_flight}
        if self._stood is not None:
            grown = {}
            for key, one in stands.items():
                before = self._stood.get(key, _NOTHING)
                # Most of thousands of versions are idle: to compare is ten times as quick.
                if one != before:
                    grown[key] = one.minus(before)
            self._steps.append((self._looked_at, now, grown))
        while self._steps and self._steps[0][1] < now - MOST_SECONDS:
            self._steps.popleft()
        self._stood, self._looked_at = stands, now

    def last(self, seconds: float) -> tuple[float, Mapping[Version, Lately]]:
        """The time that was looked at, at most about `seconds`, and each version that was in use.

        (0, {}) while nothing is known: that is before the second look.
        """
        sums: dict[Version, _Growth] = {}
        begin = self._looked_at
        for began, ended, grown in reversed(self._steps):
            if ended <= self._looked_at - seconds:
                break
            begin = began
            for key, growth in grown.items():
                sums[key] = sums[key].plus(growth) if key in sums else growth
        keys = sums.keys() | self._in_flight.keys()
        found = {key: _lately(sums.get(key, _NOTHING), self._in_flight.get(key, 0)) for key in keys}
        return self._looked_at - begin, found if self._steps else {}


def _standing(counted: Counted) -> Iterable[tuple[Version, _Growth]]:
    decided: dict[Version, int] = {}
    weighed: dict[Version, int] = {}
    for (route, version, reason), count in counted.decisions.items():
        key = (route, version)
        decided[key] = decided.get(key, 0) + count
        if reason in _BY_WEIGHT:
            weighed[key] = weighed.get(key, 0) + count
    idle = Numbers()
    for key in counted.numbers.keys() | decided.keys():
        numbers = counted.numbers.get(key, idle)
        failures = sum(n for kind, n in numbers.errors.items() if kind not in _NOBODYS_FAULT)
        yield (
            key,
            _Growth(
                sum(numbers.codes.values()),
                failures,
                decided.get(key, 0),
                weighed.get(key, 0),
                tuple(numbers.duration),
                tuple(numbers.first_byte),
            ),
        )


def _lately(growth: _Growth, in_flight: int) -> Lately:
    return Lately(
        growth.requests,
        growth.failures,
        growth.decided,
        growth.weighed,
        in_flight,
        _latencies(growth.duration, DURATION_BOUNDS),
        _latencies(growth.first_byte, FIRST_BYTE_BOUNDS),
    )


def _latencies(counts: Sequence[int], bounds: Sequence[float]) -> Latencies:
    return Latencies(*(percentile(counts, bounds, share) for share in (0.5, 0.95, 0.99)))


def percentile(counts: Sequence[int], bounds: Sequence[float], share: float) -> float | None:
    """The value below which `share` of the counted lies; beyond the last bound, that bound."""
    total = sum(counts)
    if total <= 0:
        return None
    wanted = share * total
    for number, upto in enumerate(accumulate(counts)):
        if upto >= wanted and counts[number]:
            if number == len(bounds):
                return bounds[-1]
            low = bounds[number - 1] if number else 0.0
            into = (wanted - (upto - counts[number])) / counts[number]
            return low + (bounds[number] - low) * into
    return bounds[-1]

"""The workers' counts as one: those that live, and those that are gone.

A worker sends everything it has counted since it started, so a lost message costs nothing. What a
worker had counted when it went is kept, so that the sum never falls. A worker whose connection is
lost may come back, and is counted once; it is gone for good when another one has its place.
"""

from __future__ import annotations

from collections.abc import Iterable

from gateway.process.channel import Totals

Counts = dict[tuple[str, str, str], int]


class Ledger:
    """Adds up the totals of all workers; a worker is known by its place and when it was born."""

    __slots__ = ("_connected", "_gone_before", "_gone_decisions", "_gone_requests", "_known")

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], Totals] = {}
        self._connected: set[tuple[int, int]] = set()
        self._gone_before: dict[int, int] = {}  # place -> birth of the youngest that is gone
        self._gone_decisions: Counts = {}
        self._gone_requests: Counts = {}

    def __repr__(self) -> str:
        return f"<Ledger of {len(self._connected)} connected workers>"

    def join(self, worker: int, born: int) -> None:
        if born <= self._gone_before.get(worker, -1):
            return
        self._connected.add((worker, born))
        self._known.setdefault((worker, born), Totals())
        self._fold(worker)

    def leave(self, worker: int, born: int) -> None:
        self._connected.discard((worker, born))
        self._fold(worker)

    def put(self, worker: int, born: int, totals: Totals) -> None:
        if (worker, born) in self._known:
            self._known[worker, born] = totals

    def decisions(self) -> Counts:
        """Decisions by (route, version, reason)."""
        sums = dict(self._gone_decisions)
        for totals in self._known.values():
            _add(sums, totals.decisions)
        return sums

    def requests(self) -> Counts:
        """Requests by (route, version, status code)."""
        sums = dict(self._gone_requests)
        for totals in self._known.values():
            _add(sums, totals.requests)
        return sums

    def _fold(self, worker: int) -> None:
        births = sorted(born for place, born in self._known if place == worker)
        for born in births[:-1]:
            if (worker, born) not in self._connected:
                totals = self._known.pop((worker, born))
                _add(self._gone_decisions, totals.decisions)
                _add(self._gone_requests, totals.requests)
                self._gone_before[worker] = max(born, self._gone_before.get(worker, -1))


def _add(sums: Counts, rows: Iterable[tuple[str, str, str, int]]) -> None:
    for route, version, label, count in rows:
        key = (route, version, label)
        sums[key] = sums.get(key, 0) + count

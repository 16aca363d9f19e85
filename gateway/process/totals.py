"""The workers' counts as one: those that live, and those that are gone.

A worker sends everything it has counted since it started, so a lost message costs nothing. What a
worker had counted when it went is kept, so that no sum ever falls; what it held at the moment, such
as requests in flight, went with it. A worker whose connection is lost may come back, and is counted
once; it is gone for good when another one has its place.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from operator import add
from typing import TypeVar

from gateway.metrics.numbers import Counted, Numbers
from gateway.process.channel import Totals, VersionTotals

Counts = dict[tuple[str, str, str], int]
Key = TypeVar("Key", bound=Hashable)


class _Sum:
    """Counts of several workers added up."""

    __slots__ = ("decisions", "numbers", "shed")

    def __init__(self) -> None:
        self.decisions: Counts = {}
        self.numbers: dict[tuple[str, str], Numbers] = {}
        self.shed: dict[str, int] = {}

    def add(self, totals: Totals) -> None:
        """Adds what only ever grows."""
        for route, version, reason, count in totals.decisions:
            key = (route, version, reason)
            self.decisions[key] = self.decisions.get(key, 0) + count
        for counted in totals.versions:
            _add_counters(self._of(counted), counted)
        _add_each(self.shed, totals.shed)

    def add_moment(self, totals: Totals) -> None:
        """Adds what is so now."""
        for counted in totals.versions:
            numbers = self._of(counted)
            numbers.in_flight += counted.in_flight
            numbers.is_panicking |= counted.is_panicking

    def add_sum(self, other: _Sum) -> None:
        _add_each(self.decisions, other.decisions)
        for key, numbers in other.numbers.items():
            _add_counters(self.numbers.setdefault(key, Numbers()), numbers)
        _add_each(self.shed, other.shed)

    def _of(self, counted: VersionTotals) -> Numbers:
        key = (counted.route, counted.version)
        numbers = self.numbers.get(key)
        if numbers is None:
            numbers = self.numbers[key] = Numbers()
        return numbers


class Ledger:
    """Adds up the totals of all workers; a worker is known by its place and when it was born."""

    __slots__ = ("_connected", "_gone", "_gone_before", "_known")

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], Totals] = {}
        self._connected: set[tuple[int, int]] = set()
        self._gone_before: dict[int, int] = {}  # place -> birth of the youngest that is gone
        self._gone = _Sum()

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
        return dict(self.counted().decisions)

    def counted(self) -> Counted:
        """Everything that was counted, and the present of the connected workers."""
        sums = _Sum()
        sums.add_sum(self._gone)
        for totals in self._known.values():
            sums.add(totals)
        present = [self._known[worker] for worker in self._connected]
        for totals in present:
            sums.add_moment(totals)
        return Counted(
            decisions=sums.decisions,
            numbers=sums.numbers,
            endpoints=_shares(present),
            connections=sum(totals.connections for totals in present),
            shed=sums.shed,
        )

    def _fold(self, worker: int) -> None:
        births = sorted(born for place, born in self._known if place == worker)
        for born in births[:-1]:
            if (worker, born) not in self._connected:
                self._gone.add(self._known.pop((worker, born)))
                self._gone_before[worker] = max(born, self._gone_before.get(worker, -1))


def _add_counters(sums: Numbers, more: Numbers | VersionTotals) -> None:
    _add_each(sums.codes, more.codes)
    _add_each(sums.errors, more.errors)
    sums.retries += more.retries
    sums.mirrored += more.mirrored
    # A worker of another release may have other buckets; its counts would land in wrong ones.
    if len(more.duration) == len(sums.duration):
        sums.duration = list(map(add, sums.duration, more.duration))
        sums.duration_sum += more.duration_sum
    if len(more.first_byte) == len(sums.first_byte):
        sums.first_byte = list(map(add, sums.first_byte, more.first_byte))
        sums.first_byte_sum += more.first_byte_sum
    if len(more.inter_chunk) == len(sums.inter_chunk):
        sums.inter_chunk = list(map(add, sums.inter_chunk, more.inter_chunk))
        sums.inter_chunk_sum += more.inter_chunk_sum


def _add_each(sums: dict[Key, int], more: Mapping[Key, int]) -> None:
    for key, count in more.items():
        sums[key] = sums.get(key, 0) + count


def _shares(present: Iterable[Totals]) -> dict[tuple[str, str, str], float]:
    up: dict[tuple[str, str, str], list[bool]] = {}
    for totals in present:
        for route, version, url, is_up in totals.endpoints:
            up.setdefault((route, version, url), []).append(is_up)
    return {key: sum(said) / len(said) for key, said in up.items()}

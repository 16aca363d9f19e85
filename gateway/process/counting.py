"""What a worker's data plane has counted, made ready for the way to control."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Protocol

from gateway.metrics.numbers import Numbers
from gateway.metrics.standing import Vitals
from gateway.process.channel import Totals, VersionTotals

_UNKNOWN = Vitals()
_NOTHING: Mapping[str, int] = MappingProxyType({})


class CountingPlane(Protocol):
    """What is read of a data plane once a second; it counts since the process started."""

    @property
    def decisions(self) -> Mapping[tuple[str, str, str], int]:
        """By route, version and reason."""

    @property
    def numbers(self) -> Mapping[tuple[str, str], Numbers]:
        """By route and version, those that are gone from the table included."""

    @property
    def connections(self) -> int:
        """Open connections of clients."""

    @property
    def shed(self) -> Mapping[str, int]:
        """What was refused to protect the worker, by cause."""

    @property
    def dropped(self) -> Mapping[str, int]:
        """Log lines and spans that nobody took in time, by kind."""

    def endpoints(self) -> Iterable[tuple[str, str, str, bool]]:
        """Route, version, URL and whether it is up, of all endpoints in the table."""


def totals_of(
    plane: CountingPlane, vitals: Vitals = _UNKNOWN, dropped: Mapping[str, int] = _NOTHING
) -> Totals:
    """A copy that later counting does not change; with what others than the plane dropped."""
    return Totals(
        decisions=tuple((*key, count) for key, count in plane.decisions.items()),
        versions=tuple(
            version_totals(route, version, numbers)
            for (route, version), numbers in plane.numbers.items()
            if _is_touched(numbers)
        ),
        endpoints=tuple(plane.endpoints()),
        connections=plane.connections,
        shed=dict(plane.shed),
        dropped={**plane.dropped, **dropped},
        vitals=vitals,
    )


def _is_touched(numbers: Numbers) -> bool:
    # Of thousands of versions most have nothing to do: they cost nothing on the way.
    return bool(
        numbers.codes
        or numbers.errors
        or numbers.in_flight
        or numbers.retries
        or numbers.mirrored
        or numbers.mirror_failures
        or numbers.is_panicking
    )


def version_totals(route: str, version: str, numbers: Numbers) -> VersionTotals:
    """A copy of the counts of one version."""
    return VersionTotals(
        route=route,
        version=version,
        codes=dict(numbers.codes),
        errors=dict(numbers.errors),
        in_flight=numbers.in_flight,
        retries=numbers.retries,
        mirrored=numbers.mirrored,
        mirror_failures=dict(numbers.mirror_failures),
        is_panicking=numbers.is_panicking,
        duration=_counts(numbers.duration),
        duration_sum=numbers.duration_sum,
        first_byte=_counts(numbers.first_byte),
        first_byte_sum=numbers.first_byte_sum,
        inter_chunk=_counts(numbers.inter_chunk),
        inter_chunk_sum=numbers.inter_chunk_sum,
    )


def _counts(buckets: list[int]) -> tuple[int, ...]:
    return tuple(buckets) if any(buckets) else ()

"""What gateways send each second, as far as the judge reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

# A unit, and the buckets of its request by the METRICS, where it had such a time.
FirstTimes = tuple[int, int | None, int | None, int | None]


class Cell(Protocol):
    """What one arrival second added up to, on one version, since the last batch."""

    second: int
    route: str
    version: str
    arrived: int
    finished: int
    bad: int
    client_errors: int
    units: int
    bad_units: list[int]
    more_bad_units: int
    half_finished: int
    half_bad: int
    total: dict[int, int]
    first_byte: dict[int, int]
    gap: dict[int, int]
    first_units: list[int]
    first_times: list[FirstTimes]


class Events(Protocol):
    """What was told of answers after they were given."""

    second: int
    route: str
    version: str
    family: str
    n: int
    bad: int
    rated: list[tuple[int, bool]]


class Batch(Protocol):
    """What one gateway sent in one second."""

    @property
    def gateway(self) -> str: ...
    @property
    def sent(self) -> int: ...
    @property
    def cells(self) -> Sequence[Cell]: ...
    @property
    def events(self) -> Sequence[Events]: ...


METRICS = ("total", "first_byte", "gap")


def histograms(cell: Cell) -> Mapping[str, dict[int, int]]:
    return {"total": cell.total, "first_byte": cell.first_byte, "gap": cell.gap}

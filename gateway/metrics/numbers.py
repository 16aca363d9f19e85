"""What is counted of one version: plain numbers, since every request passes here several times.

A worker holds one `Numbers` per route and version; control adds those of all workers up. A
histogram is a list of counts, one for each bucket: number i counts what is at most bound i and
above the one before, the last one what is above all bounds.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

# OpenTelemetry's bounds and beyond them those that model servers use. They are a public interface:
# dashboards and alerts name them.
DURATION_BOUNDS: Final = (
    *(0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92),
    *(163.84, 327.68, 655.36),
)
FIRST_BYTE_BOUNDS: Final = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
    *(20.0, 40.0, 80.0, 160.0, 640.0, 2560.0),
)
INTER_CHUNK_BOUNDS: Final = (
    *(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5),
    *(5.0, 7.5, 10.0, 20.0, 40.0, 80.0),
)

# What `error` is told.
ERROR_KINDS: Final = (
    *("connect", "timeout", "protocol", "status_5xx", "stream_cut", "client_gone", "no_endpoint"),
    "overflow",
)

# What a copy's end is called when it is none that speaks for the mirror's version: not made, given
# up, or failed.
MIRROR_FAILURE_KINDS: Final = (
    *("busy", "rate", "bytes", "overload", "overflow", "no_endpoint"),
    *("gave_way", "client_gone", "failover", "incomplete", "stale", "internal"),
    *("connect", "timeout", "protocol", "stream_cut", "status_5xx"),
)


class Numbers:
    """The counts of one version since the process started; only `in_flight` ever falls."""

    __slots__ = (
        "codes",
        "duration",
        "duration_sum",
        "errors",
        "first_byte",
        "first_byte_sum",
        "in_flight",
        "inter_chunk",
        "inter_chunk_sum",
        "is_panicking",
        "mirror_failures",
        "mirrored",
        "retries",
    )

    def __init__(self) -> None:
        self.codes: dict[int, int] = {}  # status -> answers
        self.errors: dict[str, int] = {}  # kind -> failures
        self.in_flight = 0
        self.retries = 0
        self.mirrored = 0  # copies that were sent here
        self.mirror_failures: dict[str, int] = {}  # kind -> copies
        self.is_panicking = False  # so few endpoints are up that all are used
        self.duration = [0] * (len(DURATION_BOUNDS) + 1)
        self.duration_sum = 0.0
        self.first_byte = [0] * (len(FIRST_BYTE_BOUNDS) + 1)
        self.first_byte_sum = 0.0
        self.inter_chunk = [0] * (len(INTER_CHUNK_BOUNDS) + 1)
        self.inter_chunk_sum = 0.0

    def __repr__(self) -> str:
        return f"<Numbers: {sum(self.codes.values())} answers, {self.in_flight} in flight>"

    def finished(self, code: int, seconds: float) -> None:
        """A request was answered with `code`, its last byte after so many seconds."""
        codes = self.codes
        codes[code] = codes.get(code, 0) + 1
        self.duration[bisect_left(DURATION_BOUNDS, seconds)] += 1
        self.duration_sum += seconds

    def first_byte_after(self, seconds: float) -> None:
        """An answer began so many seconds after its request."""
        self.first_byte[bisect_left(FIRST_BYTE_BOUNDS, seconds)] += 1
        self.first_byte_sum += seconds

    def gap(self, seconds: float) -> None:
        """A piece of an answer came so many seconds after the one before."""
        self.inter_chunk[bisect_left(INTER_CHUNK_BOUNDS, seconds)] += 1
        self.inter_chunk_sum += seconds

    def error(self, kind: str) -> None:
        """Something failed that is to be charged to this version; `kind` is of ERROR_KINDS."""
        self.errors[kind] = self.errors.get(kind, 0) + 1


@dataclass(frozen=True, slots=True)
class Counted:
    """What all workers have counted, as one; what is now, of those that are connected."""

    decisions: Mapping[tuple[str, str, str], int] = field(default_factory=dict)  # ..., reason
    numbers: Mapping[tuple[str, str], Numbers] = field(default_factory=dict)  # route, version
    # route, version, URL -> share of the workers for whom it is up
    endpoints: Mapping[tuple[str, str, str], float] = field(default_factory=dict)
    connections: int = 0
    shed: Mapping[str, int] = field(default_factory=dict)  # cause -> refused requests
    dropped: Mapping[str, int] = field(default_factory=dict)  # kind -> lines, spans

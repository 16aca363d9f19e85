"""All that the judge of one release remembers: stored with the release, and read back exactly."""

from __future__ import annotations

import msgspec

from gateway.release.judge.families import LatencyFamily, RateFamily
from gateway.release.judge.late import Late
from gateway.release.judge.units import DistinctUnits

ERRORS = "errors"
CLIENT_ERRORS = "client-errors"
LATENCY = "latency"


class JudgeState(msgspec.Struct):
    """Evidence by family, and what is needed to trust it."""

    latency: LatencyFamily
    rates: dict[str, RateFamily] = msgspec.field(default_factory=dict)
    units: DistinctUnits = msgspec.field(default_factory=DistinctUnits)
    # Requests by nominal share, where it was known for sure.
    split: dict[float, list[int]] = msgspec.field(default_factory=dict)
    is_split_alarm: bool = False
    share: float | None = None
    first_second: int | None = None
    last_candidate: int | None = None
    last_stable: int | None = None
    candidate_requests: int = 0
    stable_requests: int = 0
    late: Late | None = None  # from the bake on

"""What a route carries now, from the numbers of the last minutes: what a forecast is made of."""

from __future__ import annotations

from typing import Protocol

from gateway.release.plan.forecast import Traffic
from gateway.state.strata import Batch

LOOK_BACK_SECONDS = 600.0
PAGE = 500


class StrataSource(Protocol):
    """Where the numbers of all gateways come from."""

    async def read(self, route: str, after_id: str, limit: int) -> list[Batch]: ...


async def traffic_of(strata: StrataSource, route: str, stable: str, now: float) -> Traffic:
    """Requests of all versions that weights decided, errors and units of stable."""
    position = f"{max(int((now - LOOK_BACK_SECONDS) * 1000), 0)}-0"
    requests = stable_requests = bad = units = 0
    seconds: set[int] = set()
    while batches := await strata.read(route, position, PAGE):
        position = batches[-1].id
        for batch in batches:
            seconds.add(batch.sent)
            for cell in batch.cells:
                requests += cell.finished
                if cell.version == stable:
                    stable_requests += cell.finished
                    bad += cell.bad
                    units += cell.units
    # Idle seconds send nothing, but traffic that comes and goes is not as much as it is at its top.
    span = max(seconds) - min(seconds) + 1 if seconds else 0
    return Traffic(
        requests_per_second=requests / span if span else 0.0,
        error_rate=bad / stable_requests if stable_requests else 0.0,
        # Each unit is told once a second: those of a second are not those of a minute, but a bound.
        units_per_second=units / span if span and units else None,
    )

"""What a route carries now."""

from __future__ import annotations

from gateway.metrics.strata import CellCounts
from gateway.release.conduct.traffic import traffic_of
from gateway.state.strata import Batch


class Strata:
    """Batches in a list; ids are their seconds."""

    def __init__(self, *batches: Batch) -> None:
        self.batches = batches

    async def read(self, route: str, after_id: str, limit: int) -> list[Batch]:
        after = int(after_id.partition("-")[0])
        return [b for b in self.batches if int(b.id.partition("-")[0]) > after][: min(limit, 7)]


def batch(second: int, *cells: tuple[str, int, int]) -> Batch:
    counts = tuple(
        CellCounts(second, "chat", version, n, n, bad, units=n // 2) for version, n, bad in cells
    )
    return Batch(f"{second * 1000}-0", "gw", second, counts)


async def test_all_versions_count_as_traffic_and_stable_tells_the_errors() -> None:
    batches = [batch(1000 + n, ("v1", 90, 9), ("v2", 10, 10)) for n in range(100)]
    traffic = await traffic_of(Strata(*batches), "chat", "v1", 1100.0)
    assert traffic.requests_per_second == 100
    assert traffic.error_rate == 0.1
    assert traffic.units_per_second == 45


async def test_what_is_older_than_ten_minutes_is_not_now() -> None:
    batches = [batch(1000, ("v1", 5000, 0)), batch(2000, ("v1", 30, 0)), batch(2002, ("v1", 30, 0))]
    traffic = await traffic_of(Strata(*batches), "chat", "v1", 2003.0)
    assert traffic.requests_per_second == 20


async def test_no_traffic_is_no_traffic() -> None:
    traffic = await traffic_of(Strata(), "chat", "v1", 2003.0)
    assert (traffic.requests_per_second, traffic.error_rate) == (0, 0)
    assert traffic.units_per_second is None

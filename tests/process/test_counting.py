"""What a data plane has counted, ready for the way to control."""

from __future__ import annotations

import pytest

from gateway.metrics.numbers import Numbers
from gateway.process.channel import Totals, VersionTotals, encode
from gateway.process.counting import totals_of
from tests.process.counted import FakePlane

V2 = ("chat", "v2")
URL = ("chat", "v2", "http://b", False)


def test_everything_a_plane_tells_is_in_its_totals() -> None:
    numbers = Numbers()
    numbers.finished(200, 0.015)
    numbers.first_byte_after(0.003)
    numbers.gap(100.0)
    numbers.error("stream_cut")
    numbers.in_flight, numbers.retries, numbers.mirrored, numbers.is_panicking = 1, 2, 3, True
    numbers.mirror_failures["busy"] = 4
    plane = FakePlane({(*V2, "weight"): 4}, {V2: numbers}, 5, {"memory": 6}, {"lines": 7}, [URL])
    assert totals_of(plane) == Totals(
        decisions=((*V2, "weight", 4),),
        versions=(
            VersionTotals(
                route="chat",
                version="v2",
                codes={200: 1},
                errors={"stream_cut": 1},
                in_flight=1,
                retries=2,
                mirrored=3,
                mirror_failures={"busy": 4},
                is_panicking=True,
                duration=tuple(numbers.duration),
                duration_sum=0.015,
                first_byte=tuple(numbers.first_byte),
                first_byte_sum=0.003,
                inter_chunk=tuple(numbers.inter_chunk),
                inter_chunk_sum=100.0,
            ),
        ),
        endpoints=(URL,),
        connections=5,
        shed={"memory": 6},
        dropped={"lines": 7},
    )


def test_totals_do_not_change_when_counting_goes_on() -> None:
    plane = FakePlane({(*V2, "weight"): 1}, {V2: Numbers()}, 1, {"lag": 1})
    plane.numbers[V2].finished(200, 0.1)
    plane.numbers[V2].error("timeout")
    plane.numbers[V2].mirror_failures["rate"] = 1
    totals = totals_of(plane)
    before = encode(totals)
    plane.numbers[V2].finished(200, 0.1)
    plane.numbers[V2].error("timeout")
    plane.numbers[V2].gap(0.1)
    plane.numbers[V2].mirror_failures["rate"] += 1
    plane.shed["lag"] += 1
    plane.decisions[*V2, "weight"] += 1
    assert encode(totals) == before
    assert encode(totals_of(plane)) != before


def test_versions_that_nothing_happened_to_are_not_sent() -> None:
    plane = FakePlane(numbers={("chat", f"v{n}"): Numbers() for n in range(1000)})
    assert totals_of(plane) == Totals()


@pytest.mark.parametrize(
    ("name", "value"),
    [("in_flight", 1), ("retries", 1), ("mirrored", 1), ("is_panicking", True),
     ("codes", {499: 1}), ("errors", {"connect": 1}), ("mirror_failures", {"rate": 1})],
)  # fmt: skip
def test_a_version_that_anything_happened_to_is_sent(name: str, value: object) -> None:
    plane = FakePlane(numbers={V2: Numbers()})
    setattr(plane.numbers[V2], name, value)
    [version] = totals_of(plane).versions
    assert getattr(version, name) == value


def test_a_gap_of_no_time_at_all_is_counted() -> None:
    plane = FakePlane(numbers={V2: Numbers()})
    plane.numbers[V2].finished(200, 0.0)
    plane.numbers[V2].gap(0.0)
    [version] = totals_of(plane).versions
    assert version.inter_chunk[0] == version.duration[0] == 1


def test_what_others_than_the_plane_dropped_is_told_beside_it() -> None:
    plane = FakePlane(dropped={"spans": 2})
    assert totals_of(plane, dropped={"strata": 3}).dropped == {"spans": 2, "strata": 3}
    assert plane.dropped == {"spans": 2}

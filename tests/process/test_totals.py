"""The counts of all workers, living and gone."""

from __future__ import annotations

import random

from gateway.metrics.numbers import Numbers
from gateway.metrics.standing import Vitals
from gateway.process.channel import Totals, VersionTotals, decode_for_control, encode
from gateway.process.counting import totals_of
from gateway.process.totals import Ledger
from tests.process.counted import FakePlane

KEY = ("chat", "v2", "weight")
V1, V2 = ("chat", "v1"), ("chat", "v2")


def counted(count: int) -> Totals:
    version = VersionTotals(route="chat", version="v2", codes={200: count})
    return Totals(decisions=((*KEY, count),), versions=(version,))


def codes(ledger: Ledger) -> dict[int, int]:
    return ledger.counted().numbers[V2].codes


def test_living_workers_are_added_up_and_a_later_word_replaces_an_earlier_one() -> None:
    ledger = Ledger()
    ledger.join(0, 10)
    ledger.join(1, 11)
    ledger.put(0, 10, counted(5))
    ledger.put(0, 10, counted(7))
    ledger.put(1, 11, counted(1))
    assert ledger.decisions() == {KEY: 8}
    assert codes(ledger) == {200: 8}


def test_what_a_dead_worker_had_counted_is_kept() -> None:
    ledger = Ledger()
    ledger.join(0, 10)
    ledger.put(0, 10, counted(5))
    ledger.leave(0, 10)
    assert ledger.decisions() == {KEY: 5}
    ledger.join(0, 20)
    ledger.put(0, 20, counted(2))
    assert ledger.decisions() == {KEY: 7}
    assert codes(ledger) == {200: 7}


def test_a_worker_that_comes_back_is_counted_once() -> None:
    ledger = Ledger()
    ledger.join(0, 10)
    ledger.put(0, 10, counted(5))
    ledger.leave(0, 10)
    ledger.join(0, 10)
    ledger.put(0, 10, counted(6))
    assert ledger.decisions() == {KEY: 6}


def test_a_worker_that_drains_beside_its_successor_counts_on_until_it_leaves() -> None:
    ledger = Ledger()
    ledger.join(0, 10)
    ledger.put(0, 10, counted(5))
    ledger.join(0, 20)
    ledger.put(0, 20, counted(1))
    ledger.put(0, 10, counted(9))
    assert ledger.decisions() == {KEY: 10}
    ledger.leave(0, 10)
    assert ledger.decisions() == {KEY: 10}


def test_a_worker_that_finishes_its_streams_is_heard_again_after_its_successor() -> None:
    ledger = Ledger()
    ledger.join(0, 10)
    ledger.put(0, 10, counted(5))
    ledger.leave(0, 10)
    ledger.join(0, 20)
    ledger.join(0, 10)
    ledger.put(0, 10, counted(6))
    assert ledger.decisions() == {KEY: 6}


def test_a_worker_that_was_given_up_is_not_counted_twice_when_it_comes_back() -> None:
    ledger = Ledger()
    folded = []
    for born in range(10):
        folded += [ledger.join(0, born)]
        ledger.put(0, born, counted(1))
        folded += [ledger.leave(0, born)]
    assert any(folded)
    assert ledger.has_folded(0, 0) and not ledger.has_folded(0, 9)
    assert not ledger.join(0, 0)
    assert not ledger.put(0, 0, counted(100))
    assert ledger.decisions() == {KEY: 10}


def test_a_ledger_goes_on_where_the_one_before_it_stood() -> None:
    before = Ledger()
    for born in range(10):
        before.join(0, born)
        before.put(0, born, counted(1))
        before.leave(0, born)
    before.join(1, 11)
    before.put(1, 11, counted(7))
    after = Ledger(before.gone, {(0, 9): counted(1), (0, 0): counted(1), (1, 11): counted(7)})
    # Worker 0 of birth 0 is in the sum; those of births 6 to 8 had files that were not read.
    assert after.decisions() == {KEY: 6 + 1 + 7}
    after.join(1, 11)
    after.put(1, 11, counted(9))
    assert after.decisions() == {KEY: 6 + 1 + 9}


def test_how_a_worker_is_comes_from_the_younger_of_two() -> None:
    ledger = Ledger()
    for born, resident in ((10, 5), (20, 6)):
        ledger.join(0, born)
        ledger.put(0, born, Totals(vitals=Vitals(resident_bytes=resident)))
    assert {place: one.resident_bytes for place, one in ledger.vitals.items()} == {0: 6}
    ledger.leave(0, 20)
    assert {place: one.resident_bytes for place, one in ledger.vitals.items()} == {0: 5}


def test_a_hundred_generations_of_dead_workers_leave_one_sum() -> None:
    ledger = Ledger()
    for born in range(100):
        ledger.join(0, born)
        ledger.put(0, born, counted(1))
        ledger.leave(0, born)
    assert ledger.decisions() == {KEY: 100}
    assert len(ledger._known) < 10


def worked(seed: int) -> FakePlane:
    """A plane that something of everything has happened to."""
    draw = random.Random(seed)
    plane = FakePlane(connections=draw.randrange(1, 9), shed={"lag": draw.randrange(1, 9)})
    plane.dropped = {"spans": draw.randrange(1, 9)}
    for version in (V1, V2):
        numbers = plane.numbers[version] = Numbers()
        for _ in range(50):
            numbers.finished(draw.choice((200, 404, 502)), draw.expovariate(1))
            numbers.first_byte_after(draw.expovariate(5))
            numbers.gap(draw.expovariate(20))
            numbers.error(draw.choice(("connect", "timeout")))
        numbers.in_flight = draw.randrange(1, 9)
        numbers.retries, numbers.mirrored = draw.randrange(9), draw.randrange(9)
        numbers.mirror_failures = {"busy": draw.randrange(9)}
        plane.decisions[(*version, "weight")] = draw.randrange(99)
    return plane


def sent(plane: FakePlane) -> Totals:
    totals = decode_for_control(encode(totals_of(plane))[4:])
    assert isinstance(totals, Totals)
    return totals


COUNTERS = ("duration", "first_byte", "inter_chunk")


def assert_sums(ledger: Ledger, planes: list[FakePlane]) -> None:
    """Every counter of the ledger is the sum of those of the planes, to the last count."""
    sums = ledger.counted()
    for version in (V1, V2):
        numbers, each = sums.numbers[version], [plane.numbers[version] for plane in planes]
        for code in (200, 404, 502):
            assert numbers.codes[code] == sum(one.codes.get(code, 0) for one in each)
        for kind in ("connect", "timeout"):
            assert numbers.errors[kind] == sum(one.errors.get(kind, 0) for one in each)
        assert numbers.retries == sum(one.retries for one in each)
        assert numbers.mirrored == sum(one.mirrored for one in each)
        busy = sum(one.mirror_failures["busy"] for one in each)
        assert numbers.mirror_failures == {"busy": busy}
        for name in COUNTERS:
            columns = zip(*(getattr(one, name) for one in each), strict=True)
            assert getattr(numbers, name) == [sum(column) for column in columns]
            total = sum(getattr(one, f"{name}_sum") for one in each)
            assert abs(getattr(numbers, f"{name}_sum") - total) < 1e-9
        key = (*version, "weight")
        assert sums.decisions[key] == sum(plane.decisions[key] for plane in planes)
    assert sums.shed == {"lag": sum(plane.shed["lag"] for plane in planes)}
    assert sums.dropped == {"spans": sum(plane.dropped["spans"] for plane in planes)}


def test_everything_that_is_counted_is_added_up_exactly() -> None:
    planes = [worked(seed) for seed in range(3)]
    ledger = Ledger()
    for place, plane in enumerate(planes):
        ledger.join(place, place)
        ledger.put(place, place, sent(plane))
    assert_sums(ledger, planes)
    assert ledger.counted().connections == sum(plane.connections for plane in planes)


def test_the_counters_of_the_dead_are_kept_exactly_and_their_present_goes_with_them() -> None:
    planes = [worked(seed) for seed in range(6)]
    ledger = Ledger()
    for generation, plane in enumerate(planes):
        ledger.join(0, generation)
        ledger.put(0, generation, sent(plane))
        ledger.leave(0, generation)
        assert_sums(ledger, planes[: generation + 1])
        now = ledger.counted()
        assert (now.connections, now.endpoints) == (0, {})
        assert all(numbers.in_flight == 0 for numbers in now.numbers.values())
    assert len(ledger._known) < len(planes)


def test_what_is_asked_for_twice_is_the_same_twice() -> None:
    ledger = Ledger()
    for born in range(3):
        ledger.join(0, born)
        ledger.put(0, born, sent(worked(born)))
        ledger.leave(0, born)
    first, second = ledger.counted(), ledger.counted()
    assert first.numbers[V2].duration == second.numbers[V2].duration
    assert first.decisions == second.decisions
    assert first.shed == second.shed


def test_requests_in_flight_are_those_of_connected_workers() -> None:
    ledger = Ledger()
    for place in (0, 1):
        ledger.join(place, place)
        version = VersionTotals(route="chat", version="v2", in_flight=3 + place)
        ledger.put(place, place, Totals(versions=(version,), connections=10))
    assert ledger.counted().numbers[V2].in_flight == 7
    ledger.leave(1, 1)
    assert ledger.counted().numbers[V2].in_flight == 3
    assert ledger.counted().connections == 10
    ledger.join(1, 1)  # its connection was lost, it was not
    assert ledger.counted().numbers[V2].in_flight == 7


def test_one_worker_in_panic_is_panic() -> None:
    ledger = Ledger()
    for place, panics in enumerate((False, True)):
        ledger.join(place, place)
        version = VersionTotals(route="chat", version="v2", retries=1, is_panicking=panics)
        ledger.put(place, place, Totals(versions=(version,)))
    assert ledger.counted().numbers[V2].is_panicking
    ledger.leave(1, 1)
    assert not ledger.counted().numbers[V2].is_panicking


def test_an_endpoint_is_as_healthy_as_the_share_of_workers_that_find_it_up() -> None:
    ledger = Ledger()
    url = ("chat", "v2", "http://b")
    for place, is_up in enumerate((True, False, False, True)):
        ledger.join(place, place)
        others = (("chat", "v1", url[2], True), ("rank", "v2", url[2], True))
        ledger.put(place, place, Totals(endpoints=((*url, is_up), *others)))
    assert ledger.counted().endpoints[url] == 0.5
    assert ledger.endpoints_of("chat", "v2") == {"http://b": 0.5}
    ledger.leave(1, 1)
    ledger.leave(2, 2)
    assert ledger.counted().endpoints[url] == 1.0
    assert ledger.endpoints_of("chat", "v2") == {"http://b": 1.0}
    assert ledger.endpoints_of("chat", "v3") == {}


def test_buckets_of_another_release_are_left_out_and_its_counters_are_not() -> None:
    ledger = Ledger()
    ledger.join(0, 0)
    version = VersionTotals(
        route="chat", version="v2", codes={200: 5}, duration=(5, 0), duration_sum=2.0
    )
    ledger.put(0, 0, Totals(versions=(version,)))
    numbers = ledger.counted().numbers[V2]
    assert numbers.codes == {200: 5}
    assert (sum(numbers.duration), numbers.duration_sum) == (0, 0.0)

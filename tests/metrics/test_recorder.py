from __future__ import annotations

import random
from collections import Counter

import pytest
from xxhash import xxh3_64_intdigest

from gateway.metrics import recorder as module
from gateway.metrics.firsts import AGAIN_SECONDS, UNIT_MASK
from gateway.metrics.recorder import Cell, StrataRecorder, Tally
from gateway.metrics.strata import (
    MOST_BAD_UNITS,
    CellCounts,
    EventCounts,
    bucket_of,
    merge,
)

ONE, TWO, THREE = "http://one", "http://two", "http://three"
OFFSET = 1_000_000.25  # of the wall clock


@pytest.fixture
def recorder() -> StrataRecorder:
    made = StrataRecorder()
    made.offset = OFFSET
    return made


@pytest.fixture
def tally(recorder: StrataRecorder) -> Tally:
    """Of v2 of a route, with one endpoint."""
    return recorder.follow("chat", {"v1": (ONE,), "v2": (TWO,)}, "first")["v2"]


def end(
    cell: Cell, *, bad: bool = False, unit: str = "", url: str | None = TWO, seconds: float = 0.1
) -> None:
    cell.ended(bad, unit.encode() or None, url, seconds, 0.0)


def taken(recorder: StrataRecorder, second: int = 60) -> list[CellCounts]:
    cells, _, _ = recorder.take(second)
    return merge(cells)


def place(unit: str) -> int:
    return xxh3_64_intdigest(unit.encode())


# Seconds


def test_a_request_belongs_to_the_second_of_the_wall_clock_in_which_it_came(
    recorder: StrataRecorder, tally: Tally
) -> None:
    for now in (9.74, 9.75, 10.74, 10.75):
        tally.arrived(now)
    assert [(one.second, one.arrived) for one in taken(recorder)] == [
        *((1_000_009, 1), (1_000_010, 2), (1_000_011, 1)),
    ]


def test_an_end_is_told_of_the_second_of_arrival_however_late(
    recorder: StrataRecorder, tally: Tally
) -> None:
    cell = tally.arrived(10.0)
    [before] = taken(recorder)
    assert (before.second, before.arrived, before.finished) == (1_000_010, 1, 0)
    assert taken(recorder) == []
    end(cell, seconds=300.0)
    [after] = taken(recorder)
    assert (after.second, after.arrived, after.finished) == (1_000_010, 0, 1)
    assert after.total == {bucket_of(300.0): 1}


def test_a_request_that_hangs_has_arrived_and_not_finished(
    recorder: StrataRecorder, tally: Tally
) -> None:
    tally.arrived(1.0)
    end(tally.arrived(1.1))
    [cell] = taken(recorder)
    assert (cell.arrived, cell.finished, cell.bad) == (2, 1, 0)


def test_who_comes_after_the_numbers_of_a_second_were_sent_is_told_next_and_may_hang(
    recorder: StrataRecorder, tally: Tally
) -> None:
    tally.arrived(1.0)
    taken(recorder)
    for now in (1.1, 1.2):
        tally.arrived(now)
    [cell] = taken(recorder)
    assert (cell.second, cell.arrived, cell.finished) == (1_000_001, 2, 0)


def test_a_clock_that_is_set_back_changes_the_seconds_and_loses_nothing(
    recorder: StrataRecorder, tally: Tally
) -> None:
    tally.arrived(1.0)
    recorder.offset -= 3600
    tally.arrived(1.5)  # of the second that has begun
    tally.arrived(2.5)
    cells = taken(recorder)
    assert [(one.second, one.arrived) for one in cells] == [(1_000_001, 2), (1_000_002 - 3600, 1)]


def test_what_was_taken_is_not_told_again_and_sums_are_the_truth(
    recorder: StrataRecorder,
) -> None:
    tallies = recorder.follow("chat", {"v1": (ONE,), "v2": (TWO, THREE)}, "first")
    chance = random.Random(7)
    open_cells: list[tuple[str, Cell]] = []
    truth: Counter[tuple[str, str]] = Counter()
    told: list[CellCounts] = []
    now = 0.0
    for _ in range(5000):
        now += chance.expovariate(200)
        version = chance.choice(("v1", "v2"))
        open_cells.append((version, tallies[version].arrived(now)))
        truth[version, "arrived"] += 1
        while open_cells and chance.random() < 0.5:
            version, cell = open_cells.pop(chance.randrange(len(open_cells)))
            is_bad, url = chance.random() < 0.1, chance.choice((TWO, THREE))
            cell.ended(is_bad, b"u%d" % chance.randrange(50), url, chance.random(), 0.01)
            truth[version, "finished"] += 1
            truth[version, "bad"] += is_bad
            truth[version, "total"] += 1
            truth[version, "half"] += url == THREE
        if chance.random() < 0.02:
            told += recorder.take(int(now))[0]
    told += recorder.take(int(now))[0]
    for version in ("v1", "v2"):
        of = [cell for cell in told if cell.version == version]
        for name in ("arrived", "finished", "bad"):
            assert sum(getattr(cell, name) for cell in of) == truth[version, name]
        assert sum(sum(cell.total.values()) for cell in of) == truth[version, "total"]
        assert sum(sum(cell.first_byte.values()) for cell in of) == truth[version, "total"]
    halves = [cell for cell in told if cell.version == "v2"]
    assert sum(cell.half_finished for cell in halves) == truth["v2", "half"]
    assert recorder.open == []


# What is counted


def test_ends_are_counted_by_what_they_were(recorder: StrataRecorder, tally: Tally) -> None:
    cells = [tally.arrived(1.0) for _ in range(4)]
    end(cells[0])
    end(cells[1], bad=True)
    end(cells[2])
    cells[2].refused()
    cells[3].ended(False, None, None, 0.0, 0.02, 0.5)
    [cell] = taken(recorder)
    assert (cell.arrived, cell.finished, cell.bad, cell.client_errors) == (4, 4, 1, 1)
    assert cell.total == {bucket_of(0.1): 3}
    assert cell.first_byte == {bucket_of(0.02): 1}
    assert cell.gap == {bucket_of(0.5): 1}


@pytest.mark.parametrize("seconds", [1e-9, 0.0004, 0.99, 1.0, 1.05, 7.0, 9000.0])
def test_times_get_the_bucket_that_readers_know(
    recorder: StrataRecorder, tally: Tally, seconds: float
) -> None:
    tally.arrived(1.0).ended(False, None, None, seconds, seconds)
    [cell] = taken(recorder)
    assert cell.total == cell.first_byte == {bucket_of(seconds): 1}


def test_a_route_with_one_version_is_not_recorded(recorder: StrataRecorder) -> None:
    assert recorder.follow("chat", {"v1": (ONE,)}, "first") == {}


# Halves


def test_every_other_endpoint_is_one_half(recorder: StrataRecorder) -> None:
    versions = {"v1": (ONE, TWO, THREE), "v2": (ONE,)}
    tally = recorder.follow("chat", versions, "first")["v1"]
    for url, bad in ((ONE, True), (TWO, True), (TWO, False), (THREE, False), (None, True)):
        end(tally.arrived(1.0), url=url, bad=bad)
    [cell] = taken(recorder)
    assert (cell.half_arrived, cell.half_finished, cell.half_bad) == (2, 2, 1)


def test_with_one_endpoint_half_of_the_units_are_one_half(
    recorder: StrataRecorder, tally: Tally
) -> None:
    units = [f"user-{number}" for number in range(200)]
    odd = sum(place(unit) % 2 for unit in units)
    assert 60 < odd < 140
    for unit in units:
        end(tally.arrived(1.0), unit=unit, bad=unit.endswith("7"))
    [cell] = taken(recorder)
    assert cell.half_finished == odd
    assert cell.half_bad == sum(place(unit) % 2 for unit in units if unit.endswith("7"))


def test_nobodys_requests_are_halved_in_turn(recorder: StrataRecorder, tally: Tally) -> None:
    for _ in range(100):
        end(tally.arrived(1.0))
    [cell] = taken(recorder)
    assert cell.half_finished == 50


# Units


def test_a_unit_counts_once_in_a_batch(recorder: StrataRecorder, tally: Tally) -> None:
    for unit in ("a", "b", "a", "", ""):
        end(tally.arrived(1.0), unit=unit)
    end(tally.arrived(2.0), unit="b")  # another second, the same batch
    assert [(one.finished, one.units) for one in taken(recorder)] == [(5, 2), (1, 0)]
    end(tally.arrived(2.1), unit="b")
    assert [one.units for one in taken(recorder)] == [1]


def test_a_unit_counts_when_its_request_ends(recorder: StrataRecorder, tally: Tally) -> None:
    cell = tally.arrived(1.0)
    assert [one.units for one in taken(recorder)] == [0]
    end(cell, unit="a")
    assert [one.units for one in taken(recorder)] == [1]


def test_the_first_bad_answer_of_a_unit_is_named_once_and_then_it_is_out(
    recorder: StrataRecorder, tally: Tally
) -> None:
    for bad in (False, True, True, False):
        end(tally.arrived(1.0), unit="a", bad=bad)
    end(tally.arrived(1.0), unit="b")
    [first] = taken(recorder)
    assert (first.units, first.bad, first.bad_units) == (2, 2, [place("a")])
    for bad in (True, False):
        end(tally.arrived(2.0), unit="a", bad=bad)
    end(tally.arrived(2.0), unit="b")
    [second] = taken(recorder)
    assert (second.units, second.bad, second.bad_units) == (1, 1, [])


def test_who_fails_is_always_among_those_who_could(recorder: StrataRecorder, tally: Tally) -> None:
    chance = random.Random(3)
    for _ in range(40):
        for _ in range(50):
            unit = f"user-{chance.randrange(100)}"
            end(tally.arrived(1.0), unit=unit, bad=chance.random() < 0.05)
        [cell] = taken(recorder)
        assert len(cell.bad_units) <= cell.units
        assert cell.units <= 100


def test_who_failed_on_stable_is_no_news_of_the_candidate(recorder: StrataRecorder) -> None:
    tallies = recorder.follow("chat", {"v1": (ONE,), "v2": (TWO,)}, "first")
    end(tallies["v1"].arrived(1.0), unit="a", bad=True)
    taken(recorder)
    end(tallies["v2"].arrived(2.0), unit="a", bad=True)
    [cell] = taken(recorder)
    assert (cell.version, cell.units, cell.bad, cell.bad_units) == ("v2", 0, 1, [])


def test_another_stage_begins_without_a_past(recorder: StrataRecorder) -> None:
    versions = {"v1": (ONE,), "v2": (TWO,)}
    tally = recorder.follow("chat", versions, "first")["v1"]
    end(tally.arrived(1.0), unit="a", bad=True)
    taken(recorder)
    assert recorder.follow("chat", versions, "first")["v1"] is tally
    assert len(tally.marked) == 1
    assert recorder.follow("chat", versions, "second")["v1"] is tally
    end(tally.arrived(2.0), unit="a", bad=True)
    [cell] = taken(recorder)
    assert (cell.units, cell.bad_units) == (1, [place("a")])


def test_more_units_than_there_is_room_for_are_counted_without_names(
    recorder: StrataRecorder, tally: Tally
) -> None:
    for number in range(MOST_BAD_UNITS + 7):
        end(tally.arrived(1.0), unit=f"user-{number}", bad=True)
    [cell] = taken(recorder)
    assert (len(cell.bad_units), cell.more_bad_units) == (MOST_BAD_UNITS, 7)
    assert cell.units == MOST_BAD_UNITS + 7


def test_the_memory_of_those_who_failed_is_bounded(
    recorder: StrataRecorder, tally: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_MARKED", 100)
    for number in range(250):
        end(tally.arrived(1.0), unit=f"user-{number}", bad=True)
    recorder.digest()
    assert set(tally.marked) == {place(f"user-{number}") for number in range(150, 250)}


def test_the_units_of_a_batch_rise_in_the_sketch_of_its_minute(
    recorder: StrataRecorder, tally: Tally
) -> None:
    for unit in ("a", "b", "a"):
        end(tally.arrived(1.0), unit=unit)
    _, _, [sketch] = recorder.take(125)
    assert (sketch.minute, sketch.route, sketch.version) == (2, "chat", "v2")
    assert len(sketch.registers) == 2
    end(tally.arrived(1.0), unit="a")
    assert recorder.take(126)[2] == []  # nothing new in this minute
    end(tally.arrived(1.0), unit="a")
    assert len(recorder.take(180)[2][0].registers) == 1


# The table


def test_a_version_keeps_its_tally_and_a_route_that_goes_tells_its_last(
    recorder: StrataRecorder,
) -> None:
    tallies = recorder.follow("chat", {"v1": (ONE,), "v2": (TWO,)}, "first")
    cell = tallies["v2"].arrived(1.0)
    later = recorder.follow("chat", {"v1": (ONE,), "v2": (TWO,), "v3": (THREE,)}, "first")
    assert later["v2"] is tallies["v2"]
    recorder.keep_only(["draw"])
    assert repr(recorder) == "<StrataRecorder of 0 routes, 1 cells to send>"
    end(cell)
    [told] = taken(recorder)
    assert (told.arrived, told.finished) == (1, 1)
    assert recorder.follow("chat", {"v1": (ONE,), "v2": (TWO,)}, "first")["v2"] is not cell.tally


def test_a_route_that_has_but_one_version_left_is_recorded_no_more(
    recorder: StrataRecorder,
) -> None:
    recorder.follow("chat", {"v1": (ONE,), "v2": (TWO,)}, "first")
    assert recorder.follow("chat", {"v1": (ONE,)}, "first") == {}
    assert repr(recorder) == "<StrataRecorder of 0 routes, 0 cells to send>"


def test_events_are_counted_by_second_version_and_family(recorder: StrataRecorder) -> None:
    for is_bad in (True, False):
        recorder.event(1.0, "chat", "v2", "shadow", is_bad)
    recorder.event(1.9, "chat", "v2", "shadow", True)
    _, events, _ = recorder.take(60)
    assert events == [
        EventCounts(1_000_001, "chat", "v2", "shadow", 2, 1),
        EventCounts(1_000_002, "chat", "v2", "shadow", 1, 1),
    ]
    assert recorder.take(60) == ([], [], [])


def test_everything_shows_what_it_is(recorder: StrataRecorder, tally: Tally) -> None:
    cell = tally.arrived(1.0)
    assert repr(tally) == "<Tally of chat v2>"
    assert repr(cell) == "<Cell v2 at 1000001: 1 came>"


# One request of each unit


def short(unit: str) -> int:
    return place(unit) & UNIT_MASK


def test_one_request_of_each_unit_is_told_with_its_own_times(
    recorder: StrataRecorder, tally: Tally
) -> None:
    first, second = tally.arrived(1.0, b"a"), tally.arrived(1.1, b"a")
    other = tally.arrived(2.1, b"b")
    second.ended(False, b"a", TWO, 0.1, 0.01, started=1.1)  # overtakes the one that came first
    first.ended(False, b"a", TWO, 3.0, 0.2, 0.5, 1.0)
    other.ended(False, b"b", TWO, 0.4, 0.0, started=2.1)
    told = {cell.second: (cell.first_units, cell.first_times) for cell in taken(recorder)}
    assert list(told.values()) == [
        ([short("a")], [(short("a"), bucket_of(3.0), bucket_of(0.2), bucket_of(0.5))]),
        ([short("b")], [(short("b"), bucket_of(0.4), None, None)]),
    ]


def test_an_arrival_is_told_of_before_its_end(recorder: StrataRecorder, tally: Tally) -> None:
    cell = tally.arrived(1.0, b"a")
    [told] = taken(recorder)
    assert (told.first_units, told.first_times) == ([short("a")], [])
    cell.ended(False, b"a", TWO, 9.0, 0.0, started=1.0)
    [told] = taken(recorder)
    assert (told.first_units, told.first_times) == ([], [(short("a"), bucket_of(9.0), None, None)])


def test_requests_without_a_unit_are_not_told_of_one_by_one(
    recorder: StrataRecorder, tally: Tally
) -> None:
    end(tally.arrived(1.0))
    [told] = taken(recorder)
    assert (told.arrived, told.first_units, told.first_times) == (1, [], [])


def test_other_weights_deal_users_anew(recorder: StrataRecorder) -> None:
    versions = {"v1": (ONE,), "v2": (TWO,)}
    told = []
    for second, weight in ((60, 5), (61, 5), (100, 25), (101, 25)):
        tally = recorder.follow("chat", versions, "first", weight)["v2"]
        recorder.take(second)
        cell = tally.arrived(float(second), b"a")
        cell.ended(False, b"a", TWO, 0.1, 0.0, started=float(second))
        told += [second for cell in taken(recorder, second) if cell.first_times]
    assert told == [60, 100]


def test_units_are_told_of_again_after_the_warm_up(recorder: StrataRecorder, tally: Tally) -> None:
    told = []
    for second in range(60, 60 + 2 * AGAIN_SECONDS):
        recorder.take(second)
        cell = tally.arrived(float(second), b"a")
        cell.ended(False, b"a", TWO, 0.1, 0.0, started=float(second))
        told += [second - 60 for cell in taken(recorder, second) if cell.first_units]
    assert told == [0, AGAIN_SECONDS]

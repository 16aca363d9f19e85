from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gateway.metrics.strata import (
    MOST_BAD_UNITS,
    MOST_RATED,
    CellCounts,
    EventCounts,
    bucket_of,
    edge_of,
    merge,
    merge_events,
)

SUMMED = (
    *("arrived", "finished", "bad", "client_errors", "units", "half_arrived", "half_finished"),
    *("half_bad", "more_bad_units"),
)
HISTOGRAMS = ("total", "first_byte", "gap")

counts = st.integers(0, 1000)
histograms = st.dictionaries(st.integers(-300, 200), st.integers(1, 50), max_size=4)
cells = st.builds(
    CellCounts,
    st.integers(100, 102),
    st.sampled_from(("chat", "draw")),
    st.sampled_from(("v1", "v2")),
    **dict.fromkeys(SUMMED, counts),
    **dict.fromkeys(HISTOGRAMS, histograms),
    bad_units=st.lists(st.integers(0, 2**64 - 1), max_size=5, unique=True),
)


@given(seconds=st.floats(min_value=1e-6, max_value=1e6))
def test_a_time_lies_between_the_edges_of_its_bucket(seconds: float) -> None:
    bucket = bucket_of(seconds)
    assert edge_of(bucket) <= seconds * (1 + 1e-9)
    assert seconds <= edge_of(bucket + 1) * (1 + 1e-9)


def test_times_of_next_to_nothing_have_one_bucket() -> None:
    assert bucket_of(0.0) == bucket_of(-1.0) == bucket_of(1e-9) == bucket_of(1e-6)
    assert bucket_of(0.0) == math.floor(math.log(1e-6) / math.log(1.05))


def test_times_before_a_second_have_negative_buckets() -> None:
    assert (bucket_of(0.999), bucket_of(1.0), bucket_of(1.06)) == (-1, 0, 1)


@given(given_cells=st.lists(cells, max_size=12), order=st.randoms())
def test_merged_cells_hold_the_sums_whatever_the_order(
    given_cells: list[CellCounts], order: object
) -> None:
    before = [msgspec.structs.astuple(cell) for cell in given_cells]
    merged = merge(given_cells)
    keys = [(one.second, one.route, one.version) for one in merged]
    assert len(set(keys)) == len(keys)
    for one in merged:
        parts = [
            cell
            for cell in given_cells
            if (cell.second, cell.route, cell.version) == (one.second, one.route, one.version)
        ]
        for name in SUMMED:
            assert getattr(one, name) == sum(getattr(cell, name) for cell in parts)
        for name in HISTOGRAMS:
            assert getattr(one, name) == added([getattr(cell, name) for cell in parts])
        assert set(one.bad_units) == {unit for cell in parts for unit in cell.bad_units}
    assert by_key(merge(list(reversed(given_cells)))) == by_key(merged)
    # In two steps, as control and then the judge do it.
    half = len(given_cells) // 2
    again = merge([*merge(given_cells[:half]), *merge(given_cells[half:])])
    assert by_key(again) == by_key(merged)
    assert [msgspec.structs.astuple(cell) for cell in given_cells] == before


def added(histograms: Sequence[dict[int, int]]) -> dict[int, int]:
    buckets = {bucket for one in histograms for bucket in one}
    return {bucket: sum(one.get(bucket, 0) for one in histograms) for bucket in buckets}


def by_key(merged: list[CellCounts]) -> dict[tuple[object, ...], tuple[object, ...]]:
    """The cells without the order in which units are named."""
    return {
        (one.second, one.route, one.version): (
            *(getattr(one, name) for name in (*SUMMED, *HISTOGRAMS)),
            sorted(one.bad_units),
        )
        for one in merged
    }


def test_a_unit_that_two_workers_name_is_named_once() -> None:
    [one] = merge([CellCounts(1, "chat", "v1", bad_units=units) for units in ([1, 2], [2, 3])])
    assert one.bad_units == [1, 2, 3]


def test_units_that_there_is_no_room_for_are_still_counted() -> None:
    many = [
        CellCounts(1, "chat", "v1", bad_units=list(range(first, first + 700)), more_bad_units=5)
        for first in (0, 700)
    ]
    [one] = merge(many)
    assert len(one.bad_units) == MOST_BAD_UNITS
    assert one.more_bad_units == 5 + 5 + 400


def test_events_of_one_kind_are_added_up() -> None:
    merged = merge_events(
        [
            EventCounts(1, "chat", "v1", "feedback", 2, 1),
            EventCounts(1, "chat", "v1", "shadow", 1, 1),
            EventCounts(1, "chat", "v1", "feedback", 3, 0),
            EventCounts(2, "chat", "v1", "feedback", 1, 1),
        ]
    )
    assert merged == [
        EventCounts(1, "chat", "v1", "feedback", 5, 1),
        EventCounts(1, "chat", "v1", "shadow", 1, 1),
        EventCounts(2, "chat", "v1", "feedback", 1, 1),
    ]


def test_of_units_that_two_workers_met_first_both_tell() -> None:
    one = CellCounts(1, "chat", "v1", first_units=[1], first_times=[(1, 5, None, 3)])
    other = CellCounts(1, "chat", "v1", first_units=[1, 2], first_times=[(2, -4, -9, None)])
    [both] = merge([one, other])
    assert both.first_units == [1, 1, 2]
    assert both.first_times == [(1, 5, None, 3), (2, -4, -9, None)]


def test_an_event_names_so_many_units_that_rated() -> None:
    rated = [(unit, False) for unit in range(MOST_RATED - 1)]
    events = [EventCounts(1, "chat", "v1", "feedback", len(rated), 0, rated) for _ in range(2)]
    [one] = merge_events(events)
    assert (one.n, len(one.rated)) == (2 * len(rated), MOST_RATED)


@given(cell=cells)
def test_a_cell_comes_back_from_the_wire_as_it_was(cell: CellCounts) -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(cell), type=CellCounts) == cell


def test_a_cell_of_a_later_release_is_read_as_far_as_it_is_known() -> None:
    longer = [*msgspec.to_builtins(CellCounts(1, "chat", "v1", 7)), "something new"]
    assert msgspec.convert(longer, CellCounts) == CellCounts(1, "chat", "v1", 7)

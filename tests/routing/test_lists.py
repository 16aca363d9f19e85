from __future__ import annotations

import mmap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.routing.lists import (
    OverlaidTable,
    PackedTable,
    TableBuilder,
    blacklist_name,
    digest,
    segment_name,
    whitelist_name,
)

WORD = 8
HEADER = 8 * WORD


def build(ids: list[bytes], expected: int | None = None, slice_size: int = 1000) -> PackedTable:
    builder = TableBuilder(len(ids) if expected is None else expected)
    for start in range(0, len(ids), slice_size):
        builder.add(ids[start : start + slice_size])
    return builder.finish()


def numbered(count: int, prefix: str = "user") -> list[bytes]:
    return [f"{prefix}-{number}".encode() for number in range(count)]


def test_lists_are_named_after_what_they_belong_to() -> None:
    assert whitelist_name("chat", "v2") == "route/chat/whitelist/v2"
    assert blacklist_name("chat") == "route/chat/blacklist"
    assert segment_name("beta") == "segment/beta"


def test_a_table_holds_its_members_and_no_strangers() -> None:
    members = numbered(5000)
    table = build(members)
    assert len(table) == 5000
    assert all(member in table for member in members)
    assert not any(stranger in table for stranger in numbered(5000, "stranger"))


@pytest.mark.parametrize("expected", [0, 1, 700, 20_000])
def test_a_wrong_expectation_changes_nothing_but_the_size(expected: int) -> None:
    members = numbered(20_000)
    table = build(members, expected)
    assert len(table) == 20_000
    assert all(member in table for member in members)
    assert table.digest == digest(members)


def test_an_empty_table_holds_nobody() -> None:
    table = build([])
    assert len(table) == 0
    assert table.digest == 0
    assert b"" not in table


def test_an_id_that_comes_twice_counts_once() -> None:
    members = numbered(3000)
    table = build(members + members[::-1] + members, expected=10)
    assert len(table) == 3000
    assert table.digest == digest(frozenset(members))


def test_an_id_that_comes_again_while_the_table_grows_counts_once() -> None:
    members = numbered(513)
    builder = TableBuilder(0)
    builder.add(members[:512])
    builder.add(members[512:])  # the table is full: a larger one takes over
    builder.add(members[:100])  # some of these are still only in the old one
    assert len(builder.finish()) == 513


def test_the_growth_can_be_settled_in_slices() -> None:
    members = numbered(1025)
    builder = TableBuilder(512)
    assert builder.settle()
    builder.add(members[:512])
    builder.add(members[512:520])
    slices = 1
    while not builder.settle(100):
        slices += 1
    assert slices > 5
    assert builder.settle()
    table = builder.finish()
    assert len(table) == 520
    assert all(member in table for member in members[:520])


def test_a_generator_can_be_added() -> None:
    builder = TableBuilder(10)
    builder.add(member for member in numbered(2000))
    assert len(builder.finish()) == 2000


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.lists(st.binary(max_size=4), max_size=3000), st.integers(0, 2000), st.integers(1, 700))
def test_a_table_equals_the_set_it_was_built_from(
    ids: list[bytes], expected: int, slice_size: int
) -> None:
    members = frozenset(ids)
    table = build(ids, expected, slice_size)
    assert len(table) == len(members)
    assert table.digest == digest(members)
    assert all(member in table for member in members)


def test_the_digest_depends_on_the_ids_and_not_on_their_order() -> None:
    members = numbered(100)
    assert digest(members) == digest(reversed(members))
    assert digest(members) != digest(members[:-1])
    assert digest(frozenset()) == 0


def test_a_million_ids_fit_into_20_mib() -> None:
    assert len(TableBuilder(1_000_000).finish().buffer) <= 20 * 2**20


def test_the_same_bytes_can_be_mapped_from_a_file(tmp_path: Path) -> None:
    members = numbered(2000)
    path = tmp_path / "list"
    path.write_bytes(build(members).buffer)
    with path.open("rb") as file:
        table = PackedTable(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    assert len(table) == 2000
    assert table.digest == digest(members)
    assert all(member in table for member in members)
    assert b"stranger" not in table


def test_the_buffer_is_not_for_writing() -> None:
    with pytest.raises(TypeError):
        build([b"a"]).buffer[0] = 1


def damaged(change: dict[int, int], keep: int | None = None) -> bytes:
    data = bytearray(build(numbered(100)).buffer)
    for word, value in change.items():
        data[word * WORD : (word + 1) * WORD] = value.to_bytes(WORD, "little")
    return bytes(data[:keep])


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "cannot be 0 bytes long"),
        (bytes(HEADER), "cannot be 64 bytes long"),
        (bytes(HEADER + WORD + 1), "cannot be 73 bytes long"),
        (bytes(HEADER + WORD), "not a packed list"),
        (damaged({0: 1}), "not a packed list"),
        (damaged({1: 2}), "not a packed list"),
        (damaged({2: 2**40}), "damaged or was cut short"),
        (damaged({}, HEADER + 1000 * WORD), "damaged or was cut short"),
        (damaged(dict.fromkeys(range(8, 8 + 1024), 7)), "damaged or was cut short"),
    ],
)
def test_bytes_that_are_no_table_are_refused_with_a_sentence(data: bytes, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        PackedTable(data)


def test_a_table_says_how_large_it_is() -> None:
    assert repr(build(numbered(3))) == "<PackedTable of 3 ids in 8256 bytes>"


def test_an_overlaid_table_follows_its_changes() -> None:
    base = build([b"alice", b"bob"])
    table = OverlaidTable(base, added=frozenset({b"carol"}), removed=frozenset({b"bob"}))
    assert b"alice" in table
    assert b"carol" in table
    assert b"bob" not in table
    assert b"dave" not in table
    assert repr(table) == "<<PackedTable of 2 ids in 8256 bytes>, 1 added, 1 removed>"


def test_an_id_that_is_added_again_wins_over_its_removal() -> None:
    table = OverlaidTable(frozenset({b"bob"}), frozenset({b"bob"}), frozenset({b"bob"}))
    assert b"bob" in table


ids = st.frozensets(st.integers(0, 3000).map(lambda number: b"%d" % number), max_size=1500)


@given(start=ids, comes=ids, goes=ids, expected=st.integers(0, 5000), is_settled=st.booleans())
@settings(deadline=None, max_examples=60)
def test_a_table_goes_on_from_a_finished_one_and_leaves_it_as_it_is(
    start: frozenset[bytes],
    comes: frozenset[bytes],
    goes: frozenset[bytes],
    expected: int,
    is_settled: bool,
) -> None:
    first = build(list(start), expected)
    before = bytes(first.buffer)
    builder = TableBuilder(expected, first)
    if is_settled:
        builder.settle()
    builder.add(comes)
    builder.discard(goes)
    table, wanted = builder.finish(), (start | comes) - goes
    assert len(table) == len(wanted)
    assert table.digest == digest(wanted)
    assert all((unit in table) == (unit in wanted) for unit in start | comes | goes)
    assert bytes(first.buffer) == before


def test_a_table_that_is_much_too_large_makes_room_for_those_that_come() -> None:
    builder = TableBuilder(0, build(numbered(600), 100_000))
    builder.add(numbered(5000))
    assert len(builder.finish()) == 5000

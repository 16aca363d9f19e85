"""A route can be brought back to any revision, or it is said why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import NotFoundError, RefusedError
from gateway.state.history import (
    Delta,
    Entry,
    combine,
    deltas_by_list,
    parse_delta,
    read_entries,
    read_newest_entries,
    way_back,
)
from gateway.state.keys import Keys
from gateway.state.raw import RouteState

V2 = "route/chat/whitelist/v2"
BLACK = "route/chat/blacklist"
KEYS = Keys()


def ids(*units: bytes) -> frozenset[bytes]:
    return frozenset(units)


def delta(added: bytes = b"", removed: bytes = b"", is_unknown: bool = False) -> Delta:
    """Ids of one letter each."""
    return Delta(
        frozenset(added[i : i + 1] for i in range(len(added))),
        frozenset(removed[i : i + 1] for i in range(len(removed))),
        is_unknown,
    )


def entry(revision: int, deltas: Mapping[str, Delta] | None = None, **changes: object) -> Entry:
    values: dict[str, object] = {
        "revision": revision, "at_ms": revision, "by": "me", "via": "api", "origin": "", "why": "",
        "op": "change", "fingerprint": "", "deltas": deltas or {},
        "state": RouteState(weights={"v2": str(revision)}), "lists": "some" if deltas else "",
    }  # fmt: skip
    return Entry(**(values | changes))  # type: ignore[arg-type]  # the test names real fields


class Stream:
    """A link whose store holds these entries of one stream."""

    def __init__(self, *rows: tuple[bytes, dict[bytes, bytes]]) -> None:
        self.rows = [
            [name, [word for pair in pairs.items() for word in pair]] for name, pairs in rows
        ]
        self.asked: list[Sequence[object]] = []

    async def call(self, *args: str | bytes | int) -> object:
        self.asked.append(args)
        return self.rows[::-1] if args[0] == "XREVRANGE" else self.rows


def head(revision: int, **fields: bytes) -> tuple[bytes, dict[bytes, bytes]]:
    state = msgspec.json.encode(RouteState(weights={"v2": str(revision)}))
    pairs = {"op": b"change", "by": b"me", "at": b"7", "print": b"p", "state": state, **fields}
    return b"%d-1" % revision, {name.encode(): value for name, value in pairs.items()}


# Deltas


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (b"", Delta()),
        (b"+5:alice-3:bob", Delta(ids(b"alice"), ids(b"bob"))),
        (b"+3:a:b+0:+2:+1", Delta(ids(b"a:b", b"", b"+1"))),
        (b"?", Delta(is_unknown=True)),
        (b"?+1:a", Delta(ids(b"a"), is_unknown=True)),
        (b"+1:a-2:\xff\x00", Delta(ids(b"a"), ids(b"\xff\x00"))),
        # Not ours, or cut short: what can be read is kept, and it is said that it is not all.
        (b"+1:a garbage", Delta(ids(b"a"), is_unknown=True)),
        (b"+5:al", Delta(is_unknown=True)),
        (b"*5:alice", Delta(is_unknown=True)),
        (b"+-5:alice", Delta(is_unknown=True)),
        (b"+\xc2\xb2:ab", Delta(is_unknown=True)),
        (b"+5", Delta(is_unknown=True)),
        (b"+" + b"9" * 5000 + b":a", Delta(is_unknown=True)),
        (b"\xff\xfe", Delta(is_unknown=True)),
    ],
)
def test_what_a_revision_did_to_a_list_is_read(text: bytes, wanted: Delta) -> None:
    assert parse_delta(text) == wanted


@given(st.binary(max_size=60))
def test_no_bytes_in_a_history_make_reading_fail(text: bytes) -> None:
    parse_delta(text)


@given(st.sets(st.binary(max_size=9), max_size=5), st.sets(st.binary(max_size=9), max_size=5))
def test_any_ids_are_read_back(added: set[bytes], removed: set[bytes]) -> None:
    text = b"".join(
        b"%b%d:%b" % (sign, len(unit), unit)
        for sign, units in ((b"+", added), (b"-", removed))
        for unit in units
    )
    assert parse_delta(text) == Delta(frozenset(added), frozenset(removed))


@pytest.mark.parametrize(
    ("steps", "wanted"),
    [
        ([], Delta()),
        ([delta(b"a")], delta(b"a")),
        ([delta(b"a"), delta(b"b")], delta(b"ab")),
        ([delta(b"a"), delta(b"", b"a")], delta(b"", b"a")),
        ([delta(b"", b"a"), delta(b"a")], delta(b"a")),
        ([delta(b"ab", b"c"), delta(b"c", b"a")], delta(b"bc", b"a")),
        ([delta(b"a"), delta(is_unknown=True)], delta(b"a", is_unknown=True)),
    ],
)
def test_several_deltas_amount_to_one(steps: list[Delta], wanted: Delta) -> None:
    assert combine(steps) == wanted


def test_what_is_accounted_for_is_left_out() -> None:
    assert delta(b"abc", b"de").without(delta(b"a", b"d")) == delta(b"bc", b"e")
    assert delta(b"a", is_unknown=True).without(delta(b"b")) == delta(b"a", is_unknown=True)
    assert not delta(is_unknown=True).without(delta(is_unknown=True))
    assert delta(is_unknown=True)
    assert not Delta()


def test_entries_are_told_list_by_list() -> None:
    entries = [entry(1, {V2: delta(b"a")}), entry(2, {BLACK: delta(b"z"), V2: delta(b"b", b"a")})]
    assert deltas_by_list(entries) == {V2: delta(b"b", b"a"), BLACK: delta(b"z")}


# Reading


async def test_a_revision_is_its_head_and_the_ids_before_it() -> None:
    stream = Stream(
        head(1), (b"2-0", {V2.encode(): b"+1:a", BLACK.encode(): b"-1:b"}), head(2, why=b"because")
    )
    first, second = await read_entries(stream, KEYS, "chat")
    assert (first.revision, first.state.weights, first.deltas) == (1, {"v2": "1"}, {})
    assert (second.revision, second.at_ms, second.by, second.why) == (2, 7, "me", "because")
    assert second.deltas == {V2: delta(b"a"), BLACK: delta(b"", b"b")}
    newest = await read_newest_entries(stream, KEYS, "chat", 1)
    assert newest == [second]
    assert stream.asked[0] == ("XRANGE", "gray:route:chat:history", "1-0", "+", "COUNT", 2_000_000)


async def test_what_others_wrote_into_the_stream_is_passed_over() -> None:
    stream = Stream(
        (b"1-0", {b"\xff": b"\xff"}),
        head(1, at=b"9" * 5000, by=b"\xff"),
        (b"1-5", {b"state": b"{}"}),
        (b"1700000000000-0", {b"hello": b"world"}),
        (b"1700000000000-1", {b"hello": b"world"}),
    )
    [one] = await read_entries(stream, KEYS, "chat")
    assert (one.revision, one.at_ms, one.by) == (1, 0, "\ufffd")
    assert one.deltas == {"\ufffd": Delta(is_unknown=True)}


@pytest.mark.parametrize(
    "state", [b"", b"{", b"[]", b'{"weights": 5}', b"\xff", b'{"x":' + b"[" * 100_000]
)
async def test_a_state_that_cannot_be_read_is_known_to_be_none(state: bytes) -> None:
    [one] = await read_entries(Stream(head(1, state=state)), KEYS, "chat")
    assert not one.is_whole
    with pytest.raises(RefusedError, match="cannot be read"):
        way_back("chat", 1, [one])


async def test_no_stream_is_no_history() -> None:
    class Nothing:
        async def call(self, *_: object) -> object:
            return None

    assert await read_entries(Nothing(), KEYS, "chat") == []
    assert await read_newest_entries(Nothing(), KEYS, "chat", 5) == []


# The way back


def test_the_way_back_undoes_the_newest_first() -> None:
    entries = [
        entry(1),
        entry(2, {V2: delta(b"a")}),
        entry(3, {V2: delta(b"b", b"a"), BLACK: delta(b"z")}),
        entry(4, {V2: delta(b"", b"b")}),
    ]
    back = way_back("chat", 1, entries)
    assert back.state.weights == {"v2": "1"}
    assert back.lists == {V2: delta(b"", b"ab"), BLACK: delta(b"", b"z")}
    back = way_back("chat", 3, entries[2:])
    assert back.lists == {V2: delta(b"b")}
    assert way_back("chat", 4, entries[3:]).lists == {}


@pytest.mark.parametrize("entries", [[], [entry(2)], [entry(2), entry(3)]])
def test_a_revision_that_is_not_in_the_history_is_not_found(entries: list[Entry]) -> None:
    with pytest.raises(NotFoundError, match="graygate history chat"):
        way_back("chat", 1, entries)


def test_there_is_no_way_back_to_a_deletion() -> None:
    with pytest.raises(RefusedError, match="deletion"):
        way_back("chat", 1, [entry(1, op="delete"), entry(2)])
    assert way_back("chat", 1, [entry(1), entry(2, op="delete"), entry(3)]).lists == {}


def test_there_is_no_way_back_across_what_nobody_saw() -> None:
    entries = [entry(1), entry(2), entry(3, {V2: delta(b"a", is_unknown=True)}), entry(4)]
    with pytest.raises(RefusedError, match="from 3 on"):
        way_back("chat", 1, entries)
    assert way_back("chat", 3, entries[2:]).state.weights == {"v2": "3"}


@pytest.mark.parametrize(
    "rest",
    [
        [entry(2), entry(4)],  # an entry was removed by hand
        [entry(2), entry(3), entry(4, lists=f"{V2} +3 -0")],  # or the ids in front of one
    ],
)
def test_there_is_no_way_back_across_a_gap_in_the_history(rest: list[Entry]) -> None:
    with pytest.raises(RefusedError, match="removed from the history of chat before revision 4"):
        way_back("chat", 1, [entry(1), *rest])


Edit = tuple[dict[str, int], list[tuple[str, bytes, bool]]]
edits = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from(["v2", "v3"]), st.integers(0, 50)),
        st.lists(
            st.tuples(
                st.sampled_from([V2, BLACK]),
                st.sampled_from([b"a", b"b", b"c", b"d"]),
                st.booleans(),
            ),
            max_size=4,
        ),
    ),
    min_size=1,
    max_size=12,
)


@given(edits, st.data())
def test_after_any_sequence_of_changes_any_revision_can_be_restored_exactly(
    sequence: list[Edit], data: st.DataObject
) -> None:
    lists: dict[str, frozenset[bytes]] = {V2: ids(b"a"), BLACK: ids()}
    entries: list[Entry] = []
    stood: list[dict[str, frozenset[bytes]]] = []
    for number, (weights, changes) in enumerate(sequence, start=1):
        before = dict(lists)
        for name, unit, is_added in changes:
            lists[name] = lists[name] | {unit} if is_added else lists[name] - {unit}
        deltas = {
            name: Delta(lists[name] - before[name], before[name] - lists[name])
            for name in lists
            if lists[name] != before[name]
        }
        state = RouteState(weights={name: str(value) for name, value in weights.items()})
        entries.append(entry(number, deltas, state=state))
        stood.append(dict(lists))
    wanted = data.draw(st.integers(1, len(entries)), label="revision")

    back = way_back("chat", wanted, entries[wanted - 1 :])

    assert back.state == entries[wanted - 1].state
    for name in lists:
        change = back.lists.get(name, Delta())
        assert (lists[name] | change.added) - change.removed == stood[wanted - 1][name]


@given(
    st.lists(st.binary(min_size=1, max_size=3) | st.sampled_from([b"+1:a", b"-1:", b"+3:+1:"])),
    st.sampled_from([b"+", b"-"]),
)
def test_ids_of_any_bytes_are_read_as_they_were_told(units: list[bytes], sign: bytes) -> None:
    text = b"".join(sign + b"%d:" % len(unit) + unit for unit in units)
    told = frozenset(units)
    assert parse_delta(text) == (Delta(told) if sign == b"+" else Delta(removed=told))
    both = parse_delta(text + b"+5:alice-3:bob")
    assert both.added >= {b"alice"}
    assert both.removed >= {b"bob"}
    assert both.added | both.removed == told | {b"alice", b"bob"}

"""What was done by hand is told from what the history tells, whatever a reading saw of either."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.routing.lists import TableBuilder, digest
from gateway.state.history import Delta, combine
from gateway.state.reconcile import digest_of, overlaid, unexplained
from gateway.state.scan import Scanned, apply, difference
from gateway.state.snapshot import MemberList

UNITS = [b"u%d" % number for number in range(8)]
HANDS = [b"h%d" % number for number in range(4)]  # nobody but a hand touches these

NAME = "route/chat/whitelist/v2"


def packed(ids: frozenset[bytes]) -> MemberList:
    builder = TableBuilder(len(ids))
    builder.add(ids)
    return MemberList(NAME, builder.finish(), 1)


@dataclass
class World:
    """A set in the store, who changed it, and what the history tells."""

    now: set[bytes]
    told: list[Delta] = field(default_factory=list)
    by_hand: list[Delta] = field(default_factory=list)

    def change(self, *, by_hand: bool, comes: bool, units: frozenset[bytes]) -> None:
        """Only what has an effect is told, as the write script does it."""
        units = units - self.now if comes else units & self.now
        (self.now.update if comes else self.now.difference_update)(units)
        delta = Delta(added=units) if comes else Delta(removed=units)
        (self.by_hand if by_hand else self.told).append(delta)


units = st.frozensets(st.sampled_from(UNITS), max_size=5)
hands = st.frozensets(st.sampled_from(HANDS), max_size=2)
changes = st.lists(
    st.one_of(
        st.tuples(st.just(False), st.booleans(), units),
        st.tuples(st.just(True), st.booleans(), hands),
    ),
    max_size=6,
)


async def reading(
    held: MemberList, slices: tuple[bytes, ...] | None, saw: set[bytes], told: Delta, window: Delta
) -> tuple[Scanned, Delta]:
    """What a scan that saw this makes of it, as `LargeLists` does it."""
    builder, kept = TableBuilder(0), [msgspec.msgpack.encode(sorted(saw))]
    builder.add(saw)
    await apply(builder, window, kept)
    scanned = Scanned(builder.finish(), tuple(kept))
    if digest_of(overlaid(held, told)) == scanned.table.digest:
        return scanned, Delta()
    return scanned, await difference(held, slices, scanned, told)


@given(
    start=st.frozensets(st.sampled_from(UNITS + HANDS)),
    before=changes,
    during=changes,
    seen_at=st.lists(st.integers(0, 20), min_size=12, max_size=12),
    is_known=st.booleans(),
)
def test_a_scan_finds_just_what_was_done_by_hand_whatever_it_saw_of_the_rest(
    start: frozenset[bytes],
    before: list[tuple[bool, bool, frozenset[bytes]]],
    during: list[tuple[bool, bool, frozenset[bytes]]],
    seen_at: list[int],
    is_known: bool,
) -> None:
    world = World(set(start))
    for by_hand, comes, some in before:
        world.change(by_hand=by_hand, comes=comes, units=some)
    told_before, moments = list(world.told), [set(world.now)]
    for by_hand, comes, some in during:
        world.change(by_hand=by_hand, comes=comes, units=some)
        moments.append(set(world.now))
    window = combine(world.told[len(told_before) :])
    # Each id is seen as it was at some moment of the scan, each at another.
    saw = {
        unit
        for unit, at in zip(UNITS + HANDS, seen_at, strict=True)
        if unit in moments[at % len(moments)]
    }

    async def both() -> tuple[Scanned, Delta, Scanned, Delta]:
        held = packed(start)
        slices = (msgspec.msgpack.encode(sorted(start)),) if is_known else None
        first, found = await reading(held, slices, saw, combine(world.told), window)
        # What a hand did meanwhile was named once more, so the list is read again.
        then = MemberList(NAME, first.table, 2)
        last, rest = await reading(then, first.slices, world.now, Delta(), Delta())
        return first, found, last, rest

    first, found, last, rest = asyncio.run(both())
    assert last.table.digest == digest(world.now)
    assert not rest.is_unknown
    for unit in UNITS:
        assert (unit in first.table) == (unit in world.now)
        assert unit not in found.added | found.removed | rest.added | rest.removed
    done = [(unit in found.added) + (unit in rest.added) for unit in HANDS]
    undone = [(unit in found.removed) + (unit in rest.removed) for unit in HANDS]
    for unit, came, went in zip(HANDS, done, undone, strict=True):
        if is_known or not found.is_unknown:
            assert came - went == (unit in world.now) - (unit in start)
            assert came <= 1
            assert went <= 1
    if not any(by_hand for by_hand, _, _ in before + during):
        assert not found


A, B, NONE = frozenset([b"a"]), frozenset([b"b"]), frozenset[bytes]()


@pytest.mark.parametrize(
    ("changed", "told", "after", "wanted"),
    [
        (Delta(A), Delta(A), A, Delta()),
        (Delta(removed=A), Delta(removed=A), NONE, Delta()),
        (Delta(), Delta(A), NONE, Delta(removed=A)),
        (Delta(), Delta(removed=A), A, Delta(A)),
        (Delta(A | B), Delta(A), A | B, Delta(B)),
    ],
)
def test_what_a_hand_undid_of_what_was_told_is_found(
    changed: Delta, told: Delta, after: frozenset[bytes], wanted: Delta
) -> None:
    assert unexplained(changed, told, after) == wanted

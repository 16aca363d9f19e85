"""Lists of any size: read in time, and every change by hand told to the history."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from gateway.errors import RefusedError
from gateway.routing.lists import PackedTable
from gateway.state.history import Delta, read_newest_entries
from gateway.state.large import MAX_OVERLAY_IDS
from gateway.state.lastgood import LastGood
from gateway.state.listed import SMALL_IDS
from gateway.state.snapshot import MemberList
from gateway.state.store import Store
from gateway.state.write import Change
from tests.servers import Server
from tests.state.following import (
    ME,
    eventually,
    following,
    leading,
    loaded,
    never,
    reasons,
    seed,
)

V2 = "route/chat/whitelist/v2"
KEY = "gray:route:chat:whitelist:v2"


def fill(server: Server, count: int, key: str = KEY) -> None:
    with server.client() as client:
        for start in range(0, count, 10_000):
            client.sadd(key, *(f"user-{n}" for n in range(start, min(start + 10_000, count))))


def large(store: Store) -> MemberList:
    return store.snapshot.lists[V2]


def holds(store: Store, unit: bytes) -> bool:
    return unit in store.snapshot.lists[V2].container


def _both(store: Store, one: bytes, other: bytes) -> bool:
    return holds(store, one) and holds(store, other)


async def newest(store: Store) -> tuple[int, str, Delta]:
    """The newest revision, how it was made, and what it did to the whitelist."""
    [entry] = await read_newest_entries(await store.link(), store.keys, "chat", 1)
    return entry.revision, entry.via, entry.deltas.get(V2, Delta())


async def test_a_large_list_is_packed_and_a_small_one_is_exact(store: Server) -> None:
    seed(store)
    fill(store, SMALL_IDS + 10_000)
    async with following(store) as followed:
        await loaded(followed)
        assert isinstance(large(followed).base, PackedTable)
        assert len(large(followed)) == SMALL_IDS + 10_000
        assert holds(followed, b"user-7")
        assert not holds(followed, b"user-x")
        with store.client() as client:
            client.srem(KEY, *(f"user-{n}" for n in range(20_000)))
        await eventually(
            lambda: isinstance(large(followed).base, frozenset), "the list became small"
        )
        assert len(large(followed)) == SMALL_IDS - 10_000
        fill(store, SMALL_IDS + 1)
        await eventually(
            lambda: isinstance(large(followed).base, PackedTable), "the list became large"
        )
        # A look that began when the list was small may be taken first; it is put right by the next.
        await eventually(lambda: holds(followed, b"user-7"), "user-7 is back")


async def test_a_hand_made_change_of_a_large_list_is_in_force_and_recorded(store: Server) -> None:
    seed(store)
    fill(store, SMALL_IDS + 5_000)
    async with following(store, poll_seconds=60.0) as followed:
        await loaded(followed)
        await leading(followed)
        await eventually(lambda: followed.snapshot.routes["chat"].revision == 1, "recorded")
        # A reading that is under way might see half of what changes at once.
        await eventually(lambda: followed._lists.is_idle, "nothing is being read")
        with store.client() as client, client.pipeline(transaction=True) as both:
            both.sadd(KEY, "alice")
            both.srem(KEY, "user-3")
            both.execute()
        await eventually(
            lambda: holds(followed, b"alice") and not holds(followed, b"user-3"), "in force"
        )
        await eventually(lambda: followed.snapshot.routes["chat"].revision == 2, "recorded")
        assert await newest(followed) == (
            2, "redis", Delta(frozenset([b"alice"]), frozenset([b"user-3"])),
        )  # fmt: skip
        back = await followed.writer.revert("chat", 1, ME)
        await eventually(lambda: holds(followed, b"user-3"), "user-3 is back")
        assert not holds(followed, b"alice")
        assert back.revision == 3
        assert store.cli(f"SCARD {KEY}") == SMALL_IDS + 5_000


async def test_a_change_of_a_large_list_by_our_own_tools_needs_no_scan(store: Server) -> None:
    seed(store)
    fill(store, SMALL_IDS + 1)
    async with following(store, poll_seconds=60.0) as followed:
        await loaded(followed)
        await leading(followed)
        generation = large(followed).generation
        delta = Delta(frozenset([b"alice", b"user-1"]), frozenset([b"user-2", b"nobody"]))
        await followed.writer.change("chat", Change(lists={V2: delta}), ME)
        await eventually(lambda: holds(followed, b"alice"), "alice is on the list")
        assert not holds(followed, b"user-2")
        assert holds(followed, b"user-1")
        back = Delta(frozenset([b"user-2"]), frozenset([b"alice"]))
        written = await followed.writer.change("chat", Change(lists={V2: back}), ME)
        await eventually(lambda: not holds(followed, b"alice"), "alice is off the list")
        assert holds(followed, b"user-2")
        assert large(followed).generation == generation
        assert (large(followed).added, large(followed).removed) == (frozenset(), frozenset())
        # The list may be in force a moment before its revision is.
        await never(
            lambda: followed.snapshot.routes["chat"].revision > written.revision,
            "our own change recorded as made by hand",
            0.3,
        )


async def test_many_changes_of_a_large_list_are_packed_anew(store: Server) -> None:
    seed(store)
    fill(store, SMALL_IDS + 1)
    async with following(store) as followed:
        await loaded(followed)
        generation = large(followed).generation
        ids = frozenset(b"new-%d" % n for n in range(MAX_OVERLAY_IDS + 1))
        await followed.writer.change("chat", Change(lists={V2: Delta(ids)}), ME)
        await eventually(lambda: large(followed).generation != generation, "packed anew")
        assert not large(followed).added
        assert len(large(followed)) == SMALL_IDS + 1 + len(ids)
        assert not followed._lists.pending


async def test_a_hand_edit_beside_a_tools_edit_is_not_lost(store: Server) -> None:
    seed(store)
    fill(store, SMALL_IDS + 1)
    async with following(store) as followed:
        await loaded(followed)
        await leading(followed)
        for number in range(5):
            hand, tool = b"hand-%d" % number, b"tool-%d" % number
            store.execute("SADD", KEY, hand)
            await followed.writer.change("chat", Change(lists={V2: Delta(frozenset([tool]))}), ME)
            await eventually(partial(_both, followed, hand, tool), "both are there")
        await eventually(
            lambda: "hand-4" in str(store.cli("XRANGE gray:route:chat:history - +")),
            "everything is recorded",
        )
        entries = await read_newest_entries(await followed.link(), followed.keys, "chat", 50)
        by_hand = {
            unit
            for entry in entries
            if entry.via == "redis" and V2 in entry.deltas
            for unit in entry.deltas[V2].added
        }
        assert by_hand == {b"hand-%d" % number for number in range(5)}


async def test_a_list_that_changes_while_it_is_scanned_ends_up_right(store: Server) -> None:
    seed(store)
    fill(store, 3 * SMALL_IDS)
    async with following(store) as followed:
        await loaded(followed)
        for number in range(30):
            store.execute("SADD", KEY, f"late-{number}")
            store.execute("SREM", KEY, f"user-{number}")
        # A scan may see some of the edits and not others; the one after it sees all of them.
        await eventually(
            lambda: all(
                holds(followed, b"late-%d" % n) and not holds(followed, b"user-%d" % n)
                for n in range(30)
            ),
            "in force",
        )
        assert len(large(followed)) == 3 * SMALL_IDS


async def test_ids_typed_by_hand_may_be_any_bytes(store: Server) -> None:
    odd = [b"\x00", b"\xff\xfe", b"a\nb", b" a ", "\u00e9".encode(), b"x" * 256, b"+5:x-3:y", b"?"]
    seed(store)
    async with following(store) as followed:
        await loaded(followed)
        await leading(followed)
        await eventually(lambda: followed.snapshot.routes["chat"].revision == 1, "recorded")
        store.execute("SADD", KEY, *odd)
        await eventually(lambda: followed.snapshot.routes["chat"].revision == 2, "recorded")
        await eventually(lambda: all(holds(followed, unit) for unit in odd), "all are there")
        _, _, delta = await newest(followed)
        assert delta == Delta(frozenset(odd))


async def test_an_edit_made_while_nobody_watched_is_told_as_far_as_it_is_known(
    store: Server, tmp_path: Path
) -> None:
    seed(store)
    fill(store, SMALL_IDS + 1)
    async with following(store, state_dir=tmp_path) as followed:
        await loaded(followed)
        await leading(followed)
        await eventually(lambda: saved_revision(tmp_path) == 1, "recorded and saved")
    store.execute("SREM", KEY, "user-1")
    store.execute("SADD", KEY, "alice")
    async with following(store, state_dir=tmp_path) as followed:
        assert holds(followed, b"user-1")
        await eventually(lambda: holds(followed, b"alice"), "scanned again")
        await leading(followed)
        await eventually(
            lambda: followed.snapshot.routes["chat"].revision == 2, "the change is recorded"
        )
        _, via, delta = await newest(followed)
        assert (via, delta.added, delta.is_unknown) == ("redis", frozenset([b"alice"]), True)
        with pytest.raises(RefusedError, match="nobody saw"):
            await followed.writer.revert("chat", 1, ME)


def saved_revision(folder: Path) -> int:
    """The revision of the route in the last good table on disk; 0 = none."""
    snapshot, _ = LastGood(folder).load()
    return snapshot.routes["chat"].revision if snapshot and snapshot.routes else 0


async def test_very_many_ids_by_hand_are_recorded_in_portions_and_can_be_taken_back(
    store: Server,
) -> None:
    seed(store)
    async with following(store, timeout_seconds=10.0) as followed:
        await loaded(followed)
        await leading(followed)
        await eventually(lambda: followed.snapshot.routes["chat"].revision == 1, "recorded")
        fill(store, 130_000)
        await eventually(lambda: len(large(followed)) == 130_000, "in force")
        await eventually(
            lambda: followed.snapshot.routes["chat"].revision >= 7 and followed._lists.is_idle,
            "recorded in portions",
        )
        back = await followed.writer.revert("chat", 1, ME)
        assert store.cli(f"SCARD {KEY}") == 0
        await eventually(
            lambda: followed.snapshot.routes["chat"].revision == back.revision, "back in force"
        )
        await eventually(lambda: len(large(followed)) == 0, "nobody is on the list")
        assert followed.status.reconnects == 0


@pytest.mark.parametrize("count", [1, SMALL_IDS + 1])
async def test_an_id_that_no_unit_can_be_is_refused_and_the_last_good_list_stays(
    store: Server, count: int
) -> None:
    seed(store)
    fill(store, count)
    async with following(store) as followed:
        await loaded(followed)
        before = followed.snapshot.lists[V2]
        store.execute("SADD", KEY, "x" * 257, "bob")
        await eventually(lambda: reasons(followed) == [(KEY, "too_large")], "the list is refused")
        held = followed.snapshot.lists[V2]
        # A scan that was under way may have met one of the two, and was good then.
        was_scanned = count > SMALL_IDS and len(held) == count + 1 and holds(followed, b"bob")
        assert held is before or was_scanned
        assert b"x" * 257 not in held.container and b"user-0" in held.container
        [refusal] = followed.snapshot.refused
        assert "257 bytes" in refusal.text
        store.execute("SREM", KEY, "x" * 257)
        await eventually(lambda: holds(followed, b"bob"), "the mended list is in force")
        assert not followed.snapshot.refused

"""Segments and their histories: written through us, by hand, and while nobody was watching."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.errors import ConflictError, RefusedError, StoreDenied
from gateway.state.history import Delta, Entry, read_newest_entries
from gateway.state.leader import BY_HAND
from gateway.state.store import Store
from tests.servers import Server
from tests.state.following import ME, eventually, following, loaded, seed

STAFF = "segment/staff"
RULE = '{"when": {"segment": "staff"}, "version": "v2"}'


def ids(*names: str) -> frozenset[bytes]:
    return frozenset(name.encode() for name in names)


async def history(store: Store) -> list[Entry]:
    return await read_newest_entries(await store.link(), store.segments.keys, "staff", 100)


def plant(store: Server, *members: str) -> None:
    seed(store)
    store.execute("RPUSH", "gray:route:chat:rules", RULE)
    if members:
        store.execute("SADD", "gray:segment:staff", *members)


async def holds(store: Store, number: int) -> None:
    await eventually(
        lambda: len(store.snapshot.lists.get(STAFF, ())) == number, f"{number} are in it"
    )


async def recorded(store: Store, server: Server, revision: int) -> Entry:
    await eventually(
        lambda: bool(server.execute("XRANGE", "gray:segment:staff:history", revision, "+")),
        f"revision {revision} is recorded",
    )
    return (await history(store))[0]


async def test_what_was_in_it_before_is_no_change_and_what_comes_by_hand_is_one(
    store: Server,
) -> None:
    plant(store, "old")
    async with following(store) as followed:
        await loaded(followed)
        await holds(followed, 1)
        store.execute("SADD", "gray:segment:staff", "alice", "bob")
        store.execute("SREM", "gray:segment:staff", "old")
        await holds(followed, 2)
        newest = await recorded(followed, store, 1)
        told = {b"alice", b"bob"}
        deltas = [entry.deltas[STAFF] for entry in await history(followed)]
        assert set().union(*(delta.added for delta in deltas)) == told
        assert (newest.by, newest.via) == ("redis", "redis")
        assert not followed.snapshot.warnings


async def test_a_change_through_us_is_told_once(store: Server) -> None:
    plant(store)
    async with following(store) as followed:
        await loaded(followed)
        for number in range(10):
            await followed.segments.change("staff", Delta(ids(f"u{number}")), ME)
        await holds(followed, 10)
        await followed.segments.revert("staff", 3, ME)
        await holds(followed, 3)
        assert [entry.via for entry in await history(followed)] == ["api"] * 11


async def test_what_was_done_by_hand_to_a_large_segment_is_found_by_comparing(
    store: Server,
) -> None:
    plant(store, *(f"user-{number}" for number in range(60_000)))
    async with following(store) as followed:
        await loaded(followed)
        await holds(followed, 60_000)
        await followed.segments.change("staff", Delta(ids("api")), ME)
        await holds(followed, 60_001)
        # A reading that is under way might see half of what is added at once.
        await eventually(lambda: followed._lists.is_idle, "nothing is being read")
        store.execute("SADD", "gray:segment:staff", "alice", "bob")
        await holds(followed, 60_003)
        newest = await recorded(followed, store, 2)
        assert newest.deltas[STAFF] == Delta(ids("alice", "bob"))


async def test_what_happened_while_nobody_was_here_is_not_put_down_to_hands(
    store: Server, tmp_path: Path
) -> None:
    plant(store, "old")
    async with following(store, state_dir=tmp_path) as followed:
        await loaded(followed)
        await holds(followed, 1)
        await eventually(lambda: any(tmp_path.iterdir()), "it is saved")
        await followed.segments.change("staff", Delta(ids("alice")), ME)
    store.execute("SADD", "gray:segment:staff", "carol")
    async with following(store, state_dir=tmp_path) as followed:
        await holds(followed, 3)
        store.execute("SADD", "gray:segment:staff", "dave")
        newest = await recorded(followed, store, 2)
        assert newest.deltas[STAFF] == Delta(ids("dave"))


async def test_a_recording_is_bound_to_what_was_heard(store: Server) -> None:
    plant(store)
    async with following(store) as followed:
        await loaded(followed)
        await followed.segments.change("staff", Delta(ids("alice")), ME)
        with pytest.raises(ConflictError, match="stands at revision 1 now"):
            await followed.segments.record("staff", Delta(ids("bob")), BY_HAND, 0, "")
        with pytest.raises(ConflictError, match="no longer the leader"):
            await followed.segments.record("staff", Delta(ids("bob")), BY_HAND, 1, "999")
        unknown = Delta(removed=ids("bob"), is_unknown=True)
        await followed.segments.record("staff", unknown, BY_HAND, 1, "")
        assert (await history(followed))[0].deltas[STAFF] == unknown
        with pytest.raises(RefusedError, match="in a way that nobody saw"):
            await followed.segments.revert("staff", 1, ME)
        assert store.execute("SMEMBERS", "gray:segment:staff") == {"alice"}


async def test_keys_of_another_type_are_refused_and_nothing_is_written(store: Server) -> None:
    plant(store)
    async with following(store) as followed:
        await loaded(followed)
        store.execute("SET", "gray:segment:staff:history", "x")
        with pytest.raises(RefusedError, match="DEL gray:segment:staff:history"):
            await followed.segments.change("staff", Delta(ids("alice")), ME)
        assert store.cli("EXISTS gray:segment:staff") == 0
        # The segment is followed all the same.
        store.execute("SADD", "gray:segment:staff", "bob")
        await holds(followed, 1)


async def test_a_user_that_may_not_look_around_is_told_of_the_segments_in_use(
    store: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(store)
    store.execute("SADD", "gray:segment:other", "alice")
    async with following(store) as followed:
        await loaded(followed)
        assert await followed.segments.names() == (["other", "staff"], True)
        link = await followed.link()
        call = link.call

        async def denied(*words: str | bytes | int, **options: Any) -> object:
            if words[0] == "SCAN":
                raise StoreDenied("the store denies us a right", "NOPERM")
            return await call(*words, **options)

        monkeypatch.setattr(link, "call", denied)
        assert await followed.segments.names() == (["staff"], False)


async def test_a_change_of_very_many_ids_is_refused(store: Server) -> None:
    plant(store)
    async with following(store) as followed:
        await loaded(followed)
        many = Delta(frozenset(b"%d" % number for number in range(100_001)))
        with pytest.raises(RefusedError, match="at most 100000"):
            await followed.segments.change("staff", many, ME)

"""A large list that a rollback makes small: no hand is blamed, and the way back stays open."""

from __future__ import annotations

import pytest

from gateway.state.history import Delta, read_entries
from gateway.state.store import Store
from gateway.state.write import Change
from tests.servers import Server
from tests.state.following import ME, eventually, following, leading, loaded, seed

V2 = "route/chat/whitelist/v2"
KEY = "gray:route:chat:whitelist:v2"
FEW = frozenset([b"alice", b"bob"])


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.state.large.QUIET_SECONDS", 0.2)
    monkeypatch.setattr("gateway.state.large.FOLD_PAUSE_SECONDS", 0.02)


async def put(store: Store, first: int, beyond: int) -> None:
    for start in range(first, beyond, 20_000):
        ids = frozenset(b"user-%d" % number for number in range(start, start + 20_000))
        await store.writer.change("chat", Change(lists={V2: Delta(ids)}), ME)


async def settled(store: Store, count: int) -> None:
    await eventually(
        lambda: store._lists.is_idle and len(store.snapshot.lists.get(V2, ())) == count,
        f"{count} ids are in force and looked through, {store._lists._large}",
        30,
    )


async def heard(store: Store, revision: int) -> None:
    await eventually(lambda: store._lists.seen_route("chat") >= revision, "it was heard")


async def test_a_rollback_of_an_import_is_nobodys_edit_by_hand(store: Server) -> None:
    seed(store)
    async with following(store) as followed:
        await loaded(followed)
        await leading(followed)
        first = await followed.writer.change("chat", Change(lists={V2: Delta(FEW)}), ME)
        for _ in range(3):
            await put(followed, 0, 60_000)
            await settled(followed, 60_002)
            await followed.writer.revert("chat", first.revision, ME)
            await settled(followed, len(FEW))
            await heard(followed, (await followed.writer.read("chat")).revision)
            assert followed._lists.is_idle
        entries = await read_entries(await followed.link(), followed.keys, "chat")
        assert not [one for one in entries if one.via == "redis" and one.deltas]
        assert not any(delta.is_unknown for one in entries for delta in one.deltas.values())


async def test_what_is_told_after_the_reading_is_no_edit_by_hand(
    store: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest of a rollback is written between the look at the history and that at the list."""
    seed(store)
    async with following(store) as followed:
        await loaded(followed)
        await leading(followed)
        first = await followed.writer.change("chat", Change(lists={V2: Delta(FEW)}), ME)
        await put(followed, 0, 60_000)
        await settled(followed, 60_002)
        read_small = followed._lists._read_small
        times = 0

        async def late(link: object, names: list[str]) -> None:
            nonlocal times
            if V2 in names and not times:
                times += 1
                ids = frozenset(b"user-%d" % number for number in range(20_000, 60_000))
                change = Change(lists={V2: Delta(removed=ids)})
                await followed.writer.change("chat", change, ME)
            await read_small(link, names)  # type: ignore[arg-type]  # handed through

        monkeypatch.setattr(followed._lists, "_read_small", late)
        gone = Delta(removed=frozenset(b"user-%d" % number for number in range(20_000)))
        await followed.writer.change("chat", Change(lists={V2: gone}), ME)
        await settled(followed, len(FEW))
        entries = await read_entries(await followed.link(), followed.keys, "chat")
        assert times == 1
        assert not [one for one in entries if one.via == "redis" and one.deltas]
        assert (await followed.writer.revert("chat", first.revision + 1, ME)).changed
        await settled(followed, 20_000 + len(FEW))


async def test_a_large_list_that_a_hand_empties_is_still_recorded(store: Server) -> None:
    seed(store)
    async with following(store) as followed:
        await loaded(followed)
        await leading(followed)
        await put(followed, 0, 60_000)
        await settled(followed, 60_000)
        store.execute("DEL", KEY)
        store.execute("SADD", KEY, "alice")
        await settled(followed, 1)
        entries = await read_entries(await followed.link(), followed.keys, "chat")
        assert entries[-1].via == "redis"
        assert entries[-1].deltas[V2].is_unknown
        assert entries[-1].deltas[V2].added == {b"alice"}

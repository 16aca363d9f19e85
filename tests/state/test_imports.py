"""A list that our own tools fill or replace, while it is scanned and edited by hand."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress

import pytest

from gateway.routing.lists import PackedTable
from gateway.state.history import Delta, combine, read_entries
from gateway.state.store import Store
from gateway.state.write import Change
from tests.servers import Server
from tests.state.following import ME, eventually, following, leading, loaded, seed

V2 = "route/chat/whitelist/v2"
KEY = "gray:route:chat:whitelist:v2"
PORTION = 400


@pytest.fixture(autouse=True)
def small_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.state.listed.SMALL_IDS", 1000)
    monkeypatch.setattr("gateway.state.large.MAX_OVERLAY_IDS", 300)
    monkeypatch.setattr("gateway.state.large.QUIET_SECONDS", 0.2)
    monkeypatch.setattr("gateway.state.large.FOLD_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr("gateway.state.scan.SLICE_IDS", 100)


def ids(first: int, beyond: int) -> frozenset[bytes]:
    return frozenset(b"user-%d" % number for number in range(first, beyond))


async def put(store: Store, first: int, beyond: int, *, comes: bool = True) -> None:
    for start in range(first, beyond, PORTION):
        some = ids(start, min(start + PORTION, beyond))
        delta = Delta(added=some) if comes else Delta(removed=some)
        await store.writer.change("chat", Change(lists={V2: delta}), ME)


async def by_hand(store: Store) -> tuple[Counter[bytes], Counter[bytes]]:
    """How often the history says that a hand put an id on the list, and took it off."""
    entries = await read_entries(await store.link(), store.keys, "chat")
    deltas = [one.deltas[V2] for one in entries if one.via == "redis" and V2 in one.deltas]
    assert not any(delta.is_unknown for delta in deltas)
    return (
        Counter(unit for delta in deltas for unit in delta.added),
        Counter(unit for delta in deltas for unit in delta.removed),
    )


async def as_told(store: Store) -> frozenset[bytes]:
    """Who is on the list when the whole history is believed."""
    entries = await read_entries(await store.link(), store.keys, "chat")
    return combine(entry.deltas[V2] for entry in entries if V2 in entry.deltas).added


async def scanning(store: Store) -> None:
    """Scan follows on scan, as if somebody edited by hand without a pause."""
    while True:
        store._lists._large.scan_soon(V2)
        await asyncio.sleep(0.01)


async def is_settled(store: Store, count: int) -> None:
    await eventually(
        lambda: store._lists.is_idle and len(store.snapshot.lists[V2]) == count,
        f"{count} ids are in force and looked through, found {len(store.snapshot.lists[V2])}, "
        f"{store._lists._large}, {store._lists.pending}",
        30,
    )


async def test_an_import_that_is_scanned_meanwhile_is_nobodys_edit_by_hand(store: Server) -> None:
    seed(store)
    async with following(store) as followed:
        await loaded(followed)
        await leading(followed)
        scans = asyncio.create_task(scanning(followed))
        await put(followed, 0, 12_000)
        await put(followed, 6_000, 18_000)
        await put(followed, 0, 6_000, comes=False)
        scans.cancel()
        with suppress(asyncio.CancelledError):
            await scans
        await is_settled(followed, 12_000)
        assert await by_hand(followed) == (Counter(), Counter())
        assert await as_told(followed) == ids(6_000, 18_000)
        table = followed.snapshot.lists[V2].container
        assert all(unit in table for unit in ids(6_000, 18_000))
        assert not any(unit in table for unit in ids(0, 6_000))


@pytest.mark.parametrize("is_scanned", [False, True])
async def test_edits_by_hand_in_the_middle_of_an_import_are_recorded_once(
    store: Server, is_scanned: bool
) -> None:
    seed(store)
    async with following(store) as followed:
        await loaded(followed)
        await leading(followed)
        await put(followed, 0, 4_000)
        scans = asyncio.create_task(scanning(followed) if is_scanned else asyncio.sleep(0))
        for number in range(10):
            first = 4_000 + 1_200 * number
            await put(followed, first, first + PORTION)
            store.execute("SADD", KEY, f"hand-{number}")
            await put(followed, first + PORTION, first + 2 * PORTION)
            # As many come as go: the number of ids does not tell.
            with store.client() as client, client.pipeline(transaction=True) as both:
                both.sadd(KEY, f"other-{number}")
                both.srem(KEY, f"user-{100 * number}")
                both.execute()
            await put(followed, first + 2 * PORTION, first + 3 * PORTION)
        scans.cancel()
        with suppress(asyncio.CancelledError):
            await scans
        await is_settled(followed, 16_000 + 10)
        came, went = await by_hand(followed)
        words = [word % number for number in range(10) for word in (b"hand-%d", b"other-%d")]
        assert came == Counter(words)
        assert went == Counter(b"user-%d" % (100 * number) for number in range(10))
        told = {unit.decode() for unit in await as_told(followed)}
        assert told == set(store.cli(f"SMEMBERS {KEY}"))


async def test_an_import_is_put_into_the_table_without_reading_the_list(
    store: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    scanned: list[str] = []
    seed(store)
    async with following(store) as followed:
        await loaded(followed)
        large = followed._lists._large
        monkeypatch.setattr("gateway.state.large.QUIET_SECONDS", 60.0)
        monkeypatch.setattr(large, "scan_soon", scanned.append)
        await put(followed, 0, 8_000)
        await put(followed, 0, 2_000, comes=False)
        await eventually(lambda: len(followed.snapshot.lists[V2]) == 6_000, "in force")
        assert isinstance(followed.snapshot.lists[V2].base, PackedTable)
        assert not scanned
        assert not followed._lists.pending


async def test_as_many_come_as_go_by_hand_while_an_import_is_put_in(store: Server) -> None:
    seed(store)
    async with following(store) as followed:
        await loaded(followed)
        await leading(followed)
        await put(followed, 0, 4_000)
        await is_settled(followed, 4_000)
        for start in range(4_000, 8_000, PORTION):
            await put(followed, start, start + PORTION)
            if start == 6_000:
                with store.client() as client, client.pipeline(transaction=True) as both:
                    both.sadd(KEY, "alice")
                    both.srem(KEY, "user-7")
                    both.execute()
        await is_settled(followed, 8_000)
        assert await by_hand(followed) == (Counter([b"alice"]), Counter([b"user-7"]))


async def test_what_is_true_no_longer_is_not_recorded(store: Server) -> None:
    seed(store)
    async with following(store) as followed:
        await loaded(followed)
        await leading(followed)
        await followed.writer.change("chat", Change(lists={V2: Delta(ids(0, 2))}), ME)
        await eventually(lambda: followed._lists.seen_route("chat") >= 1, "it was heard")
        before = await read_entries(await followed.link(), followed.keys, "chat")
        followed._lists.pending.add(V2, Delta(frozenset([b"ghost"]), frozenset([b"user-1"])))
        followed._recorder.wake()
        await eventually(lambda: followed._lists.is_idle, "it is done with")
        assert await read_entries(await followed.link(), followed.keys, "chat") == before

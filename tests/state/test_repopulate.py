"""A store that lost everything gets it back, and nobody routes by half of it meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import NotFoundError, RefusedError
from gateway.state.history import Delta
from gateway.state.lastgood import LastGood
from gateway.state.listed import SMALL_IDS
from gateway.state.reader import read_routes
from gateway.state.store import Store
from gateway.state.write import Change
from tests.servers import Server
from tests.state.following import (
    CHAT,
    ME,
    eventually,
    following,
    leading,
    loaded,
    members,
    never,
    reasons,
    seed,
    weighs,
    weight,
)
from tests.state.test_members import KEY, V2, fill, holds

EMPTIED = ("gray:routes", "emptied")


def saved_routes(folder: Path) -> bool:
    snapshot, _ = LastGood(folder).load()
    return snapshot is not None and bool(snapshot.routes)


async def lost(store: Store) -> None:
    await eventually(lambda: EMPTIED in reasons(store), "the loss is said")


async def test_there_is_nothing_to_put_back_while_nothing_is_lost(store: Server) -> None:
    seed(store)
    async with following(store) as followed:
        await loaded(followed)
        assert await followed.repopulate(ME) == {}


async def test_a_large_list_comes_back_with_all_its_changes(fresh_valkey: Server) -> None:
    seed(fresh_valkey)
    fill(fresh_valkey, SMALL_IDS + 1)
    async with following(fresh_valkey, timeout_seconds=3.0) as store:
        await loaded(store)
        change = Change(lists={V2: Delta(frozenset([b"alice"]), frozenset([b"user-1"]))})
        await store.writer.change("chat", change, ME)
        await eventually(lambda: holds(store, b"alice"), "alice is on the list")
        fresh_valkey.cli("FLUSHALL")
        await lost(store)
        assert holds(store, b"alice")
        assert await store.repopulate(ME) == {"chat": 1}
        await eventually(lambda: not store.snapshot.refused, "nothing is lost any more")
        assert fresh_valkey.cli(f"SCARD {KEY}") == SMALL_IDS + 1
        assert fresh_valkey.cli(f"SISMEMBER {KEY} alice")
        assert not fresh_valkey.cli(f"SISMEMBER {KEY} user-1")


async def test_ids_that_are_known_only_as_hashes_are_not_put_back(
    fresh_valkey: Server, tmp_path: Path
) -> None:
    seed(fresh_valkey)
    fill(fresh_valkey, SMALL_IDS + 1)
    async with following(fresh_valkey, state_dir=tmp_path) as store:
        await loaded(store)
        await eventually(lambda: saved_routes(tmp_path), "saved")
    fresh_valkey.cli("FLUSHALL")
    async with following(fresh_valkey, state_dir=tmp_path) as store:
        await lost(store)
        with pytest.raises(RefusedError, match="known only as hashes"):
            await store.repopulate(ME)
        assert fresh_valkey.cli("KEYS gray:route*") == []


async def test_a_store_flushed_while_it_is_read_does_not_empty_the_lists(
    fresh_valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed(fresh_valkey, f"SADD {KEY} alice")
    async with following(fresh_valkey) as store:
        await loaded(store)
        await leading(store)
        read_cards = store._lists._read_cards

        async def flushed_before(*args: object) -> dict[str, int]:
            fresh_valkey.cli("FLUSHALL")
            return await read_cards(*args)  # type: ignore[arg-type]  # passed on

        monkeypatch.setattr(store._lists, "_read_cards", flushed_before)
        seen: list[set[bytes]] = []
        store.subscribe(lambda _: seen.append(members(store, V2)))
        store._watch.wake()
        await lost(store)
        monkeypatch.undo()
        await never(lambda: members(store, V2) != {b"alice"}, "the list is empty", 0.5)
        assert all(ids == {b"alice"} for ids in seen)
        assert set(await store.repopulate(ME)) == {"chat"}
        assert fresh_valkey.cli(f"SMEMBERS {KEY}") == {"alice"}


async def test_a_large_list_flushed_while_it_is_scanned_keeps_its_members(
    fresh_valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed(fresh_valkey)
    fill(fresh_valkey, SMALL_IDS + 1)
    async with following(fresh_valkey, timeout_seconds=3.0) as store:
        await loaded(store)
        generation = store.snapshot.lists[V2].generation
        listed = store._lists._listed
        stands = listed.stands

        async def flushed_before(*args: object) -> bool:
            fresh_valkey.cli("FLUSHALL")
            return await stands(*args)  # type: ignore[arg-type]  # passed on

        monkeypatch.setattr(listed, "stands", flushed_before)
        store._lists._large.scan_soon(V2)
        await lost(store)
        assert store.snapshot.lists[V2].generation == generation
        assert holds(store, b"user-7")


async def test_a_fresh_store_with_another_route_adds_it_and_keeps_the_lost_one(
    fresh_valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed(fresh_valkey)
    async with following(fresh_valkey) as store:
        await loaded(store)
        with fresh_valkey.client() as client, client.pipeline(transaction=True) as at_once:
            at_once.flushall()
            at_once.sadd("gray:routes", "rank")
            at_once.hset("gray:route:rank", "stable", "a")
            at_once.hset("gray:route:rank:versions", "a", "http://127.0.0.1:9005")
            at_once.execute()
        await loaded(store, "rank")
        assert weight(store) == 10
        await lost(store)
        # Somebody restores the keys of chat in any order, its name last.
        for line in CHAT[1:]:
            fresh_valkey.cli(line.replace("v2 10", "v2 11"))
        await never(lambda: "chat" not in store.snapshot.routes, "chat was dropped", 0.4)
        fresh_valkey.cli(CHAT[0])
        await weighs(store, 11)
        await eventually(lambda: not store.snapshot.refused, "all is well")


async def test_a_scan_that_ends_between_names_and_keys_drops_no_route(
    fresh_valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed(fresh_valkey)
    async with following(fresh_valkey) as store:
        await loaded(store)
        seen: list[bool] = []

        async def published_before(*args: object) -> object:
            store._publish()
            seen.append("chat" in store.snapshot.routes)
            return await read_routes(*args)  # type: ignore[arg-type]  # passed on

        monkeypatch.setattr("gateway.state.watch.read_routes", published_before)
        with fresh_valkey.client() as client, client.pipeline(transaction=True) as at_once:
            at_once.flushall()
            at_once.sadd("gray:routes", "rank")
            at_once.execute()
        await lost(store)
        assert all(seen)


async def test_a_lost_route_can_be_deleted_for_good(fresh_valkey: Server) -> None:
    seed(fresh_valkey, "SADD gray:routes ghost")
    async with following(fresh_valkey) as store:
        await loaded(store)
        with pytest.raises(NotFoundError):
            await store.writer.delete("nobody", ME)
        await store.writer.delete("ghost", ME)  # a name without a route
        assert fresh_valkey.cli("SMEMBERS gray:routes") == {"chat"}
        fresh_valkey.cli("FLUSHALL")
        await lost(store)
        await store.writer.delete("chat", ME)
        await eventually(lambda: not store.snapshot.routes, "the route is gone")
        assert not store.snapshot.refused


async def test_the_id_in_the_salt_comes_back_so_that_nobody_is_dealt_anew(
    fresh_valkey: Server,
) -> None:
    seed(fresh_valkey, "HSET gray:route:chat:release id r7")
    async with following(fresh_valkey) as store:
        await loaded(store)
        await eventually(lambda: store.snapshot.routes["chat"].spec.salt == "chat:r7", "the salt")
        fresh_valkey.cli("FLUSHALL")
        await lost(store)
        await store.repopulate(ME)
        assert fresh_valkey.cli("HGET gray:route:chat:release id") == "r7"
        await eventually(lambda: EMPTIED not in reasons(store), "it is back")
        assert store.snapshot.routes["chat"].spec.salt == "chat:r7"

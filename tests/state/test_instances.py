"""Gateways that share a store know of each other."""

from __future__ import annotations

import time

import msgspec
import pytest

from gateway import __version__
from gateway.errors import StoreError
from gateway.state.instances import FORGET_SECONDS, GONE_SECONDS, Instances
from gateway.state.keys import Keys
from gateway.state.store import Store
from tests.servers import Server
from tests.state.following import eventually, following, loaded, seed

KEY = "gray:instances"


def instances(store: Store, own_id: str) -> Instances:
    return Instances(store.link, Keys(), own_id, lambda: store.snapshot)


async def test_a_gateway_tells_what_it_holds_and_takes_its_entry_with_it(store: Server) -> None:
    seed(store)
    async with following(store, own_id="gw1") as followed:
        await loaded(followed)
        await eventually(
            lambda: '"chat":1' in str(store.cli(f"HGET {KEY} gw1")), "the revision is told"
        )
        told = msgspec.json.decode(store.cli(f"HGET {KEY} gw1"))
        assert told["version"] == __version__
        assert abs(told["at"] - time.time()) < 60
    assert store.cli(f"HGETALL {KEY}") == {}


async def test_all_gateways_are_seen_until_they_fall_silent(store: Server) -> None:
    async with following(store, own_id="gw1") as followed:
        await eventually(lambda: store.cli(f"HLEN {KEY}") == 1, "the first beat")
        now = time.time()
        other = instances(followed, "gw2")
        await other.beat(now)
        assert set(await other.everybody(now)) == {"gw1", "gw2"}
        await other.beat(now - GONE_SECONDS - 1)
        assert set(await other.everybody(now)) == {"gw1"}
        await instances(followed, "gw3").beat(now)
        assert "gw2" in store.cli(f"HGETALL {KEY}")
        await other.beat(now - FORGET_SECONDS - 1)
        await instances(followed, "gw3").beat(now)
        assert "gw2" not in store.cli(f"HGETALL {KEY}")


async def test_garbage_among_the_entries_harms_nobody(store: Server) -> None:
    store.execute("HSET", KEY, "x", "garbage", "y", b"\xff", "z", '{"at": "soon"}')
    async with following(store, own_id="gw1") as followed:
        await eventually(lambda: store.cli(f"HEXISTS {KEY} gw1"), "the first beat")
        assert set(await instances(followed, "gw2").everybody(time.time())) == {"gw1"}
        store.execute("SET", KEY, "garbage")
        await eventually(lambda: followed.status.is_connected, "still connected")


async def test_a_key_of_another_type_is_named_and_mended_by_removing_it(store: Server) -> None:
    seed(store)
    async with following(store) as followed:
        await loaded(followed)
        store.execute("DEL", KEY)
        store.execute("SADD", KEY, "a")
        with pytest.raises(StoreError, match=f"remove it with: DEL {KEY}"):
            await instances(followed, "gw2").everybody(time.time())

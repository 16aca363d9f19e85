"""Drills in the store: one at a time, reports in order, nothing left of a route that is gone."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gateway.config.settings import Redis
from gateway.errors import RefusedError, StoreError
from gateway.state.address import open_link
from gateway.state.drills import KEPT, LEASE_SECONDS, DrillStore
from gateway.state.keys import Keys
from gateway.state.link import Link
from tests.servers import Server


@pytest.fixture
async def drills(valkey: Server) -> AsyncIterator[DrillStore]:
    valkey.flush()
    async with await open_link(Redis(url=valkey.url)) as link:

        async def get() -> Link:
            return link

        yield DrillStore(get, Keys())


async def test_a_route_has_one_drill_at_a_time(drills: DrillStore, valkey: Server) -> None:
    await drills.begin("chat", b"one")
    with pytest.raises(RefusedError, match="runs on chat already"):
        await drills.begin("chat", b"two")
    assert await drills.running("chat") == b"one"
    assert 0 < valkey.execute("TTL", "gray:route:chat:drill") <= LEASE_SECONDS


async def test_a_drill_is_renewed_as_long_as_it_is_there(
    drills: DrillStore, valkey: Server
) -> None:
    await drills.begin("chat", b"one")
    assert await drills.renew("chat", b"further")
    assert await drills.running("chat") == b"further"
    valkey.cli("DEL gray:route:chat:drill")
    assert not await drills.renew("chat", b"further")
    assert await drills.running("chat") == b""


async def test_reports_are_kept_newest_first_and_not_for_ever(drills: DrillStore) -> None:
    for number in range(KEPT + 5):
        await drills.begin("chat", b"x")
        await drills.end("chat", str(number).encode())
    reports = await drills.reports("chat")
    assert (len(reports), reports[0]) == (KEPT, str(KEPT + 4).encode())
    assert await drills.reports("other") == []


async def test_a_key_of_another_type_is_said_in_words(drills: DrillStore, valkey: Server) -> None:
    valkey.cli("SET gray:route:chat:drills x")
    with pytest.raises(StoreError, match="drills"):
        await drills.reports("chat")
    with pytest.raises(StoreError, match="drills"):
        await drills.end("chat", b"x")


async def test_what_a_drill_s_release_left_is_forgotten_but_for_the_history(
    drills: DrillStore, valkey: Server
) -> None:
    valkey.cli("HSET gray:route:chat.drill:release step 1")
    valkey.cli("XADD gray:route:chat.drill:history 1 a b")
    valkey.cli("SADD gray:releases chat.drill other")
    await drills.forget("chat.drill")
    assert valkey.cli("KEYS gray:route:*") == ["gray:route:chat.drill:history"]
    assert set(valkey.cli("SMEMBERS gray:releases")) == {"other"}

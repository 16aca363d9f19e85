"""Remembering answers and ratings, in a real store."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gateway.config.settings import Redis
from gateway.errors import StoreError
from gateway.state.keys import Keys, Part, Place
from gateway.state.ratings import BLOCK_SECONDS, KEPT_SECONDS, Ratings
from gateway.state.store import WorkLink
from tests.servers import Server

NOW = 1_800_000_000.0
A, B, C = b"\xff\x00\r\n*1$9", b"bbbbbbbb", b"cccccccc"


@pytest.fixture
async def ratings(store: Server) -> AsyncIterator[Ratings]:
    work = WorkLink(Redis(url=store.url))
    yield Ratings(work.get, Keys())
    await work.close()


async def test_answers_are_found_hours_later(ratings: Ratings, store: Server) -> None:
    await ratings.remember(NOW, {"chat": {A: "v1", B: "~v2"}, "rank": {C: "v9"}})
    later = NOW + KEPT_SECONDS - BLOCK_SECONDS
    for now in (NOW, NOW + 3600, later):
        assert await ratings.find("chat", [A, C, B], now) == {A: "v1", B: "~v2"}
    assert await ratings.find("chat", [A], NOW + KEPT_SECONDS + 2 * BLOCK_SECONDS) == {}
    [key, _] = sorted(store.execute("KEYS", "gray:route:*:answered:*"))
    block = int(NOW) // BLOCK_SECONDS
    assert Keys().place(str(key)) == Place(Part.ANSWERED, "chat", str(block))
    assert KEPT_SECONDS < int(store.execute("TTL", key)) <= KEPT_SECONDS + BLOCK_SECONDS


async def test_units_come_back_with_their_versions_and_older_gateways_do_not_see_them(
    ratings: Ratings, store: Server
) -> None:
    told = {A: "v1 0000abcd", B: "~v2", C: "v2 12345678"}
    await ratings.remember(NOW, {"chat": told})
    assert await ratings.find("chat", [A, B, C], NOW) == told
    [key] = store.execute("KEYS", "gray:route:*:answered:*")
    assert store.execute("HGET", key, A) == "v1"


async def test_of_an_id_that_came_twice_the_newest_answer_counts(ratings: Ratings) -> None:
    await ratings.remember(NOW, {"chat": {A: "v1"}})
    await ratings.remember(NOW + BLOCK_SECONDS, {"chat": {A: "v2"}})
    assert await ratings.find("chat", [A], NOW + 2 * BLOCK_SECONDS) == {A: "v2"}


async def test_thousands_go_at_once(ratings: Ratings) -> None:
    many = {number.to_bytes(8, "big"): f"v{number % 3}" for number in range(2500)}
    await ratings.remember(NOW, {"chat": many})
    await ratings.remember(NOW, {})
    assert await ratings.find("chat", list(many), NOW) == many
    assert await ratings.find("chat", [], NOW) == {}


async def test_a_rating_is_taken_once_for_each_name(ratings: Ratings, store: Server) -> None:
    first = [(A, "feedback"), (A, "feedback"), (A, "helpful"), (B, "feedback")]
    assert await ratings.take("chat", first) == [True, False, True, True]
    assert await ratings.take("chat", first[:1]) == [False]
    assert await ratings.take("rank", first[:1]) == [True]
    assert await ratings.take("rank", []) == []
    for key in store.execute("KEYS", "gray:route:*:rated:*"):
        place = Keys().place(str(key))
        assert place is not None and place.part is Part.RATED
        assert 0 < int(store.execute("TTL", key)) <= KEPT_SECONDS


async def test_a_key_of_another_type_is_named(ratings: Ratings, store: Server) -> None:
    key = f"gray:route:chat:answered:{int(NOW) // BLOCK_SECONDS}"
    store.execute("SET", key, "x")
    with pytest.raises(StoreError, match=key):
        await ratings.remember(NOW, {"chat": {A: "v1"}})
    with pytest.raises(StoreError, match=key):
        await ratings.find("chat", [A], NOW)
    store.execute("DEL", key)
    assert repr(ratings) == "<Ratings below gray:>"


def test_other_keys_beside_them_are_strangers() -> None:
    for key in ("gray:route:chat:answered:x", "gray:route:chat:rated:00", "gray:route:-:rated:0:f"):
        assert Keys().place(key) is None

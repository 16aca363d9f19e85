"""A large list that changes at the worst moment of its reading, each moment brought about."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gateway.state import scan
from gateway.state.history import Delta
from gateway.state.store import Store
from gateway.state.write import Change
from tests.servers import Server
from tests.state.following import ME, eventually, following, leading, loaded, seed
from tests.state.test_imports import KEY, V2, by_hand, is_settled, put, small_sizes

__all__ = ["small_sizes"]  # a fixture that each test here uses too

COUNT = 2_000
EARLY, LATE = b"user-7", b"tool-1"  # of the list before, and not


def at_the_end_of_a_scan(
    monkeypatch: pytest.MonkeyPatch, happens: Callable[[], Awaitable[None]]
) -> list[str]:
    """Let this happen once, after a scan has seen everything and before its end is noticed."""
    done: list[str] = []
    whole = scan.scan

    async def then(*words: Any) -> Any:
        scanned = await whole(*words)
        if not done:
            done.append("it happened")
            await happens()
        return scanned

    monkeypatch.setattr("gateway.state.large.scan", then)
    return done


async def change(store: Store, came: bytes, went: bytes) -> None:
    delta = Delta(frozenset([came]), frozenset([went]))
    await store.writer.change("chat", Change(lists={V2: delta}), ME)


async def test_what_is_told_while_a_list_is_read_counts_as_told_though_the_reading_missed_it(
    store: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed(store)
    async with following(store) as followed:
        await loaded(followed)
        await leading(followed)
        await put(followed, 0, COUNT)
        await is_settled(followed, COUNT)
        done = at_the_end_of_a_scan(monkeypatch, lambda: change(followed, LATE, EARLY))
        followed._lists._large.scan_soon(V2)
        await eventually(lambda: done, "the list is read")
        await eventually(
            lambda: LATE in followed.snapshot.lists[V2].container, "what was told is in force"
        )
        await is_settled(followed, COUNT)
        assert EARLY not in followed.snapshot.lists[V2].container
        assert await by_hand(followed) == (Counter(), Counter())


async def test_a_hand_that_touches_what_is_told_in_that_while_is_found_by_the_next_reading(
    store: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed(store)
    async with following(store) as followed:
        await loaded(followed)
        await leading(followed)
        await put(followed, 0, COUNT)
        await is_settled(followed, COUNT)

        async def both() -> None:
            await change(followed, LATE, EARLY)
            store.execute("SREM", KEY, LATE)
            store.execute("SADD", KEY, EARLY)

        done = at_the_end_of_a_scan(monkeypatch, both)
        followed._lists._large.scan_soon(V2)
        await eventually(lambda: done, "the list is read")
        await is_settled(followed, COUNT)
        await eventually(
            lambda: EARLY in followed.snapshot.lists[V2].container, "what the hand did is in force"
        )
        await is_settled(followed, COUNT)
        assert LATE not in followed.snapshot.lists[V2].container
        assert await by_hand(followed) == (Counter([EARLY]), Counter([LATE]))


async def test_what_is_told_while_a_comparison_waits_is_no_edit_by_hand(store: Server) -> None:
    seed(store)
    async with following(store) as followed:
        await loaded(followed)
        await leading(followed)
        await put(followed, 0, COUNT)
        await is_settled(followed, COUNT)
        lists = followed._lists._large
        wanted, lists._compare_wanted = lists._compare_wanted, asyncio.Event()
        store.execute("SADD", KEY, "hand-1")
        await eventually(lambda: len(lists._to_compare) == 1, "a comparison waits")
        await change(followed, LATE, EARLY)
        await eventually(lambda: lists._to_compare[0].since, "what was told is noted")
        store.execute("SADD", KEY, "hand-2")
        await eventually(
            lambda: b"hand-2" in lists._to_compare[0].after.table, "both edits wait together"
        )
        assert len(lists._to_compare) == 1
        lists._compare_wanted = wanted
        wanted.set()
        await is_settled(followed, COUNT + 2)
        assert await by_hand(followed) == (Counter([b"hand-1", b"hand-2"]), Counter())

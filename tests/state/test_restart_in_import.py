"""A control process that ends in the middle of an import: the next one blames no hand for it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.state.lastgood import LastGood
from gateway.state.store import Store
from tests.servers import Server
from tests.state.following import eventually, following, leading, loaded, seed
from tests.state.test_imports import by_hand, is_settled, put, small_sizes

__all__ = ["small_sizes"]  # a fixture that each test here uses too


async def saved(store: Store, folder: Path) -> None:
    """Wait until the newest revision is on disk."""

    def is_saved() -> bool:
        snapshot, _ = LastGood(folder).load()
        newest = store._lists.seen_route("chat")
        return snapshot is not None and snapshot.routes["chat"].revision == newest

    await eventually(is_saved, "the newest revision is on disk")


async def test_what_the_list_on_disk_did_not_have_yet_is_nobodys_edit_by_hand(
    store: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed(store)
    async with following(store, state_dir=tmp_path) as followed:
        await loaded(followed)
        await leading(followed)
        await put(followed, 0, 2_000)
        await is_settled(followed, 2_000)
        await saved(followed, tmp_path)

        async def never(*_: Any) -> None:
            await asyncio.sleep(3600)

        monkeypatch.setattr(followed._lists._large, "_fold_now", never)
        await put(followed, 2_000, 4_000)
        await put(followed, 0, 400, comes=False)
        revision = (await followed.writer.read("chat")).revision
        await eventually(
            lambda: followed.snapshot.routes["chat"].revision == revision, "the route is read"
        )
        await saved(followed, tmp_path)
        assert len(followed.snapshot.lists["route/chat/whitelist/v2"]) == 2_000
    async with following(store, state_dir=tmp_path, own_id="gw2") as followed:
        await loaded(followed)
        await leading(followed)
        await is_settled(followed, 3_600)
        assert await by_hand(followed) == ({}, {})

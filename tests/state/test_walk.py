from __future__ import annotations

import pytest

from gateway.config.settings import Redis
from gateway.errors import StoreError
from gateway.state.address import open_link
from gateway.state.link import Link
from gateway.state.walk import literally, walk
from tests.servers import Server

KEY = "gray:route:chat:blacklist"


async def test_a_large_set_comes_in_slices_and_whole(store: Server) -> None:
    ids = [f"user-{number}" for number in range(5000)]
    store.execute("SADD", KEY, *ids)
    async with await open_link(Redis(url=store.url, timeout_seconds=5)) as link:

        async def get() -> Link:
            return link

        slices = [part async for part in walk(get, KEY)]
        assert len(slices) > 1
        assert slices[-1][0] == "0"
        assert {unit.decode() for _, part in slices for unit in part} == set(ids)
        some = [unit async for _, part in walk(get, KEY, pattern="user-499?") for unit in part]
        assert len(some) == 10
        # It goes on from where it was left.
        first = slices[0]
        rest = {unit async for _, part in walk(get, KEY, cursor=first[0]) for unit in part}
        assert len(rest | set(first[1])) == len(ids)


async def test_a_key_of_another_type_is_told(store: Server) -> None:
    store.execute("SET", KEY, "x")
    async with await open_link(Redis(url=store.url, timeout_seconds=5)) as link:

        async def get() -> Link:
            return link

        with pytest.raises(StoreError, match="DEL gray:route:chat:blacklist"):
            _ = [part async for part in walk(get, KEY)]


def test_what_is_typed_is_looked_for_as_it_is() -> None:
    assert literally("a*b?[c]\\d") == r"a\*b\?\[c\]\\d"

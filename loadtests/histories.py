"""How fast a route with a long history stays: `python -m loadtests.histories [REVISIONS]`.

Makes a route with so many revisions (weights, and whitelists that gain and lose ids) in a store of
its own, then times what people do: a write, the newest page of the history, the difference between
two revisions, the way back to the first and to the last but one, and checking the chain.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path

import msgspec

from gateway.config.settings import Redis
from gateway.demo.store import EmbeddedStore
from gateway.state.audit import verify_stream
from gateway.state.compare import compare, compare_lists
from gateway.state.history import Delta, deltas_by_list, read_entries, read_newest_entries
from gateway.state.raw import RouteState
from gateway.state.store import Store
from gateway.state.write import STREAM_ENTRIES, Author, Change

REVISIONS = 1000
IDS_PER_REVISION = 20
ROUNDS = 5
ME = Author("loadtest", "api", why="a load test")
LIST = "route/chat/whitelist/v2"


async def measure(url: str, revisions: int) -> None:
    store = Store(Redis(url=url), None, "loadtest")
    following = asyncio.create_task(store.run())
    try:
        writer, link = store.writer, await store.link()
        start = RouteState(
            route={"stable": "v1"}, versions={"v1": "http://10.0.0.1:1", "v2": "http://10.0.0.2:1"}
        )
        await writer.change("chat", Change(lambda _: start), ME)
        began = time.perf_counter()
        for number in range(revisions - 1):
            await writer.change("chat", _step(number), ME)
        each = (time.perf_counter() - began) / max(revisions - 1, 1)
        print(f"{revisions} revisions written, {each * 1000:.2f} ms each")

        async def diff() -> None:
            entries = await read_entries(link, store.keys, "chat")
            compare(entries[0].state, entries[-1].state)
            compare_lists(deltas_by_list(entries[1:]), backwards=False)

        numbers = count(revisions)
        await _timed("a write", lambda: writer.change("chat", _step(next(numbers)), ME))
        await _timed("newest 50 revisions",
                     lambda: read_newest_entries(link, store.keys, "chat", 50))  # fmt: skip
        await _timed("newest 1000 revisions",
                     lambda: read_newest_entries(link, store.keys, "chat", 1000))  # fmt: skip
        await _timed("difference of first and last", diff)
        await _timed("back to revision 1", lambda: writer.revert("chat", 1, ME))
        await _timed("back by two revisions", lambda: _back_by_two(store))
        await _timed("checking the chain",
                     lambda: verify_stream(link, store.keys.history("chat"), STREAM_ENTRIES)
                     )  # fmt: skip
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def _back_by_two(store: Store) -> object:
    newest = (await read_newest_entries(await store.link(), store.keys, "chat", 1))[0].revision
    return await store.writer.revert("chat", newest - 2, ME)


def _step(number: int) -> Change:
    first = number * IDS_PER_REVISION
    ids = frozenset(f"user-{first + place}".encode() for place in range(IDS_PER_REVISION))
    weight = str(number % 100)
    return Change(
        lambda state: msgspec.structs.replace(state, weights={"v2": weight}), {LIST: Delta(ids)}
    )


async def _timed(what: str, act: Callable[[], Awaitable[object]]) -> None:
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        await act()
        times.append((time.perf_counter() - began) * 1000)
    print(f"{what:32} median {statistics.median(times):8.2f} ms   worst {max(times):8.2f} ms")


def main() -> None:
    revisions = int(sys.argv[1]) if len(sys.argv) > 1 else REVISIONS
    with tempfile.TemporaryDirectory(prefix="graygate-histories-") as folder:
        store = EmbeddedStore(Path(folder) / "store", port=0)
        store.start()
        try:
            asyncio.run(measure(store.url, revisions))
        finally:
            store.stop()


if __name__ == "__main__":
    main()

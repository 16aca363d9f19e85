"""A `Store` that follows a real server while a test types what an operator types."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from gateway.config.settings import Redis
from gateway.routing.spec import RouteSpec
from gateway.state.store import Store
from gateway.state.write import Author
from tests.servers import Server

ME = Author(by="tester", via="api", origin="127.0.0.1", why="a test")

CHAT = (
    "SADD gray:routes chat",
    "HSET gray:route:chat stable v1",
    "HSET gray:route:chat:versions v1 http://127.0.0.1:9001 v2 http://127.0.0.1:9002",
    "HSET gray:route:chat:weights v2 10",
)


def seed(server: Server, *lines: str) -> None:
    """The route `chat`, 10 % on v2, and whatever lines follow."""
    for line in (*CHAT, *lines):
        server.cli(line)


@asynccontextmanager
async def following(
    server: Server,
    *,
    state_dir: Path | None = None,
    own_id: str = "gw1",
    url: str = "",
    **settings: object,
) -> AsyncIterator[Store]:
    """A running store; `settings` are those of the section redis."""
    wanted = {"timeout_seconds": 3.0, "heartbeat_seconds": 0.2, "poll_seconds": 0.3, **settings}
    redis = Redis(url=url or server.url, **wanted)  # type: ignore[arg-type]  # the test's names
    store = Store(redis, state_dir, own_id)
    running = asyncio.create_task(store.run())
    try:
        yield store
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def eventually(condition: Callable[[], object], what: str, seconds: float = 10.0) -> None:
    """Wait until the condition holds; a test fails with `what` when it never does."""
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, f"never happened: {what}"
        await asyncio.sleep(0.002)


async def never(condition: Callable[[], object], what: str, seconds: float) -> None:
    """Watch for some time that something does not happen."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        assert not condition(), f"happened: {what}"
        await asyncio.sleep(0.01)


async def loaded(store: Store, *routes: str) -> None:
    """Wait until the store has been read and the routes are in force."""
    wanted = set(routes or ("chat",))
    await eventually(
        lambda: store.status.is_connected and wanted <= set(store.snapshot.routes),
        f"{sorted(wanted)} in force, found {sorted(store.snapshot.routes)}, "
        f"refused {store.snapshot.refused}",
    )


async def leading(store: Store) -> None:
    await eventually(lambda: store.leader.term, "this gateway leads")


def spec(store: Store, route: str = "chat") -> RouteSpec:
    return store.snapshot.routes[route].spec


def weight(store: Store, version: str = "v2", route: str = "chat") -> float | None:
    return spec(store, route).weights.get(version)


def members(store: Store, name: str) -> set[bytes]:
    """The ids of a small list."""
    base = store.snapshot.lists[name].base
    assert isinstance(base, frozenset), f"{name} is a large list"
    return set(base)


def reasons(store: Store) -> list[tuple[str, str]]:
    return [(refusal.key, refusal.reason) for refusal in store.snapshot.refused]


async def weighs(store: Store, percent: float, version: str = "v2", route: str = "chat") -> None:
    """Wait until the version has this weight."""
    await eventually(
        lambda: weight(store, version, route) == percent, f"{version} of {route} has {percent}"
    )

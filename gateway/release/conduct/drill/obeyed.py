"""Tells the other gateways since when all workers of this one hold the routes of drills.

A drill runs on one gateway and measures the way back of all of them. What the workers of the others
hold only those can know, so each says it with its sign of life, and at once when it changes.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from gateway.errors import StoreError
from gateway.state.drills import SUFFIX
from gateway.state.snapshot import Snapshot
from gateway.state.store import Store

_POLL = 0.02


class WorkerState(Protocol):
    """A connected worker and the table it holds."""

    @property
    def sequence(self) -> int | None: ...


class Obeyed:
    """Costs nothing while no drill has a route."""

    def __init__(self, store: Store, workers: Callable[[], Sequence[WorkerState]]) -> None:
        self._store = store
        self._workers = workers
        self._changed = asyncio.Event()
        store.subscribe(lambda _: self._changed.set())

    def __repr__(self) -> str:
        return f"<Obeyed: {dict(self._store.instances.drills)}>"

    async def run(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self.look()

    async def look(self) -> None:
        """Returns when all workers hold the routes as they are now, and that was told."""
        snapshot, told = self._store.snapshot, self._store.instances.drills
        revisions = {
            name: held.revision for name, held in snapshot.routes.items() if name.endswith(SUFFIX)
        }
        if revisions == {name: revision for name, (revision, _) in told.items()}:
            return
        while revisions and not are_held(snapshot, self._workers()):  # noqa: ASYNC110  # not told
            await asyncio.sleep(_POLL)
        now = time.time()
        self._store.instances.drills = {
            name: told[name] if name in told and told[name][0] == revision else (revision, now)
            for name, revision in revisions.items()
        }
        with contextlib.suppress(StoreError):  # the next sign of life says it
            await self._store.instances.beat(now)


def are_held(snapshot: Snapshot, workers: Sequence[WorkerState]) -> bool:
    """Whether all workers of this gateway hold this table, or a later one."""
    return bool(workers) and all((one.sequence or 0) >= snapshot.sequence for one in workers)

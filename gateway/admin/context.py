"""What the handlers are given: everything they may look at, and the one way to write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from gateway.config.settings import Settings
from gateway.metrics.numbers import Counted
from gateway.metrics.standing import ProcessState, Standing
from gateway.routing.table import Identity
from gateway.state.store import Store


class WorkerState(Protocol):
    """A connected worker and the table it holds."""

    @property
    def worker(self) -> int: ...
    @property
    def pid(self) -> int: ...
    @property
    def sequence(self) -> int | None: ...


@dataclass(frozen=True, slots=True)
class AdminContext:
    """The control process as seen from its API."""

    settings: Settings
    store: Store
    identity: Identity
    own_id: str
    workers: Callable[[], Sequence[WorkerState]]
    counted: Callable[[], Counted]
    standing: Callable[[], Standing] = Standing  # of the processes, as the supervisor says
    processes: Callable[[], Sequence[ProcessState]] = tuple


CONTEXT = web.AppKey("context", AdminContext)

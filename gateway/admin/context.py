"""What the handlers are given: everything they may look at, and the one way to write."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
from aiohttp import web

from gateway.config.settings import Settings
from gateway.metrics.numbers import Counted
from gateway.metrics.releases import Conducted
from gateway.metrics.standing import ProcessState, Standing
from gateway.metrics.strata import Observed
from gateway.routing.spec import RouteSpec
from gateway.routing.table import Identity
from gateway.state.store import Store
from gateway.state.write import Author


class WorkerState(Protocol):
    """A connected worker and the table it holds."""

    @property
    def worker(self) -> int: ...
    @property
    def pid(self) -> int: ...
    @property
    def sequence(self) -> int | None: ...


class ReleaseView(Protocol):
    """A release as it stands in the store."""

    def told(self) -> dict[str, Any]: ...


class Releases(Protocol):
    """Where people speak to releases; whoever leads does what they say."""

    async def start(
        self, route: str, document: object, author: Author, revision: int | None
    ) -> ReleaseView: ...

    async def say(
        self, route: str, verb: str, about: str, author: Author
    ) -> tuple[ReleaseView, bool]:
        """False = no gateway has taken it yet."""

    async def find(self, route: str) -> ReleaseView | None:
        """The release that runs, or ran last; None = there never was one."""

    async def wait(self, route: str, after_step: int, seconds: float) -> ReleaseView: ...

    async def finished(self, route: str) -> list[dict[str, Any]]: ...

    async def report(self, route: str, release: str, kind: str) -> str:
        """The report of a release, the newest one for ""; `kind` is markdown, json or html."""

    async def forecast(self, route: str, document: object) -> dict[str, Any]:
        """What a plan means at the traffic of now, in words."""


class Shadows(Protocol):
    """What is known of pairs of answers to one request."""

    def told(self, spec: RouteSpec) -> dict[str, Any]: ...

    def examples(self, route: str) -> list[dict[str, Any]]: ...

    @property
    def totals(self) -> Mapping[tuple[str, str, str, str], int]:
        """By route, version, kind and outcome."""

    @property
    def lost(self) -> int:
        """Pairs that there was no time for."""


@dataclass(frozen=True, slots=True)
class Rating:
    """What somebody thinks of the answer to a request."""

    request_id: str
    is_bad: bool
    family: str  # what the judge is to call it
    version: str = ""  # as the caller believes; empty = he does not know


class Taken(msgspec.Struct, frozen=True):
    """What became of ratings."""

    joined: int
    unknown: int  # nobody remembers such an answer
    repeated: int  # there was one before


class FeedbackTaker(Protocol):
    """Where ratings go."""

    async def take(self, route: str, ratings: Sequence[Rating]) -> Taken: ...

    @property
    def totals(self) -> Mapping[tuple[str, str, str], int]:
        """By route, version and outcome."""

    @property
    def lost(self) -> int:
        """Answers that can be rated no more."""


class DrillSchedule(Protocol):
    """How a route stands with its drills."""

    @property
    def passed_at(self) -> float | None: ...

    def is_overdue(self, now: float) -> bool: ...


class Drills(Protocol):
    """Where drills of the way back are started and looked at."""

    async def start(self, route: str, ask: Mapping[str, Any], author: Author) -> dict[str, Any]: ...

    async def find(self, route: str) -> dict[str, Any]: ...

    @property
    def schedules(self) -> Mapping[str, DrillSchedule]:
        """Of the routes that have or want drills, as of the last look."""


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
    observed: Callable[[], Observed] = Observed  # of who was served by which version
    releases: Releases | None = None  # None = this gateway conducts none
    shadows: Shadows | None = None  # None = this gateway compares nothing
    feedback: FeedbackTaker | None = None
    drills: Drills | None = None  # None = this gateway conducts none
    conducted: Callable[[], Conducted] = Conducted  # how releases stand, if this gateway leads


CONTEXT = web.AppKey("context", AdminContext)

"""A leader with a real store, a clock cranked by hand, and traffic made up by the second."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from gateway.config.settings import Release
from gateway.metrics.strata import CellCounts, bucket_of
from gateway.release.conduct.controller import Controller
from gateway.release.conduct.desk import Desk, View
from gateway.release.conduct.judging import ReleaseJudging
from gateway.release.conduct.notify.notice import Notice
from gateway.release.conduct.notify.notifier import Notifier
from gateway.release.conduct.own_metrics import OwnMetrics
from gateway.release.conduct.prometheus import Prometheus
from gateway.release.machine.status import Status
from gateway.state.release import ReleaseRecord
from gateway.state.store import Store
from gateway.state.strata import StrataLog
from tests.servers import Server
from tests.state.following import ME, following, leading, loaded, seed

SECONDS = 0.2  # of every answer, unless a test says otherwise

# A canary in a hurry: requests enough for the proofs come from `Leader.second`.
PLAN: dict[str, Any] = {
    "candidate": "v2",
    "mode": "automatic",
    "unit": "request",
    "stages": [
        {"weight": weight, "hold": 10, "minimum_requests": 20} for weight in (1, 5, 25, 50, 100)
    ],
    "bake": {"duration": 10, "holdback": 5},
    "guardrails": {"latency": {"enabled": False}},
}


class Heard(Notifier):
    """A notifier without channels that remembers what it was told, once for each id."""

    def __init__(self) -> None:
        super().__init__([])
        self.notices: dict[str, Notice] = {}

    def tell(self, notice: Notice, names: Any) -> None:
        self.notices[notice.id] = notice
        super().tell(notice, names)

    @property
    def events(self) -> list[str]:
        return [notice.event for notice in self.notices.values()]


@dataclass
class Clock:
    """Seconds since the epoch, whole, and only moved by hand."""

    now: float = field(default_factory=lambda: float(math.floor(time.time())))

    def __call__(self) -> float:
        return self.now


class WallClock(Clock):
    """The time it is."""

    def __call__(self) -> float:
        return time.time()


class Leader:
    """One gateway's controller, and the desk beside it."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        own_id: str = "gw1",
        notifier: Notifier | None = None,
    ) -> None:
        self.store = store
        self.clock = clock
        self.heard = Heard()
        self.log = StrataLog(store.link, store.keys)
        metrics = OwnMetrics(Prometheus(Release()))
        self.controller = Controller(
            store, self.log, _judging, notifier or self.heard, metrics, own_id, clock=clock
        )
        # Who lives is told by the clock on the wall, which does not go along with ours.
        self.controller.gateways = lambda: None  # type: ignore[method-assign]
        self.desk = Desk(store, self.log, ["team"], clock)

    async def start(self, **plan: Any) -> View:
        view = await self.desk.start("chat", {**PLAN, **plan}, ME)
        await self.controller.tick()
        return view

    async def look(self) -> Status:
        return (await self.desk.look("chat")).status

    async def say(self, verb: str) -> Status:
        """A command, the tick that hears it, and what came of it."""
        record = await self.store.releases.read("chat")
        await self.store.releases.command("chat", verb.encode())
        await self.controller.tick()
        assert (await self.store.releases.read("chat")).step > record.step
        return await self.look()

    async def send(
        self, rate: int = 200, candidate_bad: int = 0, stable_bad: int = 0, slow: float = SECONDS
    ) -> None:
        """What a gateway measures in one second of stable and v2 at the weights of now.

        There are `rate` requests, and fewer of these two where a third version gets some.
        """
        link = await self.store.link()
        two, three = [
            float(told) / 100 if isinstance(told, bytes) else 0.0
            for told in [
                await link.call("HGET", "gray:route:chat:weights", name) for name in ("v2", "v3")
            ]
        ]
        candidate = math.ceil(rate * two)
        rate -= math.floor(rate * three)
        cells = [
            _cell(self.clock.now, "v1", rate - candidate, stable_bad, SECONDS),
            _cell(self.clock.now, "v2", candidate, candidate_bad, slow),
        ]
        await self.log.append("chat", "gw1", int(self.clock.now), cells)

    async def second(self, **traffic: Any) -> Status:
        """One second of traffic, and the tick after it."""
        await self.send(**traffic)
        self.clock.now += 1
        await self.controller.tick()
        return self.status

    @property
    def status(self) -> Status:
        """As the controller holds it; as it was last held, when it holds it no longer."""
        session = self.controller._sessions.get("chat")
        if session is not None:
            self._last = session.status
        return self._last

    async def until(self, phase: str, seconds: int = 600, **traffic: Any) -> Status:
        """Second after second until the release is in this phase."""
        seen = [(status := self.status).phase]
        for _ in range(seconds):
            if status.phase == phase:
                return status
            await self.second(**traffic)
            status = await self.look()
            if seen[-1] != status.phase:
                seen.append(status.phase)
        last = [decision.text for decision in status.decisions[-5:]]
        raise AssertionError(f"never {phase}; {seen}, waits for {status.waiting_for}, {last}")


def _judging(status: Status, record: ReleaseRecord) -> ReleaseJudging:
    return ReleaseJudging(status, record.judge, is_sticky=False)


def _cell(now: float, version: str, requests: int, bad: int, seconds: float) -> CellCounts:
    bad = min(bad, requests)
    return CellCounts(
        second=int(now), route="chat", version=version, arrived=requests, finished=requests,
        bad=bad, total={bucket_of(seconds): requests - bad} if requests > bad else {},
        half_finished=requests // 2, half_bad=bad // 2,
    )  # fmt: skip


@contextlib.asynccontextmanager
async def leader(server: Server, weight: str = "0", **options: Any) -> AsyncIterator[Leader]:
    """The route `chat` at this weight, and a gateway that leads."""
    seed(server, f"HSET gray:route:chat:weights v2 {weight}")
    # A loaded machine is no reason to lose a second of the story.
    async with following(server, **{"timeout_seconds": 10.0, **options}) as store:
        await loaded(store)
        await leading(store)
        yield Leader(store, Clock())

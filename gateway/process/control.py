"""The control process: follows the store, feeds the workers, answers the operators.

The one place where its parts meet. Each part gets what it needs by constructor, and every task has
its owner here.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import uvloop

from gateway.admin.app import Admin
from gateway.admin.context import AdminContext
from gateway.config.endpoints import endpoint_rule
from gateway.config.log_text import Redactor
from gateway.config.secret import secrets_in
from gateway.config.settings import Settings
from gateway.errors import GraygateError
from gateway.metrics.standing import ProcessState, Standing
from gateway.process import log
from gateway.process.collector import Settling
from gateway.process.comparing import Comparer
from gateway.process.feed import Feed
from gateway.process.feedback import FeedbackDesk
from gateway.process.handover import (
    ALIVE,
    READY,
    ControlBoot,
    Lifeline,
    receive_boot,
    standing_of,
)
from gateway.process.identity import identity_of
from gateway.process.plugins import Plugins
from gateway.process.strata import StrataPublisher
from gateway.process.vitals import Meter, Pulse
from gateway.release.conduct.controller import Controller
from gateway.release.conduct.desk import Desk
from gateway.release.conduct.drill.board import Board
from gateway.release.conduct.drill.rehearsal import Scene
from gateway.release.conduct.judging import ReleaseJudging
from gateway.release.conduct.notify.notifier import Notifier
from gateway.release.conduct.own_metrics import OwnMetrics
from gateway.release.conduct.prometheus import Prometheus
from gateway.release.machine.status import Status
from gateway.routing.spec import RouteSpec
from gateway.state.drills import DrillStore
from gateway.state.ratings import Ratings
from gateway.state.release import ReleaseRecord
from gateway.state.snapshot import Snapshot
from gateway.state.store import Store
from gateway.state.strata import StrataLog

_log = logging.getLogger(__name__)

_LAST_STRATA_SECONDS = 1.5
_SETTLE_SECONDS = 1.0


class SnapshotSource(Protocol):
    """The store, or a file in the tests."""

    def subscribe(self, callback: Callable[[Snapshot], None]) -> None: ...

    async def run(self) -> None: ...


class AdminServer(Protocol):
    """What answers on the admin port."""

    async def start(self, sock: socket.socket) -> None: ...

    async def stop(self) -> None: ...


class Runs(Protocol):
    """What works beside the rest until it is cancelled."""

    async def run(self) -> None: ...


@dataclass(slots=True)
class Health:
    """What control knows of the gateway's processes beside the workers' own words."""

    pulse: Pulse
    standing: Standing = field(default_factory=Standing)


@dataclass(frozen=True, slots=True)
class Parts:
    """What differs between the product and its tests."""

    store: SnapshotSource
    admin: AdminServer
    strata: StrataPublisher | None = None
    controller: Controller | None = None
    beside: tuple[Runs, ...] = ()


Build = Callable[[ControlBoot, Feed, Health], Parts]


class Control:
    """Owns the tasks of the control process."""

    def __init__(self, boot: ControlBoot, lifeline: Lifeline, build: Build) -> None:
        self._boot = boot
        self._lifeline = lifeline
        self._health = Health(Pulse(lambda: lifeline.say(ALIVE)))
        self._feed = Feed(socket.socket(fileno=boot.channel_fd), Path(boot.runtime_dir))
        self._parts = build(boot, self._feed, self._health)
        self._settling = Settling()
        self._must_end = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Control with {self._feed!r}, draining: {self._health.standing.is_draining}>"

    async def run(self) -> None:
        """Works until it is told to end."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._must_end.set)
        self._lifeline.start(self._hear)
        store, admin = self._parts.store, self._parts.admin
        store.subscribe(self._publish)
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(store.run()),
                tasks.create_task(self._feed.run()),
                tasks.create_task(self._health.pulse.run()),
                tasks.create_task(self._watch()),
            ]
            running += [tasks.create_task(one.run()) for one in self._parts.beside]
            strata = self._parts.strata
            publishing = [] if strata is None else [tasks.create_task(strata.run())]
            if self._parts.controller is not None:
                running.append(tasks.create_task(self._parts.controller.run()))
            await admin.start(socket.socket(fileno=self._boot.admin_fd))
            self._lifeline.say(READY)
            await self._must_end.wait()
            await admin.stop()
            if strata is not None:  # before the store goes
                strata.end()
                await asyncio.wait(publishing, timeout=_LAST_STRATA_SECONDS)
            for task in (*running, *publishing):
                task.cancel()
        if self._lifeline.supervisor_gone.is_set():
            # Nobody else is left to do it.
            shutil.rmtree(self._boot.runtime_dir, ignore_errors=True)
        self._lifeline.close()

    def _publish(self, snapshot: Snapshot) -> None:
        self._feed.publish(snapshot)
        # Once the workers have it, and nobody waits for us.
        asyncio.get_running_loop().call_later(
            _SETTLE_SECONDS, self._settling.grown_to, len(snapshot.routes)
        )

    async def _watch(self) -> None:
        await self._lifeline.supervisor_gone.wait()
        _log.warning("The supervisor is gone; control ends too.")
        self._must_end.set()

    def _hear(self, word: str) -> None:
        standing = standing_of(word)
        if standing is not None:
            self._health.standing = standing


def run_control(build: Build) -> None:
    """The whole life of a control process; `build` makes the parts of it that may differ."""
    faulthandler.enable()  # as in a worker
    end = socket.socket(fileno=int(sys.argv[1]))
    try:
        boot = receive_boot(end, ControlBoot)
        settings = boot.settings
        log.configure(settings.log, "control", secrets=secrets_in(settings))
        uvloop.run(_run(boot, end, build))
    except GraygateError as error:
        sys.exit(str(error))
    except Exception:
        _log.exception("Control failed.")
        sys.exit(1)


async def _run(boot: ControlBoot, end: socket.socket, build: Build) -> None:
    await Control(boot, Lifeline(end), build).run()


class Processes:
    """All processes of this gateway, as control can see them."""

    def __init__(self, feed: Feed, health: Health) -> None:
        self._feed = feed
        self._health = health
        self._own = Meter(time.time())
        self._supervisor = os.getppid()

    def __repr__(self) -> str:
        return f"<Processes of supervisor {self._supervisor}>"

    def look(self) -> Sequence[ProcessState]:
        supervisor = Meter(self._health.standing.started_at, self._supervisor)
        return (
            ProcessState(role="supervisor", vitals=supervisor.vitals()),
            ProcessState(role="control", vitals=self._own.vitals(self._health.pulse.lag_seconds)),
            *(
                ProcessState(role=f"worker {place}", vitals=vitals)
                for place, vitals in self._feed.ledger.vitals.items()
            ),
        )


def build_parts(boot: ControlBoot, feed: Feed, health: Health) -> Parts:
    """The product's own parts."""
    settings = boot.settings
    folder = settings.process.state_dir
    own_id = f"{socket.gethostname()}-{os.getpid()}"
    wrong_place = endpoint_rule(settings).wrong_with_url
    store = Store(settings.redis, Path(folder) if folder else None, own_id, wrong_place)
    numbers = StrataLog(store.link, store.keys)
    strata = StrataPublisher(feed.strata, numbers, own_id)
    comparer = build_comparer(settings, store, feed)
    controller = build_controller(settings, store, own_id, feed.ledger.endpoints_of, comparer)
    feedback = FeedbackDesk(feed.strata, Ratings(store.link, store.keys))
    feed.on_pairs, feed.on_answers = comparer.put, feedback.answered
    desk = Desk(
        store,
        numbers,
        [channel.name for channel in settings.notify],
        problems=controller.problems,
    )
    drilling = Scene(store, desk, DrillStore(store.link, store.keys), lambda: feed.workers, own_id)
    board = Board(settings, drilling, boot.data_url, Path(boot.runtime_dir))
    context = AdminContext(
        settings=settings,
        store=store,
        identity=identity_of(settings.routing),
        own_id=own_id,
        workers=lambda: feed.workers,
        counted=feed.ledger.counted,
        standing=lambda: health.standing,
        processes=Processes(feed, health).look,
        observed=strata.observed,
        releases=desk,
        shadows=comparer,
        feedback=feedback,
        drills=board,
        conducted=controller.conducted,
    )
    return Parts(store, Admin(context), strata, controller, beside=(comparer, feedback, board))


def build_comparer(settings: Settings, store: Store, feed: Feed) -> Comparer:
    """What compares answers of two versions."""

    def spec_of(route: str) -> RouteSpec | None:
        held = store.snapshot.routes.get(route)
        return None if held is None else held.spec

    redact = Redactor(secrets_in(settings)) if settings.release.shadow_examples else None
    return Comparer(feed.strata, spec_of, Plugins(settings.release.compare_plugins), redact)


def build_controller(
    settings: Settings,
    store: Store,
    own_id: str,
    endpoints_of: Callable[[str, str], Mapping[str, float]],
    comparer: Comparer,
) -> Controller:
    """What conducts releases while this gateway leads."""

    def judging(status: Status, record: ReleaseRecord) -> ReleaseJudging:
        held = store.snapshot.routes.get(status.route)
        return ReleaseJudging(status, record.judge, is_sticky=bool(held and held.spec.unit))

    return Controller(
        store,
        StrataLog(store.link, store.keys),
        judging,
        Notifier(settings.notify),
        OwnMetrics(Prometheus(settings.release)),
        own_id,
        why_not_ready=lambda status: (
            why_not_ready(status, endpoints_of(status.route, status.candidate))
            or why_held(status, comparer.holds(status.route))
        ),
    )


def why_not_ready(status: Status, endpoints: Mapping[str, float]) -> str:
    """Why the candidate may get no more, as far as this gateway's workers know its endpoints."""
    is_down = bool(endpoints) and not any(endpoints.values())
    return f"no endpoint of {status.candidate} is up" if is_down else ""


def why_held(status: Status, holds: Mapping[str, Sequence[str]]) -> str:
    """Why the candidate may get no more, as far as its answers to copies differ from stable's."""
    if not status.plan.guardrails.shadow.enabled:
        return ""
    return "; ".join(holds.get(status.candidate, ()))


if __name__ == "__main__":
    run_control(build_parts)

"""What all workers of a gateway hold of a drill's route is told to the other gateways."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any, cast

import pytest

from gateway.release.conduct.drill.obeyed import Obeyed
from gateway.release.conduct.drill.rehearsal import DrillFailed, Rehearsal, Scene, state_of
from gateway.release.drill.report import Report, Wanted
from gateway.state.drills import DrillStore
from gateway.state.instances import Instances
from gateway.state.store import Store
from tests.release.conduct.conducting import leader
from tests.servers import Server
from tests.state.following import ME, eventually, following, loaded

ROUTE = "chat.drill"
DRILL = (
    f"SADD gray:routes {ROUTE}",
    f"HSET gray:route:{ROUTE} stable v1 host 01ab.drill.invalid",
    f"HSET gray:route:{ROUTE}:versions v1 http://127.0.0.1:1 drill http://127.0.0.1:2",
)


@dataclass
class Worker:
    sequence: int | None = None


async def told(store: Store) -> dict[str, tuple[int, float]]:
    return (await store.instances.everybody(time.time()))["gw1"].drills


async def test_it_is_told_as_soon_as_all_workers_hold_it(store: Server) -> None:
    for line in DRILL:
        store.cli(line)
    workers = [Worker(), Worker()]
    async with following(store) as followed:
        obeyed = Obeyed(followed, lambda: workers)
        await loaded(followed, ROUTE)
        await eventually(lambda: followed.snapshot.routes[ROUTE].revision, "it is recorded")
        looking = asyncio.create_task(obeyed.look())
        workers[0].sequence = followed.snapshot.sequence
        await asyncio.sleep(0.1)
        assert not looking.done()
        assert await told(followed) == {}
        workers[1].sequence, began = followed.snapshot.sequence, time.time()
        await asyncio.wait_for(looking, 5)
        [(name, (revision, since))] = (await told(followed)).items()
        assert (name, revision) == (ROUTE, followed.snapshot.routes[ROUTE].revision)
        assert began <= since <= time.time()
        assert repr(obeyed) == f"<Obeyed: {{'{ROUTE}': ({revision}, {since})}}>"
        await followed.writer.delete(ROUTE, ME)
        await eventually(lambda: ROUTE not in followed.snapshot.routes, "it is gone")
        await obeyed.look()
        assert await told(followed) == {}


async def test_a_gateway_whose_workers_do_not_hold_it_is_waited_for_and_named(
    store: Server,
) -> None:
    for line in DRILL:
        store.cli(line)
    workers = [Worker(10**9)]
    async with leader(store) as lead:
        follows = lead.store
        await loaded(follows, ROUTE)
        await eventually(lambda: follows.snapshot.routes[ROUTE].revision, "it is recorded")
        rehearsal = _rehearsal(Scene(follows, lead.desk, _drills(follows), lambda: workers, "gw1"))
        began = time.time()
        assert began <= await rehearsal._until_held(5, "it is not held") <= time.time()
        other = Instances(follows.link, follows.keys, "gw2", lambda: follows.snapshot)
        await other.beat(time.time())
        with pytest.raises(DrillFailed, match=r"it is not held by the workers of gw2$"):
            await rehearsal._until_held(0.1, "it is not held")
        revision = follows.snapshot.routes[ROUTE].revision
        # Of a clock that is ahead only so much is believed as can be.
        for at in (1.0, time.time() + 3600):
            other.drills = {ROUTE: (revision, at)}
            await other.beat(time.time())
            began = time.time()
            assert began <= await rehearsal._until_held(5, "it is not held") <= time.time()
        workers[0].sequence = None
        with pytest.raises(DrillFailed, match=r"it is not held by the workers of gw1$"):
            await rehearsal._until_held(0.1, "it is not held")


def _drills(store: Store) -> DrillStore:
    return DrillStore(store.link, store.keys)


def _rehearsal(scene: Scene) -> Rehearsal:
    report = Report(
        id="d1", route="chat", kind="errors", outcome="running", target=8.0, gateway="gw1",
        by="alice", began=1000.0,
    )  # fmt: skip
    wanted, nothing = Wanted(), cast("Any", None)  # neither is asked for anything here
    state = state_of(scene.store.snapshot.routes["chat"].state, "v1", "h", "http://127.0.0.1:2")
    return Rehearsal(scene, report, wanted, nothing, nothing, state, ME)

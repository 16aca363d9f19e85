"""Every alert fires for what it is named after: real gateways, real faults, the real rules.

A minute of the rules is a second here (`rules.hurried`). Two gateways serve routes that are well,
while nothing may fire; then everything goes wrong that can go wrong at the same time.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from gateway.release.machine.phase import Phase
from gateway.release.machine.status import Proposal, begin, encode
from gateway.release.plan.read import read_plan
from tests.deploy.gateway import Gateway, plant
from tests.deploy.models import Model, Stage
from tests.deploy.prometheus import Prometheus
from tests.deploy.rules import alerts
from tests.servers import HOST, Server, Valkey, free_port, wait_until

pytestmark = [pytest.mark.debian, pytest.mark.slow, pytest.mark.timeout(240)]

CONNECTIONS = 60  # that each worker of the first gateway accepts

# Its spans are sent to nobody.
EXTRA = f"""\
limits.connections = {CONNECTIONS}
access_log.path = ""
tracing.otlp_url = "http://{HOST}:{{port}}"
tracing.sample = 0.05
"""

# A route for each kind of trouble, and how many users a second ask it.
TRAFFIC = {"slow": 60, "failing": 25, "dead": 40, "panic": 10, "broken": 12}
TYPO = "typo"  # a route that nobody asks
WORKER = "worker 0"  # the only one of the second gateway

Alert = tuple[str, str]  # and the route or process that it is about

OF_VERSIONS: tuple[Alert, ...] = (
    ("GraygateVersionErrors", "failing"),
    ("GraygateVersionSlow", "slow"),
    ("GraygateFirstByteSlow", "slow"),
    ("GraygateChunksSlow", "slow"),
    ("GraygateShareOffTarget", "dead"),
    ("GraygateRouteErrors", "broken"),
    ("GraygateEndpointDown", "dead"),
    ("GraygateVersionDown", "dead"),
    ("GraygatePanicMode", "panic"),
)
OF_CONTENT: tuple[Alert, ...] = (
    ("GraygateConfigRefused", TYPO),
    ("GraygateGatewaysDisagree", "slow"),
    ("GraygateWatchPolling", ""),
    ("GraygateReloadFailed", ""),
    ("GraygateDrillOverdue", TYPO),
    ("GraygateReleaseRolledBack", TYPO),
    ("GraygateReleaseWaits", "slow"),
    ("GraygateReleaseStuck", "failing"),
)
OF_STRAIN: tuple[Alert, ...] = (
    ("GraygateWorkersBehind", ""),
    ("GraygateFilesRunningOut", WORKER),
    ("GraygateLoopLag", WORKER),
    ("GraygateShedding", "connections"),
    ("GraygateTelemetryDropped", ""),
)
OF_DEATHS: tuple[Alert, ...] = (
    ("GraygateProcessRestarts", "worker 1"),
    ("GraygateCrashLoop", "worker 1"),
    ("GraygateWorkersMissing", ""),
)
OF_THE_STORE: tuple[Alert, ...] = (("GraygateStoreAway", ""), ("GraygateSnapshotOld", ""))
NO_LEADER: Alert = ("GraygateNoLeader", "")
DOWN: Alert = ("GraygateDown", "")
ABSENT: Alert = ("GraygateAbsent", "")


@dataclass
class Scene:
    """Everything that a test may turn."""

    stage: Stage
    prometheus: Prometheus
    gateways: tuple[Gateway, Gateway]  # the first has all the traffic
    stores: tuple[Server, Server]  # one each, as if they had been split
    models: dict[str, Model]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("scene")
    extra = EXTRA.format(port=free_port())
    with Stage() as stage, Valkey() as one, Valkey() as other:
        models = {f"{route} {v}": stage.model() for route in TRAFFIC for v in ("v1", "v2")}
        models |= {"panic a": stage.model(), "panic b": stage.model()}
        for store in (one, other):
            for route in TRAFFIC:
                stable = models[f"{route} v1"].url
                if route == "panic":
                    stable = " ".join([stable, models["panic a"].url, models["panic b"].url])
                plant(store, route, 50, v1=stable, v2=models[f"{route} v2"].url)
            plant(store, TYPO, 10, v1=f"http://{HOST}:1", v2=f"http://{HOST}:2")
        with (
            Gateway(folder / "one", one, extra=extra) as first,
            Gateway(folder / "other", other, workers=1) as second,
            Prometheus(folder / "prometheus") as prometheus,
        ):
            for route, per_second in TRAFFIC.items():
                stage.users(first.data_url, route, per_second)
            prometheus.scrape(first.admin_url, second.admin_url)
            yield Scene(stage, prometheus, (first, second), (one, other), models)


def test_each_alert_is_made_to_fire_by_one_of_these_tests() -> None:
    fired = (*OF_VERSIONS, *OF_CONTENT, *OF_STRAIN, *OF_DEATHS, *OF_THE_STORE)
    fired += (NO_LEADER, DOWN, ABSENT)
    assert sorted(name for name, _ in fired) == sorted(alerts())


def test_nothing_fires_while_all_is_well(scene: Scene) -> None:
    judged = "job_route_version:graygate_inter_chunk_seconds:p95_rate10m{route='slow'}"
    wait_until(lambda: len(scene.prometheus.query(judged)) == 2, "there is enough to judge by", 40)
    # A machine that has other things to do is late, and spans are sent to nobody all the time.
    assert {name for name, _ in scene.prometheus.firing()} <= {
        "GraygateLoopLag", "GraygateTelemetryDropped",
    }  # fmt: skip


def test_versions_that_fail_or_drag_and_endpoints_that_are_gone(scene: Scene) -> None:
    models = scene.models
    models["failing v2"].fails_every = 3
    models["broken v1"].fails_every = 1
    models["slow v2"].delay_seconds = 1.2
    models["slow v2"].gap_seconds = 0.15
    for name in ("dead v2", "panic a", "panic b"):
        scene.stage.kill(models[name])
    scene.prometheus.wait_firing(*OF_VERSIONS)
    about_versions = {name for name, _ in OF_VERSIONS}
    routes = {route for name, route in scene.prometheus.firing() if name in about_versions}
    assert TYPO not in routes


def test_garbage_edits_that_reach_one_gateway_and_settings_that_are_wrong(scene: Scene) -> None:
    store, (_, second) = scene.stores[0], scene.gateways
    second.reload("redis.tracking = false\n")
    store.cli(f"HSET gray:route:{TYPO}:weights v2 140")
    store.cli("HSET gray:route:slow:weights v2 49")
    polls = f'graygate_watch_mode{{mode="poll", instance="{second.instance}"}}'
    wait_until(lambda: scene.prometheus.value(polls) == 1, "it polls")
    second.reload("redis.trakking = false\n")
    want_drills(store, TYPO)
    leave_waiting(store, "slow", 49.0)
    store.cli("HSET gray:route:failing:release status {")
    store.cli("SADD gray:releases failing")
    scene.prometheus.wait_firing(*OF_CONTENT)


def want_drills(store: Server, route: str) -> None:
    """A release that was rolled back long ago, whose plan wants drills; one never ends."""
    plan = read_plan(
        {"candidate": "v2", "stages": [{"weight": 100}], "drill": {"every": "1h"}},
        given={"route": route},
    )
    begun = begin(plan, release_id="r1", stable="v1", weight_before=0.0, by="alice", now=1000.0)
    ended = msgspec.structs.replace(begun, phase=Phase.ROLLED_BACK, latched=True)
    store.execute("SET", f"gray:route:{route}:drill", "{}")
    store.execute("HSET", f"gray:route:{route}:release", "status", encode(ended))


def leave_waiting(store: Server, route: str, weight: float) -> None:
    """A release that asked an hour ago whether it may begin."""
    plan = read_plan(
        {"candidate": "v2", "mode": "manual", "stages": [{"weight": 100}]}, given={"route": route}
    )
    then = time.time() - 3600
    begun = begin(plan, release_id="r2", stable="v1", weight_before=weight, by="alice", now=then)
    asks = Proposal(verb="promote", about="promote:0", text="Start?", at=then)
    waiting = msgspec.structs.replace(begun, phase=Phase.AWAITING, proposal=asks)
    fields = ("release", "r2", "running", "1", "status", encode(waiting))
    store.execute("HSET", f"gray:route:{route}:release", *fields)
    store.cli(f"SADD gray:releases {route}")


def test_workers_that_stand_still_or_have_too_much_to_do(scene: Scene) -> None:
    first, second = scene.gateways
    [worker] = second.workers
    opened = len(list(Path(f"/proc/{worker}/fd").iterdir()))
    before = resource.prlimit(worker, resource.RLIMIT_NOFILE, (opened, opened))
    with crowd(first):
        os.kill(worker, signal.SIGSTOP)
        try:
            scene.stores[1].cli(f"HSET gray:route:{TYPO}:weights v2 11")
            scene.prometheus.wait_firing(("GraygateWorkersBehind", ""))
        finally:
            os.kill(worker, signal.SIGCONT)
        scene.prometheus.wait_firing(*OF_STRAIN)
    with contextlib.suppress(PermissionError):  # to raise a limit takes rights
        resource.prlimit(worker, resource.RLIMIT_NOFILE, before)


def test_workers_that_die_and_a_lease_that_somebody_else_holds(scene: Scene) -> None:
    ends = int((time.time() + 45) * 1000)
    for store in scene.stores:
        store.execute("SET", "gray:leader", f"99:somebody:{ends}")
    with killed_again_and_again(scene.gateways[0]):
        scene.prometheus.wait_firing(*OF_DEATHS, NO_LEADER)


def test_stores_that_are_away_and_a_gateway_that_is_gone(scene: Scene) -> None:
    for store in scene.stores:
        store.kill()
    scene.gateways[1].stop()
    scene.prometheus.wait_firing(*OF_THE_STORE, DOWN)


def test_a_prometheus_that_knows_no_gateway(scene: Scene) -> None:
    scene.prometheus.scrape()
    scene.prometheus.wait_firing(ABSENT)


@contextmanager
def crowd(gateway: Gateway) -> Iterator[None]:
    """More clients than the gateway has places for, who come back as soon as they are sent away."""
    host, _, port = gateway.data_url.removeprefix("http://").partition(":")
    must_end = threading.Event()

    def come() -> None:
        held: list[socket.socket] = []
        while not must_end.wait(0.01):
            with contextlib.suppress(OSError):
                held.append(socket.create_connection((host, int(port)), timeout=5))
            if len(held) > 3 * CONNECTIONS:
                held.pop(0).close()
        for one in held:
            one.close()

    thread = threading.Thread(target=come)
    thread.start()
    try:
        yield
    finally:
        must_end.set()
        thread.join()


@contextmanager
def killed_again_and_again(gateway: Gateway) -> Iterator[None]:
    """The younger of its workers dies as soon as it is there."""
    eldest = gateway.workers[0]
    must_end = threading.Event()

    def kill() -> None:
        while not must_end.wait(0.1):
            for pid in gateway.workers:
                if pid != eldest:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield
    finally:
        must_end.set()
        thread.join()

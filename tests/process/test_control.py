"""The control process with its real parts: a store, the admin port, and workers behind it."""

from __future__ import annotations

import http.client
import os
import signal
import sys
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import msgspec
import pytest

from gateway.process.control import why_held, why_not_ready
from tests.process.harness import Gateway, Model, wait_until
from tests.release.conduct.test_edits import STATUS
from tests.servers import Valkey

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture
def model() -> Iterator[Model]:
    with Model("one") as model:
        yield model


@pytest.fixture
def gateway(model: Model) -> Iterator[tuple[Gateway, Valkey]]:
    with Valkey() as store, Model("two") as two, Gateway(control="gateway.process.control") as gw:
        store.cli("SADD gray:routes chat")
        store.cli("HSET gray:route:chat stable v1")
        store.cli(f"HSET gray:route:chat:versions v1 {model.url} v2 {two.url}")
        gw.configure(
            redis={"url": store.url, "password": ""},
            process={"workers": 2, "state_dir": str(gw.folder / "state")},
        )
        yield gw.start(), store


def admin(gateway: Gateway, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", gateway.admin_port, timeout=10)
    connection.request("GET", path)
    with connection.getresponse() as response:
        answer = response.status, response.read()
    connection.close()
    return answer


def test_one_hset_moves_everybody(gateway: tuple[Gateway, Valkey]) -> None:
    gw, store = gateway
    wait_until(lambda: gw.get() == (200, b"one"), "it serves")
    store.cli("HSET gray:route:chat:weights v2 100")
    wait_until(lambda: {gw.get() for _ in range(8)} == {(200, b"two")}, "all go to v2")
    store.cli("DEL gray:route:chat:weights")
    wait_until(lambda: {gw.get() for _ in range(8)} == {(200, b"one")}, "all go to v1")


def test_the_admin_port_tells_what_the_workers_hold_and_count(
    gateway: tuple[Gateway, Valkey],
) -> None:
    gw, _ = gateway
    wait_until(lambda: admin(gw, "/readyz")[0] == 200, "the gateway is ready")
    assert admin(gw, "/healthz")[0] == 200
    gw.get()
    counted = b'graygate_requests_total{code="200",route="chat",version="v1"} 1.0'
    wait_until(lambda: counted in admin(gw, "/metrics")[1], "the request is counted")


def test_the_store_may_be_away_before_and_after(gateway: tuple[Gateway, Valkey]) -> None:
    gw, store = gateway
    state: Any = gw.folder / "state" / "table.json"
    wait_until(state.exists, "the last good table is saved")
    store.kill()
    assert gw.get() == (200, b"one")
    control = gw.control
    os.kill(control, signal.SIGKILL)
    wait_until(lambda: gw.log().count("starting a new one") == 1, "control is replaced")
    assert gw.get() == (200, b"one")
    gw.signal(signal.SIGTERM)
    assert gw.wait() == 0


def sample(gateway: Gateway, name: str) -> float | None:
    """The value of a series; None when there is none of this name, or nobody to ask."""
    try:
        text = admin(gateway, "/metrics")[1].decode()
    except OSError:
        return None
    found = [line for line in text.splitlines() if line.rpartition(" ")[0] == f"graygate_{name}"]
    return float(found[0].rpartition(" ")[2]) if found else None


def is_told(gateway: Gateway, name: str) -> bool:
    return bool(sample(gateway, name))


def test_all_processes_tell_how_they_are(gateway: tuple[Gateway, Valkey]) -> None:
    gw, _ = gateway
    for role in ("supervisor", "control", "worker 0", "worker 1"):
        label = f'{{process="{role}"}}'
        wait_until(partial(is_told, gw, f"process_open_fds{label}"), role)
        started = sample(gw, f"process_start_time_seconds{label}")
        resident = sample(gw, f"process_resident_memory_bytes{label}")
        assert started is not None and abs(time.time() - started) < 300
        assert resident is not None and 2**22 < resident < 2**31
    assert sample(gw, "workers_wanted") == 2
    lag = sample(gw, 'process_loop_lag_seconds{process="worker 0"}')
    assert lag is not None and 0 <= lag < 60


def test_restarts_and_reloads_are_counted_and_survive_control(
    gateway: tuple[Gateway, Valkey],
) -> None:
    gw, _ = gateway
    os.kill(min(gw.workers), signal.SIGKILL)
    restarts = [f'process_restarts_total{{process="worker {place}"}}' for place in (0, 1)]
    wait_until(lambda: 1.0 in [sample(gw, name) for name in restarts], "a restart is counted")
    os.kill(gw.control, signal.SIGKILL)
    name = 'process_restarts_total{process="control"}'
    wait_until(lambda: sample(gw, name) == 1.0, "that of control is counted too")
    assert sorted(sample(gw, name) or 0.0 for name in restarts) == [0.0, 1.0]
    gw.signal(signal.SIGHUP)
    name = 'settings_reloads_total{result="success"}'
    wait_until(lambda: sample(gw, name) == 1.0, "the reload is counted")
    (gw.folder / "settings").write_text("{")
    gw.signal(signal.SIGHUP)
    wait_until(lambda: sample(gw, "settings_last_reload_successful") == 0.0, "it is told")


def test_the_gateway_is_not_ready_from_the_moment_it_is_told_to_end(
    gateway: tuple[Gateway, Valkey],
) -> None:
    gw, _ = gateway
    wait_until(lambda: admin(gw, "/readyz") == (200, b"ok\n"), "the gateway is ready")
    with gw.asked("/stream") as response:
        assert response.readline() == b"data: first\n"
        gw.signal(signal.SIGTERM)
        wait_until(lambda: admin(gw, "/readyz")[0] == 503, "it is not ready")
        assert b"not_draining" in admin(gw, "/readyz")[1]
        assert admin(gw, "/healthz") == (200, b"ok\n")
        gw.signal(signal.SIGTERM)
    assert gw.wait() == 128 + signal.SIGTERM


@pytest.mark.parametrize(
    ("shares", "why"),
    [
        ({}, ""),  # nobody checks them
        ({"a": 0.0, "b": 0.5}, ""),
        ({"a": 0.0, "b": 0.0}, "no endpoint of v2 is up"),
    ],
)
def test_a_candidate_of_which_nothing_is_up_is_not_ready(
    shares: dict[str, float], why: str
) -> None:
    assert why_not_ready(STATUS, shares) == why


def test_a_candidate_whose_answers_drift_gets_no_more() -> None:
    holds = {"v2": ("one drifts", "another drifts"), "v3": ("a third drifts",)}
    assert why_held(STATUS, holds) == "one drifts; another drifts"
    assert why_held(STATUS, {"v2": ()}) == "" == why_held(STATUS, {})
    replace = msgspec.structs.replace
    guards = STATUS.plan.guardrails
    without = replace(guards, shadow=replace(guards.shadow, enabled=False))
    assert why_held(replace(STATUS, plan=replace(STATUS.plan, guardrails=without)), holds) == ""

"""The control process with its real parts: a store, the admin port, and workers behind it."""

from __future__ import annotations

import http.client
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.process.harness import Gateway, Model, wait_until
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
    assert gw.get() == (200, b"one")
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

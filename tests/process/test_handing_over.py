"""What happens to connections and code while processes are replaced or end."""

from __future__ import annotations

import contextlib
import signal
import socket
import sys
import time
from collections.abc import Iterator

import pytest

from tests.process.harness import Gateway, Model, is_alive, kept_request, wait_until
from tests.process.snapshots import spec

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture
def model() -> Iterator[Model]:
    with Model("one") as model:
        yield model


@pytest.fixture
def gateway(model: Model) -> Iterator[Gateway]:
    with Gateway() as gateway:
        gateway.publish(1, spec(urls=(model.url, model.url)))
        gateway.start()
        gateway.wait_held(1)
        yield gateway


def connected(gateway: Gateway) -> socket.socket:
    return socket.create_connection((gateway.host, gateway.port), timeout=20)


def replace_everybody(gateway: Gateway) -> set[int]:
    """Returns the workers that were replaced; they may still be there."""
    before = gateway.workers
    gateway.signal(signal.SIGHUP)
    wait_until(lambda: "have been replaced" in gateway.log(), "everybody is replaced")
    return before


def test_idle_connections_of_a_replaced_worker_get_one_more_answer(gateway: Gateway) -> None:
    with contextlib.ExitStack() as opened:
        idle = [opened.enter_context(connected(gateway)) for _ in range(10)]
        for connection in idle:
            assert b"Connection: close" not in kept_request(connection)
        replaced = replace_everybody(gateway)
        since = time.monotonic()
        # When a gateway ends, a second is all that idle connections get.
        wait_until(lambda: time.monotonic() > since + 1.5, "time has passed")
        for connection in idle:
            assert b"connection: close" in kept_request(connection).lower()
        wait_until(lambda: not any(map(is_alive, replaced)), "the replaced workers have ended")


def test_idle_connections_do_not_hold_up_the_end(gateway: Gateway) -> None:
    with connected(gateway) as idle:
        kept_request(idle)
        gateway.signal(signal.SIGTERM)
        assert gateway.wait(10) == 0  # draining may take 20 s
        assert idle.recv(100) == b""  # the end, and no reset


def test_streams_of_replaced_workers_are_finished_when_the_end_comes_as_well(
    gateway: Gateway, model: Model
) -> None:
    with gateway.asked("/stream") as response:
        assert response.readline() == b"data: first\n"
        replaced = replace_everybody(gateway)
        gateway.signal(signal.SIGTERM)
        wait_until(lambda: refuses(gateway), "new connections are refused")
        assert any(map(is_alive, replaced))
        model.may_end.set()
        assert response.read() == b"\ndata: last\n\n"
    assert gateway.wait() == 0


def refuses(gateway: Gateway) -> bool:
    try:
        connected(gateway).close()
    except ConnectionRefusedError:
        return True
    return False


def test_connections_are_accepted_until_balancers_have_noticed(model: Model) -> None:
    with Gateway(workers=1) as gateway:
        gateway.configure(process={"unready_seconds": 600.0})
        gateway.publish(1, spec(urls=(model.url, model.url)))
        gateway.start()
        gateway.wait_held(1, workers=1)
        gateway.signal(signal.SIGTERM)
        wait_until(lambda: gateway.about()["draining"], "control says that it is not ready")
        for _ in range(10):
            assert gateway.get() == (200, b"one")
        gateway.signal(signal.SIGTERM)
        assert gateway.wait() == 128 + signal.SIGTERM


RELEASE = """
from pathlib import Path
from gateway.process import worker
Path({marker!r}).touch()
worker.main()
"""


def test_sighup_brings_new_code_into_force(model: Model) -> None:
    with Gateway(workers=1, worker="release_of_a_worker") as gateway:
        gateway.add_to_path()
        program = gateway.folder / "release_of_a_worker.py"
        program.write_text(RELEASE.format(marker=str(gateway.folder / "release-1")))
        gateway.publish(1, spec(urls=(model.url, model.url)))
        gateway.start()
        gateway.wait_held(1, workers=1)
        assert (gateway.folder / "release-1").exists()
        program.write_text(RELEASE.format(marker=str(gateway.folder / "release-2")))
        with connected(gateway) as kept:
            kept_request(kept)
            replaced = replace_everybody(gateway)
            assert (gateway.folder / "release-2").exists()
            kept_request(kept)
        wait_until(lambda: not any(map(is_alive, replaced)), "the release before has ended")
        assert gateway.get() == (200, b"one")


def test_a_worker_that_does_not_start_leaves_the_one_before_in_force(gateway: Gateway) -> None:
    before = gateway.workers
    gateway.configure(listen={"tls_cert": "absent", "tls_key": "absent"})
    gateway.signal(signal.SIGHUP)
    wait_until(lambda: "Replacing stopped" in gateway.log(), "it is given up")
    wait_until(lambda: gateway.held().keys() == before, "the workers are the same")
    assert gateway.about()["standing"]["is_reload_good"] is False
    assert gateway.get() == (200, b"one")


def test_sigusr1_of_a_recipe_for_log_rotation_does_no_harm(gateway: Gateway) -> None:
    everybody = gateway.everybody
    gateway.signal(signal.SIGUSR1)
    assert gateway.get() == (200, b"one")
    assert gateway.everybody == everybody

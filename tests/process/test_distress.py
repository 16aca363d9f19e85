"""Gateways in bad circumstances: children that only die, that hang, and no descriptors left."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.harness import Gateway, Model, is_alive, wait_until
from tests.process.snapshots import spec
from tests.servers import free_port

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture
def model() -> Iterator[Model]:
    with Model("one") as model:
        yield model


def cpu_seconds(pids: set[int]) -> float:
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


@pytest.mark.slow
def test_a_worker_that_only_dies_is_told_to_control_and_does_not_spin(model: Model) -> None:
    with Gateway(workers=1, worker="tests.process.dying") as gateway:
        gateway.admin_port = gateway.settings["admin"]["port"] = free_port()
        gateway.start(is_ready=False)
        wait_until(lambda: "again and again" in gateway.log(), "the loop is noticed")
        wait_until(lambda: "worker 0" in looping(gateway), "control knows")
        assert gateway.about()["standing"]["restarts"]["worker 0"] >= 5
        # Nothing is started before the pause is over that was announced.
        started, since = gateway.log().count("dies at once"), time.monotonic()
        wait_until(lambda: time.monotonic() > since + 3, "time has passed")
        assert gateway.log().count("dies at once") - started <= 1
        (gateway.folder / "mended").touch()  # what was wrong is mended outside
        gateway.wait_ready()
        gateway.publish(1, spec(urls=(model.url, model.url)))
        gateway.wait_held(1, workers=1)
        assert gateway.get() == (200, b"one")


def looping(gateway: Gateway) -> list[str]:
    """The roles that die again and again, as control knows them."""
    found: list[str] = gateway.about()["standing"].get("looping", [])
    return found


def test_a_worker_that_hangs_is_replaced_and_those_who_wait_are_served(model: Model) -> None:
    with Gateway(workers=1) as gateway:
        gateway.configure(process={"hang_seconds": 4.0})
        gateway.publish(1, spec(urls=(model.url, model.url)))
        gateway.start()
        gateway.wait_held(1, workers=1)
        [hangs] = gateway.workers
        os.kill(hangs, signal.SIGSTOP)
        assert gateway.get() == (200, b"one")  # by its successor
        assert not is_alive(hangs)
        assert any("no sign of life for" in message for message in gateway.logged())


@pytest.mark.slow
def test_a_gateway_that_was_frozen_as_a_whole_replaces_nobody(model: Model) -> None:
    with Gateway(workers=1) as gateway:
        gateway.configure(process={"hang_seconds": 4.0})
        gateway.publish(1, spec(urls=(model.url, model.url)))
        gateway.start()
        gateway.wait_held(1, workers=1)
        before = gateway.everybody
        for pid in before:
            os.kill(pid, signal.SIGSTOP)
        thawed_at = time.monotonic() + 10.0  # longer than it takes to hang, and to be noticed
        wait_until(lambda: time.monotonic() > thawed_at, "time has passed")
        os.kill(gateway.process.pid, signal.SIGCONT)
        wait_until(lambda: state_of(gateway.process.pid) == "S", "the supervisor has looked first")
        for pid in before:
            os.kill(pid, signal.SIGCONT)
        # At first it may turn requests away: nobody could tell this pause from too much work.
        wait_until(lambda: gateway.get() == (200, b"one"), "it serves again")
        assert gateway.everybody == before


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.slow
@pytest.mark.parametrize("is_late", [False, True])
def test_L07_without_descriptors_nothing_crashes_or_spins_and_all_recovers(
    model: Model, is_late: bool
) -> None:
    """`is_late`: the limit falls when the worker has already taken it for larger."""
    limit = (256, 256)
    within = [] if is_late else ["prlimit", "--nofile=256"]
    with Gateway(workers=2, within=within) as gateway:
        gateway.publish(1, spec(urls=(model.url, model.url)))
        gateway.start()
        gateway.wait_held(1)
        workers = gateway.workers
        for pid in gateway.everybody:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, limit)
        with contextlib.ExitStack() as opened:
            for _ in range(500):
                client = opened.enter_context(socket.socket())
                client.settimeout(5)
                with contextlib.suppress(OSError):
                    client.connect((gateway.host, gateway.port))
                    client.sendall(b"GET / HT")
            assert sorted(gateway.held()) == sorted(workers)  # the admin port answers
            before, since = cpu_seconds(workers), time.monotonic()
            wait_until(lambda: time.monotonic() > since + 1.5, "time has passed")
            spent = cpu_seconds(workers) - before
            assert spent < 0.5 * (time.monotonic() - since)
            assert sorted(gateway.held()) == sorted(workers)
        wait_until(lambda: answers(gateway), "clients are served again", 5)
        for _ in range(50):
            assert gateway.get() == (200, b"one")
        assert gateway.workers == workers


def answers(gateway: Gateway) -> bool:
    with contextlib.suppress(OSError, ConnectionError):
        return gateway.get() == (200, b"one")
    return False

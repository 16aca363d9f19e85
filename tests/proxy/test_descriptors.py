"""L-07: a worker that runs out of descriptors goes on, costs nothing, and recovers."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.proxy import plane
from gateway.routing.spec import RouteSpec, VersionSpec
from tests.process.harness import Gateway, Model, is_alive, wait_until


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Model("v1") as model, Gateway(workers=1) as gateway:
        route = RouteSpec(
            name="chat", stable="v1", versions={"v1": VersionSpec(urls=(model.url,))}, salt="s"
        )
        gateway.configure(access_log={"path": ""})
        gateway.publish(1, route)
        gateway.start()
        gateway.wait_held(1, workers=1)
        yield gateway


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux has prlimit")
def test_L07_a_worker_without_descriptors_goes_on(gateway: Gateway) -> None:
    [worker] = gateway.workers
    assert gateway.get()[0] == 200
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (100, 100))
    with contextlib.ExitStack() as stack:
        crowd = []
        for _ in range(300):
            link = stack.enter_context(socket.socket())
            link.setblocking(False)
            link.connect_ex((gateway.host, gateway.port))
            crowd.append(link)
        wait_until(lambda: len(open_files(worker)) >= 95, "it has run out of descriptors")
        before, begun = processor_seconds(worker), time.monotonic()
        wait_until(lambda: time.monotonic() > begun + 1, "a second has passed")
        assert processor_seconds(worker) - before < 0.5, "it turns in a circle"
        assert gateway.about()["workers"], "the admin port answers"
        assert is_alive(worker)
    wait_until(lambda: is_served(gateway), "it serves again", 5)
    assert gateway.workers == {worker}


def open_files(pid: int) -> list[str]:
    return os.listdir(f"/proc/{pid}/fd")  # noqa: PTH208  # only the names


def is_served(gateway: Gateway) -> bool:
    try:
        return gateway.get()[0] == 200
    except OSError:
        return False


def test_L07_a_worker_takes_the_hard_limit_for_its_own_and_says_when_that_is_too_little(
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    half = before[1] // 2
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, before[1]), before[1]))
        assert plane._most_connections(half) == half
        assert not caplog.records
        assert plane._most_connections(half + 1) == half
        assert f"limits.connections is {half + 1}" in caplog.text
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)

"""Nothing is lost that need not be: plugs are pulled under 200 requests a second and 20 streams."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Self

import pytest

from tests.process.harness import Gateway, is_alive, wait_until
from tests.process.openloop import Load, Outcome, is_whole
from tests.process.snapshots import spec

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
    pytest.mark.slow,
]

PER_SECOND = 200.0
STREAMS = 20


@pytest.fixture
def load() -> Iterator[Load]:
    with Load() as load:
        yield load


@pytest.fixture
def gateway(load: Load) -> Iterator[Gateway]:
    with Gateway() as gateway:
        gateway.publish(1, spec(urls=(load.url, load.url)))
        gateway.start()
        gateway.wait_held(1)
        yield gateway


def failures(outcomes: list[Outcome]) -> list[Outcome]:
    return [one for one in outcomes if not one.is_good]


def wait_answers(outcomes: list[Outcome], count: int) -> None:
    """Until so many more requests have been answered."""
    wanted = len(outcomes) + count
    wait_until(
        lambda: sum(one.is_good for one in outcomes) >= wanted,
        f"{count} more requests are answered",
    )


def test_L11_sighup_loses_nothing_at_all(gateway: Gateway, load: Load) -> None:
    before = gateway.everybody - {gateway.process.pid}
    load.stream(gateway.host, gateway.port, STREAMS)
    asking = load.ask(gateway.host, gateway.port, PER_SECOND)
    wait_answers(asking.outcomes, 100)
    gateway.signal(signal.SIGHUP)
    wait_until(lambda: "have been replaced" in gateway.log(), "everybody is replaced")
    wait_answers(asking.outcomes, 200)
    assert failures(asking.stop()) == []
    assert len([*filter(is_whole, load.end_streams())]) == STREAMS
    wait_until(lambda: not any(map(is_alive, before)), "those that were replaced have ended")


def test_L11_sigterm_loses_nothing_that_was_accepted(gateway: Gateway, load: Load) -> None:
    load.stream(gateway.host, gateway.port, STREAMS)
    asking = load.ask(gateway.host, gateway.port, PER_SECOND)
    wait_answers(asking.outcomes, 100)
    told_at = time.monotonic()
    gateway.signal(signal.SIGTERM)
    wait_until(lambda: any(one.is_refused for one in asking.outcomes), "somebody is refused")
    wait_until(lambda: time.monotonic() > told_at + 2, "idle connections are closed as well")
    outcomes = asking.stop()
    assert is_alive(gateway.process.pid)  # streams still run
    assert len([*filter(is_whole, load.end_streams())]) == STREAMS
    assert gateway.wait() == 0
    lost = failures(outcomes)
    assert [one for one in lost if not one.is_refused] == []
    # All that began before was served, and what came in the last moment was, or was refused.
    assert min(one.started for one in lost) > told_at


def test_a_killed_worker_costs_the_requests_it_had_in_flight_and_none_that_waited(
    gateway: Gateway, load: Load
) -> None:
    killed, spared = sorted(gateway.workers)
    asking = load.ask(gateway.host, gateway.port, PER_SECOND)
    wait_answers(asking.outcomes, 100)
    os.kill(killed, signal.SIGSTOP)  # from now on connections wait in its socket
    stopped_at = time.monotonic()
    wait_answers(asking.outcomes, 60)  # by the other one
    killed_at = time.monotonic()
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: len(gateway.held()) == 2 and killed not in gateway.held(), "it is replaced")
    wait_answers(asking.outcomes, 100)
    outcomes = asking.stop()
    for one in failures(outcomes):
        assert one.connected < killed_at, one
        # A new connection was in nobody's hands yet, but for the moment of the signal itself.
        assert not one.is_fresh or one.connected < stopped_at + 0.01, one
    waited = [
        one
        for one in outcomes
        if one.is_fresh and stopped_at + 0.01 < one.connected < killed_at < one.ended
    ]
    assert len(waited) > 10
    assert all(one.is_good for one in waited)
    assert spared in gateway.workers


def test_a_killed_control_costs_nothing(gateway: Gateway, load: Load) -> None:
    killed, workers = gateway.control, gateway.workers
    load.stream(gateway.host, gateway.port, STREAMS)
    asking = load.ask(gateway.host, gateway.port, PER_SECOND)
    wait_answers(asking.outcomes, 100)
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: not is_alive(killed), "control is dead")
    wait_until(lambda: gateway.held().keys() == workers, "the next control feeds the same workers")
    wait_answers(asking.outcomes, 50)
    assert failures(asking.stop()) == []
    assert len([*filter(is_whole, load.end_streams())]) == STREAMS


def test_a_killed_supervisor_costs_nothing_that_was_accepted_and_leaves_nobody_behind(
    gateway: Gateway, load: Load
) -> None:
    children = {*gateway.workers, gateway.control}
    load.stream(gateway.host, gateway.port, STREAMS)
    asking = load.ask(gateway.host, gateway.port, PER_SECOND)
    wait_answers(asking.outcomes, 100)
    killed_at = time.monotonic()
    gateway.signal(signal.SIGKILL)
    gateway.wait()
    wait_until(lambda: any(one.is_refused for one in asking.outcomes), "somebody is refused")
    lost = failures(asking.stop())
    assert [one for one in lost if not one.is_refused] == []
    assert min(one.started for one in lost) > killed_at
    assert any(is_alive(pid) for pid in children)  # streams still run
    assert len([*filter(is_whole, load.end_streams())]) == STREAMS
    wait_until(lambda: not any(map(is_alive, children)), "all children have ended")


class Crowd:
    """Clients that connect, ask and hang up again and again, until they are refused."""

    def __init__(self, gateway: Gateway) -> None:
        self.became: Counter[str] = Counter()
        self._address = (gateway.host, gateway.port)
        self._must_stop = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(24)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._must_stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while not self._must_stop.is_set():
            try:
                with socket.create_connection(self._address, timeout=20) as client:
                    client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                    self.became[client.recv(15).decode()] += 1
            except ConnectionRefusedError:
                return
            except OSError as error:
                self.became[type(error).__name__] += 1


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_no_connection_that_was_opened_is_ever_reset(
    gateway: Gateway, number: signal.Signals
) -> None:
    with Crowd(gateway) as crowd:
        wait_until(lambda: crowd.became.total() > 300, "the crowd is served")
        gateway.signal(number)
        if number is signal.SIGTERM:
            assert gateway.wait() == 0
        else:
            wait_until(lambda: "have been replaced" in gateway.log(), "everybody is replaced")
    assert set(crowd.became) == {"HTTP/1.1 200 OK"}

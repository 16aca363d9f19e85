"""Counts of whole gateways whose processes are killed: none is lost, none is counted twice."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from functools import partial

import pytest

from tests.process.harness import Caller, Gateway, Model, is_alive, wait_until
from tests.process.openloop import Asking, Load
from tests.process.snapshots import spec

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Model("one") as model, Gateway() as gateway:
        gateway.publish(1, spec(urls=(model.url, model.url)))
        gateway.start()
        gateway.wait_held(1)
        yield gateway


def counted(gateway: Gateway) -> int:
    """What control says; -1 while it is away."""
    try:
        return sum(count for *_, count in gateway.about()["decisions"])
    except OSError:
        return -1


def wait_counted(gateway: Gateway, count: int) -> None:
    seen: set[int] = set()

    def is_so() -> bool:
        seen.add(counted(gateway))
        return count in seen

    try:
        wait_until(is_so, f"{count} requests are counted")
    except AssertionError as late:
        raise AssertionError(f"{late}; seen: {sorted(seen)}") from None


def ask(gateway: Gateway, count: int) -> None:
    for _ in range(count):
        assert gateway.get() == (200, b"one")


def test_a_killed_worker_takes_nothing_with_it_that_it_had_said(gateway: Gateway) -> None:
    total = 0
    for _ in range(3):
        ask(gateway, 40)
        total += 40
        wait_counted(gateway, total)
        killed = min(gateway.workers)
        os.kill(killed, signal.SIGKILL)
        wait_replaced(gateway, killed)
    ask(gateway, 20)
    wait_counted(gateway, total + 20)


def test_a_killed_control_and_a_killed_worker_together_change_no_sum(gateway: Gateway) -> None:
    ask(gateway, 40)
    wait_counted(gateway, 40)
    # Some of it is in the sum of the dead, which control alone has.
    for killed in sorted(gateway.workers):
        os.kill(killed, signal.SIGKILL)
    wait_until(lambda: len(gateway.held()) == 2, "both are replaced")
    ask(gateway, 40)
    wait_counted(gateway, 80)
    control = gateway.control
    for killed in (control, min(gateway.workers)):
        os.kill(killed, signal.SIGKILL)
    wait_until(lambda: not is_alive(control) and counted(gateway) >= 0, "control is back")
    assert counted(gateway) == 80  # at once, and before any worker has come back
    ask(gateway, 40)
    wait_counted(gateway, 120)


def test_workers_that_are_replaced_say_their_last_counts(gateway: Gateway) -> None:
    # Asked until they end, they have always something to say that they have not said yet.
    with Caller(gateway, keeps_alive=False) as caller:
        for round_number in range(1, 4):
            gateway.signal(signal.SIGHUP)
            wait_until(partial(reloaded, gateway, round_number), "everybody is replaced")
    assert caller.failures == []
    wait_counted(gateway, len(caller.answers))


def reloaded(gateway: Gateway, times: int) -> bool:
    """Whether everybody has been replaced so often; False while control is away."""
    try:
        return bool(gateway.about()["standing"].get("reloads", 0) == times)
    except OSError:
        return False


def wait_replaced(gateway: Gateway, worker: int) -> None:
    wait_until(lambda: len(gateway.held()) == 2 and worker not in gateway.held(), "it is replaced")


@pytest.mark.slow
def test_under_load_a_killed_worker_loses_its_last_second_at_the_most() -> None:
    per_second = 100.0
    with Load() as load, Gateway() as gateway:
        gateway.publish(1, spec(urls=(load.url, load.url)))
        gateway.start()
        gateway.wait_held(1)
        asking = load.ask(gateway.host, gateway.port, per_second)
        for killed in sorted(gateway.workers):
            wait_asked(asking, 150)
            os.kill(killed, signal.SIGKILL)
            wait_replaced(gateway, killed)
        outcomes = asking.stop()
        good = sum(one.is_good for one in outcomes)
        least = good - 2 * 1.2 * per_second  # two killed workers, a second each and a bit
        wait_until(lambda: counted(gateway) >= least, f"at least {least} are counted")
        settled = wait_settled(gateway)
        assert least <= settled <= len(outcomes)


def wait_asked(asking: Asking, more: int) -> None:
    wanted = len(asking.outcomes) + more
    wait_until(lambda: len(asking.outcomes) >= wanted, f"{more} more requests have begun")


def wait_settled(gateway: Gateway) -> int:
    """The sum when it has not changed over three words of each worker."""
    seen: list[int] = []

    def is_settled() -> bool:
        seen.append(counted(gateway))
        return len(seen) > 300 and len(set(seen[-300:])) == 1  # looked at each 10 ms

    wait_until(is_settled, "the sum stands still")
    return seen[-1]

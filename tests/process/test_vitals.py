"""What a process measures of itself."""

from __future__ import annotations

import asyncio
import os
import resource
import sys

import pytest

from gateway.process.vitals import Meter, Pulse


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_and_descriptors_are_those_of_the_process() -> None:
    before = Meter(12.5).vitals(0.25)
    held = os.open(os.devnull, os.O_RDONLY)
    try:
        after = Meter(12.5).vitals()
    finally:
        os.close(held)
    assert (before.started_at, before.lag_seconds) == (12.5, 0.25)
    assert after.descriptors == before.descriptors + 1
    assert before.most_descriptors == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert 2**20 < before.resident_bytes < 2**34


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_another_process_can_be_measured() -> None:
    vitals = Meter(0.0, os.getpid()).vitals()
    assert vitals.descriptors > 0
    assert vitals.resident_bytes > 2**20


def test_what_cannot_be_measured_is_nothing() -> None:
    vitals = Meter(0.0, 2**30).vitals()
    assert (vitals.descriptors, vitals.most_descriptors, vitals.resident_bytes) == (0, 0, 0)


def test_the_worst_lag_is_shown_for_one_window_more() -> None:
    pulse = Pulse(lambda: None)
    pulse.beat(0.5, is_new_window=False)
    pulse.beat(0.1, is_new_window=False)
    assert pulse.lag_seconds == 0.5
    pulse.beat(0.2, is_new_window=True)
    assert pulse.lag_seconds == 0.5
    pulse.beat(0.1, is_new_window=True)
    assert pulse.lag_seconds == 0.2
    assert repr(pulse) == "<Pulse, 0.200 s late at the worst>"


async def test_a_loop_that_runs_says_so_at_once_and_a_blocked_one_is_measured() -> None:
    said = asyncio.Event()
    pulse = Pulse(said.set)
    beating = asyncio.create_task(pulse.run())
    await asyncio.wait_for(said.wait(), 5)
    blocked = 0.25
    while pulse.lag_seconds < 0.1:
        ends = asyncio.get_running_loop().time() + blocked
        while asyncio.get_running_loop().time() < ends:
            pass  # the loop is held up
        await asyncio.sleep(0)
    beating.cancel()
    await asyncio.gather(beating, return_exceptions=True)

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from gateway.demo import tether
from gateway.demo.until import until_told_to_end


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("parent", [None, os.getppid()])
async def test_a_signal_ends_the_waiting(number: signal.Signals, parent: int | None) -> None:
    waiting = asyncio.create_task(until_told_to_end(parent))
    await asyncio.sleep(0)
    assert not waiting.done()
    os.kill(os.getpid(), number)
    async with asyncio.timeout(20):
        await waiting


async def test_the_end_of_the_parent_ends_the_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tether, "LOOK_SECONDS", 0.001)
    async with asyncio.timeout(20):
        await until_told_to_end(parent_pid=1)

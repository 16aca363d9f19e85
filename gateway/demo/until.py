"""When a process of the demo is done: told to, or left alone."""

from __future__ import annotations

import asyncio
import signal

from gateway.demo.tether import parent_gone

ENDINGS = (signal.SIGTERM, signal.SIGINT)


async def until_told_to_end(parent_pid: int | None) -> None:
    """Returns on SIGTERM or SIGINT, or when the parent (None = any) has ended."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in ENDINGS:
        loop.add_signal_handler(number, told.set)
    waits = [loop.create_task(_set(told))]
    if parent_pid is not None:
        waits.append(loop.create_task(parent_gone(parent_pid)))
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for number in ENDINGS:
            loop.remove_signal_handler(number)
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


async def _set(event: asyncio.Event) -> None:
    await event.wait()

"""What a process measures of itself: memory, descriptors, and how late its loop runs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path

from gateway.metrics.standing import Vitals

_TICK_SECONDS = 0.1
_TICKS_PER_SIGN = 20
# A lag is shown for 15 to 30 s, so that a scrape every 15 s sees each.
_LAG_TICKS = 150
_COUNT_SECONDS = 10.0  # between two counts where counting takes milliseconds


class Pulse:
    """Says that the loop runs, and measures how late it is."""

    def __init__(self, say_alive: Callable[[], None]) -> None:
        self._say_alive = say_alive
        self._worst = 0.0
        self._worst_before = 0.0

    def __repr__(self) -> str:
        return f"<Pulse, {self.lag_seconds:.3f} s late at the worst>"

    @property
    def lag_seconds(self) -> float:
        """The worst of the last 15 to 30 seconds."""
        return max(self._worst, self._worst_before)

    async def run(self) -> None:
        """Beats until it is cancelled."""
        loop = asyncio.get_running_loop()
        ticks = 0
        while True:
            if ticks % _TICKS_PER_SIGN == 0:
                self._say_alive()
            due = loop.time() + _TICK_SECONDS
            await asyncio.sleep(_TICK_SECONDS)
            ticks += 1
            self.beat(loop.time() - due, is_new_window=ticks % _LAG_TICKS == 0)

    def beat(self, late_seconds: float, *, is_new_window: bool) -> None:
        if is_new_window:
            self._worst_before, self._worst = self._worst, 0.0
        self._worst = max(self._worst, late_seconds)


class Meter:
    """Measures one process; a copy of what it found is in `vitals`."""

    def __init__(self, started_at: float, pid: int | None = None) -> None:
        self._started_at = started_at
        self._folder = Path("/proc", "self" if pid is None else str(pid))
        self._limit_of = 0 if pid is None else pid
        self._page_bytes = os.sysconf("SC_PAGE_SIZE")
        self._descriptors = 0
        self._count_again_at = 0.0

    def vitals(self, lag_seconds: float = 0.0) -> Vitals:
        return Vitals(
            started_at=self._started_at,
            descriptors=self._count_descriptors(),
            most_descriptors=self._most_descriptors(),
            resident_bytes=self._resident_bytes(),
            lag_seconds=lag_seconds,
        )

    def _count_descriptors(self) -> int:
        with contextlib.suppress(OSError):
            folder = self._folder / "fd"
            # Since Linux 6.2 the kernel tells; before, 10,000 of them took milliseconds to list.
            if size := folder.stat().st_size:
                return size
            now = time.monotonic()
            if now >= self._count_again_at:
                self._count_again_at = now + _COUNT_SECONDS
                self._descriptors = sum(1 for _ in folder.iterdir())
        return self._descriptors

    def _most_descriptors(self) -> int:
        with contextlib.suppress(OSError):
            if hasattr(resource, "prlimit"):
                return resource.prlimit(self._limit_of, resource.RLIMIT_NOFILE)[0]
            return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return 0

    def _resident_bytes(self) -> int:
        with contextlib.suppress(OSError):
            pages = (self._folder / "statm").read_text().split()[1]
            return int(pages) * self._page_bytes
        return 0

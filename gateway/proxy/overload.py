"""When there is more to do than can be done: which requests are turned away, and why.

In this order, so that those who are served are served well: connections above the cap are refused,
a version's surplus of requests waits and is then refused (its group's affair), memory close to its
limit ends keep-alive, and a loop that lags or memory at its limit turns new requests away.
"""

from __future__ import annotations

import os
from pathlib import Path

from gateway.config.settings import Limits

_ENDS_KEEPALIVE = 0.92  # of the limit on memory
_TURNS_AWAY = 0.95
_MIB = 1024 * 1024
_SMOOTHING = 0.3  # one late tick is no overload

_STATM = Path("/proc/self/statm")


class Overload:
    """What the worker feels of its own load."""

    def __init__(self, limits: Limits) -> None:
        self._most_lag_seconds = limits.shed_lag_seconds
        self._most_memory_bytes = limits.shed_memory_mib * _MIB
        self._page_bytes = os.sysconf("SC_PAGE_SIZE")
        self.lag_seconds = 0.0
        self.memory_bytes = 0
        self.shed: dict[str, int] = {"connections": 0, "lag": 0, "memory": 0}
        self.cause: str | None = None  # why new requests are turned away now

    def __repr__(self) -> str:
        return f"<Overload lag {self.lag_seconds:.3f} s, {self.cause or 'all is well'}>"

    @property
    def ends_keepalive(self) -> bool:
        most = self._most_memory_bytes
        return most > 0 and self.memory_bytes > _ENDS_KEEPALIVE * most

    def measure_lag(self, seconds: float) -> None:
        """How late a tick came."""
        self.lag_seconds += _SMOOTHING * (seconds - self.lag_seconds)
        self._judge()

    def measure_memory(self) -> None:
        if self._most_memory_bytes:
            self.memory_bytes = int(_STATM.read_text().split()[1]) * self._page_bytes
            self._judge()

    def count(self, cause: str) -> None:
        self.shed[cause] += 1

    def _judge(self) -> None:
        if 0 < self._most_memory_bytes * _TURNS_AWAY < self.memory_bytes:
            self.cause = "memory"
        elif 0 < self._most_lag_seconds < self.lag_seconds:
            self.cause = "lag"
        else:
            self.cause = None

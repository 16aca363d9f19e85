"""When in a second numbers are sent: all workers at its beginning, control when it has them all."""

from __future__ import annotations

WORKERS_SEND_AFTER = 0.05  # seconds; sleeping is exact to a few milliseconds
CONTROL_SENDS_AFTER = 0.3  # a busy worker is late


def seconds_until(now: float, after: float) -> float:
    """How long it is to the moment so far behind the beginning of a second of the wall clock."""
    return (after - now) % 1.0 or 1.0

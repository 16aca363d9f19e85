"""When in a second numbers are sent: all workers at its beginning, control when it has them all."""

from __future__ import annotations

import math

WORKERS_SEND_AFTER = 0.05  # seconds; sleeping is exact to a few milliseconds
CONTROL_SENDS_AFTER = 0.3  # a busy worker is late


def seconds_until(now: float, after: float) -> float:
    """How long it is to the moment so far behind the beginning of a second of the wall clock."""
    return (after - now) % 1.0 or 1.0


def second_of_next_send(now: float) -> int:
    """The second whose numbers control sends next.

    What it finds out itself belongs there: the judge has closed earlier ones by then, and what is
    late is weighed alone, where a few counts tell nothing.
    """
    return math.floor(now - CONTROL_SENDS_AFTER) + 1

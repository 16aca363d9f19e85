"""Whether an endpoint may get requests, from what became of others. Pure; the caller has the clock.

Two judges, and an endpoint is up when neither is against it.

Requests themselves: after 5 failures in a row an endpoint is ejected for 30 s, and for 30 s more
each further time, at most 300 s; every 10 s in service forgive one time. After its time it simply
takes requests again. Endpoints that do answer, but badly, are ejected at most one in ten at a time
(always one): the others would have to carry their load, and what they all fail at is more likely
the requests' fault. Endpoints that cannot be reached carry no load: for them no bound holds.

Active checks: down after 3 failures in a row, up again after 2 successes in a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

FAILURES: Final = 5
EJECTION_SECONDS: Final = 30.0
MOST_EJECTION_SECONDS: Final = 300.0
FORGIVING_SECONDS: Final = 10.0
FALL: Final = 3
RISE: Final = 2

_MOST_TIMES: Final = int(MOST_EJECTION_SECONDS / EJECTION_SECONDS)


def may_eject(ejected: int, total: int) -> bool:
    """Whether one more endpoint that answers may be ejected.

    | endpoints | ejected at most |
    | 1 to 19   | 1               |
    | 20 to 29  | 2               |
    | 100       | 10              |

    The only endpoint of a version may be: requests then go to stable, or it is used all the same
    (see `balance`).
    """
    return ejected < max(1, total // 10)


class Health:
    """What is known of one endpoint; times are those of the event loop."""

    __slots__ = ("_streak", "_times", "ejected_until", "failures", "is_checked_down", "siblings")

    def __init__(self) -> None:
        self.failures = 0  # in a row
        self.ejected_until = 0.0
        self.is_checked_down = False
        self.siblings: Sequence[Health] = (self,)  # of all endpoints of the version
        self._times = 0  # ejected so often, less what was forgiven
        self._streak = 0  # checks in a row that speak against `is_checked_down`

    def __repr__(self) -> str:
        checked = "down" if self.is_checked_down else "up"
        ejected = f"ejected until {self.ejected_until:.1f}"
        return f"<Health checked {checked}, {self.failures} failures in a row, {ejected}>"

    def is_up(self, now: float) -> bool:
        return now >= self.ejected_until and not self.is_checked_down

    def is_ejected(self, now: float) -> bool:
        return now < self.ejected_until

    def success(self) -> None:
        """A request came back with an answer that is not the endpoint's failure."""
        self.failures = 0

    def failure(self, now: float, *, is_reached: bool = True) -> float:
        """A request failed; the seconds for which this ejects the endpoint, mostly 0.

        `is_reached` is false when no connection could be made.
        """
        if now < self.ejected_until:
            return 0.0  # sent before the ejection, or in panic
        self.failures += 1
        if self.failures < FAILURES:
            return 0.0
        if is_reached:
            ejected = sum(health.is_ejected(now) for health in self.siblings)
            if not may_eject(ejected, len(self.siblings)):
                return 0.0
        forgiven = int((now - self.ejected_until) / FORGIVING_SECONDS)
        self._times = min(max(0, self._times - forgiven) + 1, _MOST_TIMES)
        seconds = self._times * EJECTION_SECONDS
        self.ejected_until = now + seconds
        self.failures = 0
        return seconds

    def check_passed(self, now: float) -> bool:
        """An active check went well; True when that brings the endpoint up."""
        if not self.is_checked_down:
            self._streak = 0
            return False
        self._streak += 1
        if self._streak < RISE:
            return False
        self.is_checked_down = False
        self._streak = 0
        # It was down and is not any more: what requests found before is out of date.
        self.ejected_until = min(self.ejected_until, now)
        self.failures = 0
        return True

    def check_failed(self) -> bool:
        """An active check failed; True when that takes the endpoint down."""
        if self.is_checked_down:
            self._streak = 0
            return False
        self._streak += 1
        if self._streak < FALL:
            return False
        self.is_checked_down = True
        self._streak = 0
        return True

    def forget_checks(self) -> None:
        """There are no active checks any more."""
        self.is_checked_down = False
        self._streak = 0

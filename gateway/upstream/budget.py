"""How many retries may run at a time: without a bound, retries turn a slow day into an outage."""

from __future__ import annotations

from typing import Final

SHARE: Final = 0.2  # of the requests under way
ALWAYS: Final = 3


class RetryBudget:
    """The retries of one version."""

    __slots__ = ("running",)

    def __init__(self) -> None:
        self.running = 0

    def __repr__(self) -> str:
        return f"<RetryBudget {self.running} running>"

    def try_take(self, active: int) -> bool:
        """Takes a place for one retry, to be given back when its request ends.

        `active` is the number of requests under way.
        """
        if self.running >= ALWAYS and self.running + 1 > active * SHARE:
            return False
        self.running += 1
        return True

    def give_back(self) -> None:
        self.running -= 1

"""A place that is always filled by one child."""

from __future__ import annotations

import logging
from collections.abc import Callable

from gateway.process.children import Child
from gateway.process.restart import Backoff

_log = logging.getLogger(__name__)

CONTROL_END_SECONDS = 5.0  # that control gets to end: it has no requests of clients to finish


class Slot:
    """Control's place, or that of one worker: who fills it, and when it is filled again."""

    def __init__(self, role: str, start: Callable[[], Child]) -> None:
        self.role = role
        self.child: Child | None = None
        self.start_at: float | None = 0.0
        self._start = start
        self._backoff = Backoff()

    def __repr__(self) -> str:
        return f"<Slot {self.role}: {self.child!r}>"

    def has_said(self, word: str) -> bool:
        return self.child is not None and word in self.child.said

    def fill(self, now: float) -> None:
        """Starts a child when the place is empty and it is time to."""
        if self.child is None and self.start_at is not None and self.start_at <= now:
            self.start_at = None
            try:
                self.child = self._start()
            except OSError as error:  # no memory, no processes left
                delay = self._backoff.delay_after_death(now, 0.0)
                _log.error("Cannot start %s: %s.", self.role, error.strerror)
                self.start_at = now + max(delay, 1.0)

    def end_and_refill(self, now: float) -> None:
        """Ends the child; a new one takes its place as soon as it is gone."""
        if self.child is not None:
            self.child.terminate(now + CONTROL_END_SECONDS)

    def reap(self, now: float) -> None:
        """Takes a dead child out and fixes when the next one starts."""
        child = self.child
        if child is None or child.exit_code is None:
            return
        child.close()
        self.child = None
        if child.is_told_to_end:
            self.start_at = now
            return
        was_looping = self._backoff.is_looping
        delay = self._backoff.delay_after_death(now, now - child.started_at)
        self.start_at = now + delay
        if self._backoff.is_looping:
            if not was_looping:
                _log.error(
                    "%s (pid %d) %s, again and again right after its start; "
                    "it is tried every %g s from now on.",
                    *(self.role.capitalize(), child.pid, child.ending, delay),
                )
            return
        _log.warning(
            "%s (pid %d) %s; starting a new one.", self.role.capitalize(), child.pid, child.ending
        )

    def put(self, child: Child) -> Child | None:
        """Gives the place to another child and returns the one that had it."""
        old, self.child = self.child, child
        self.start_at = None
        return old

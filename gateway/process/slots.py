"""A place that is always filled by one child."""

from __future__ import annotations

import logging
from collections.abc import Callable

from gateway.process.children import Child
from gateway.process.restart import SETTLED_SECONDS, Backoff

_log = logging.getLogger(__name__)

CONTROL_END_SECONDS = 5.0  # that control gets to end: it has no requests of clients to finish


class Slot:
    """Control's place, or that of one worker: who fills it, and when it is filled again."""

    def __init__(self, role: str, start: Callable[[], Child]) -> None:
        self.role = role
        self.child: Child | None = None
        self.start_at: float | None = 0.0
        self.restarts = 0  # deaths that nobody had asked for
        self._start = start
        self._backoff = Backoff()

    def __repr__(self) -> str:
        return f"<Slot {self.role}: {self.child!r}>"

    @property
    def is_looping(self) -> bool:
        """Whether what is started here dies again and again."""
        return self._backoff.is_looping

    def has_said(self, word: str) -> bool:
        return self.child is not None and word in self.child.said

    def is_sound(self, now: float, silence_seconds: float) -> bool:
        """Whether a child is here that does its work and has been heard of lately."""
        child = self.child
        return (
            child is not None
            and child.ready_at is not None
            and now - child.heard_at < silence_seconds
        )

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

    def watch(self, now: float, hang_seconds: float) -> None:
        """Ends a child that hangs, and forgives early deaths to one that works; 0 = none hangs."""
        child = self.child
        if child is None:
            return
        if child.worked_seconds(now) >= SETTLED_SECONDS and not self._backoff.is_settled:
            self._backoff.settle()
        silent = now - child.heard_at
        if hang_seconds and silent >= hang_seconds and child.kill_at is None:
            _log.error(
                "%s (pid %d) has given no sign of life for %.0f s and is ended.",
                *(self.role.capitalize(), child.pid, silent),
            )
            child.abort(now)

    def watch_at(self, hang_seconds: float) -> float | None:
        """When `watch` may have something to do."""
        child = self.child
        if child is None or child.kill_at is not None:
            return None
        moments = [child.heard_at + hang_seconds] if hang_seconds else []
        if child.ready_at is not None and not self._backoff.is_settled:
            moments.append(child.ready_at + SETTLED_SECONDS)
        return min(moments, default=None)

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
        self.restarts += 1
        was_looping = self._backoff.is_looping
        delay = self._backoff.delay_after_death(now, child.worked_seconds(now))
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

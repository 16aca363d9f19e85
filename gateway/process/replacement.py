"""Replaces control and all workers, one at a time, without losing a request.

A new worker listens on the same socket as the old one, and the old one ends only when the new one
routes and accepts. When a new process does not get that far, the rest keeps what it has, and the
settings that were in force before are in force again.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from gateway.config.settings import Settings
from gateway.process.children import Child
from gateway.process.handover import READY, TABLE
from gateway.process.launch import Launcher
from gateway.process.slots import Slot

_log = logging.getLogger(__name__)

_STEP_SECONDS = 20.0  # for a new process to become ready


class Replacement:
    """One pass over all children; `advance` does what can be done now."""

    def __init__(
        self, launcher: Launcher, settings: Settings, control: Slot, workers: Sequence[Slot]
    ) -> None:
        self.successor: Child | None = None  # of the worker whose turn it is, or was at the end
        self.deadline: float | None = None
        self.is_finished = False
        self.is_good = True  # False: it was given up
        self._launcher = launcher
        self._earlier, launcher.settings = launcher.settings, settings
        self._control = control
        self._old_control = control.child
        self._workers = workers
        self._index = -1  # -1 = control, then the workers

    def __repr__(self) -> str:
        return f"<Replacement at {self._index + 1} of {len(self._workers) + 1}>"

    def advance(self, now: float) -> list[Child]:
        """Does the next steps; returns the workers that have a successor and must end."""
        retired: list[Child] = []
        while not self.is_finished:
            if self.deadline is None:
                self._begin_step(now)
            if not self._is_step_done():
                self._check_step(now)
                break
            retired += self._finish_step()
        return retired

    def _begin_step(self, now: float) -> None:
        self.deadline = now + _STEP_SECONDS
        if self._index < 0:
            self._control.end_and_refill(now)
            return
        has_table = self._workers[self._index].has_said(TABLE)
        try:
            self.successor = self._launcher.worker(self._index, has_table)
        except OSError as error:
            self._give_up(now, f"no process can be started ({error.strerror})")

    def _is_step_done(self) -> bool:
        if self.is_finished:
            return False
        if self._index < 0:
            return self._control.child is not self._old_control and self._control.has_said(READY)
        return self.successor is not None and READY in self.successor.said

    def _finish_step(self) -> list[Child]:
        old = None
        if self.successor is not None:
            old = self._workers[self._index].put(self.successor)
            self.successor = None
        self.deadline = None
        self._index += 1
        if self._index == len(self._workers):
            self.is_finished = True
            _log.info("Control and all workers have been replaced.")
        return [] if old is None else [old]

    def _check_step(self, now: float) -> None:
        if self.is_finished:
            return
        if self.successor is not None and self.successor.exit_code is not None:
            self._give_up(now, f"the new {self.successor.role} {self.successor.ending}")
        elif self.deadline is not None and now >= self.deadline:
            who = "control" if self._index < 0 else f"worker {self._index}"
            self._give_up(now, f"the new {who} was not ready after {_STEP_SECONDS:g} s")

    def _give_up(self, now: float, reason: str) -> None:
        _log.error("Replacing stopped: %s. The earlier settings are in force again.", reason)
        self.is_finished = True
        self.is_good = False
        self.deadline = None
        self._launcher.settings = self._earlier
        if self.successor is not None:
            self.successor.kill()
        self._control.end_and_refill(now)

"""What runs beside the gateway under `graygate up`, and what happens when it dies."""

from __future__ import annotations

import logging

from gateway.demo.demo import Demo
from gateway.demo.store import EmbeddedStore
from gateway.errors import GraygateError
from gateway.process.restart import Backoff

_log = logging.getLogger(__name__)

_FAILED_START_SECONDS = 10.0


class Beside:
    """Starts the embedded store again when it died, and tells of what else has ended.

    The gateway works on without its store, but whoever wants to move the split could not. The
    demo's backends stay dead: how the gateway shows a dead version is part of the demo.
    """

    def __init__(self, store: EmbeddedStore | None, demo: Demo | None) -> None:
        self._store = store
        self._demo = demo
        self._backoff = Backoff()
        self._started_at: float | None = None
        self._start_at: float | None = None  # None = the store runs
        self._told: set[str] = set()

    def __repr__(self) -> str:
        return f"<Beside {self._store!r} and {self._demo!r}>"

    def look(self, now: float) -> float | None:
        """To be called after each death of a child; returns when it must be called again."""
        for sentence in self._demo.ended() if self._demo is not None else ():
            if sentence not in self._told:
                self._told.add(sentence)
                _log.warning("%s.", sentence[0].upper() + sentence[1:].rstrip("."))
        if self._store is None or self._store.is_running:
            self._started_at = now if self._started_at is None else self._started_at
            return None
        if self._start_at is None:
            lived = now - self._started_at if self._started_at is not None else 0.0
            self._start_at = now + self._backoff.delay_after_death(now, lived)
            _log.warning("The embedded store has ended; starting it again.")
        if now >= self._start_at:
            self._start(self._store, now)
        return self._start_at

    def _start(self, store: EmbeddedStore, now: float) -> None:
        try:
            store.start()
        except GraygateError as error:
            _log.error("No store: %s", error)
            self._start_at = now + _FAILED_START_SECONDS
        else:
            self._start_at, self._started_at = None, now

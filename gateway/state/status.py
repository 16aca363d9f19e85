"""How the connection to the store is doing, for people and for metrics."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum


class Mode(StrEnum):
    """How changes reach us."""

    NONE = "none"  # not connected
    PUSH = "push"  # the store tells us, and we look now and then all the same
    POLL = "poll"  # the store cannot tell us: we look


@dataclass(slots=True)
class StoreStatus:
    """Written by the watch, read by health, metrics and the API; times by the wall clock."""

    mode: Mode = Mode.NONE
    why_poll: str = ""  # what the store said when it refused to push
    error: str = ""  # why there is no connection now; "" while there is one
    server: str = ""  # address of the store in use
    connected_since: float = 0.0
    synced_at: float = 0.0  # when the table last agreed with the store for certain
    changed_at: float = 0.0  # when the table last changed
    is_from_disk: bool = False  # the table came from disk and no store has confirmed it yet
    reconnects: int = 0
    attempts: int = 0
    successes: int = 0  # readings that became the table in force
    failures: int = 0  # readings that the store did not answer
    rejected: Counter[tuple[str, str]] = field(default_factory=Counter)  # (route, reason)

    @property
    def is_connected(self) -> bool:
        return self.mode is not Mode.NONE

    @property
    def is_loaded(self) -> bool:
        return self.synced_at > 0 or self.is_from_disk

"""What the admin API tells of routes, store and workers, as far as commands read it."""

from __future__ import annotations

import msgspec


class Version(msgspec.Struct):
    """A version and where it answers."""

    urls: list[str]


class Match(msgspec.Struct):
    """Which requests a route takes; an empty list stands for any."""

    hosts: list[str]
    paths: list[str]
    models: list[str]
    methods: list[str]


class Route(msgspec.Struct):
    """A route in force."""

    revision: int
    changed_at_ms: int
    stable: str
    versions: dict[str, Version]
    weights: dict[str, float]
    paused: bool
    salt: str
    unit: list[str]
    match: Match
    rules: list[msgspec.Raw]
    lists: dict[str, int]  # "whitelist/v2" or "blacklist" -> number of ids
    options: dict[str, bool | int | float | str | None] = {}  # by their fields in the store

    def weight(self, version: str) -> float:
        """Percent of units by weight alone."""
        if self.paused:
            return 100.0 if version == self.stable else 0.0
        if version == self.stable:
            return 100.0 - sum(self.weights.values())
        return self.weights.get(version, 0.0)


class Finding(msgspec.Struct):
    """Something in the store that was refused, or taken over with a doubt."""

    route: str
    key: str
    text: str
    reason: str = ""


class StoreState(msgspec.Struct):
    """How the connection to the store is doing."""

    connected: bool
    watch_mode: str
    watch_note: str
    server: str
    error: str
    table_age_seconds: float | None
    table_from_disk: bool
    leader: bool
    leader_note: str = ""  # why it does not lead


class WorkerState(msgspec.Struct):
    """A worker and the table it holds."""

    worker: int
    sequence: int | None


class Picture(msgspec.Struct):
    """Everything at one moment."""

    sequence: int
    routes: dict[str, Route]
    refused: list[Finding]
    warnings: list[Finding]
    store: StoreState
    workers: list[WorkerState]


class Written(msgspec.Struct):
    """The revision at which a route stands after a write."""

    revision: int
    changed: bool

"""Every series that the gateway exposes: the one home of names, labels and help lines.

Labels take their values from the table in force and from fixed lists in the code, never from a
request, so the number of series does not grow with traffic.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

PREFIX = "graygate_"


class Kind(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"


@dataclass(frozen=True, slots=True)
class Series:
    """One metric name. Counters are written here without the `_total` that exposition adds."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        suffix = "_total" if self.kind is Kind.COUNTER else ""
        return f"{PREFIX}{self.name}{suffix}"


def _counter(name: str, help_line: str, *labels: str) -> Series:
    return Series(name, Kind.COUNTER, help_line, labels)


def _gauge(name: str, help_line: str, *labels: str) -> Series:
    return Series(name, Kind.GAUGE, help_line, labels)


BUILD_INFO = _gauge("build_info", "Always 1; the labels say what is running.", "version", "python")
REQUESTS = _counter("requests", "Answered requests.", "route", "version", "code")
DECISIONS = _counter(
    "routing_decisions", "Requests by the version they were sent to and why.",
    "route", "version", "reason",
)  # fmt: skip
SPLIT_WEIGHT = _gauge(
    "split_weight_ratio", "Wanted share of units, 0 to 1; stable has the rest.", "route", "version"
)
WORKERS = _gauge("workers", "Connected workers.")
WORKERS_CURRENT = _gauge("workers_current", "Connected workers that route by the newest table.")
REDIS_UP = _gauge("redis_up", "1 while the store is connected.")
REDIS_RECONNECTS = _counter("redis_reconnects", "Times the connection to the store was made again.")
WATCH_MODE = _gauge("watch_mode", "1 for the way in which changes reach us.", "mode")
SNAPSHOT_AGE = _gauge(
    "snapshot_age_seconds", "Time since the table in force last agreed with the store for certain."
)
SNAPSHOT_FROM_DISK = _gauge(
    "snapshot_from_disk", "1 while the table in force comes from disk, unconfirmed by the store."
)
LEADER = _gauge("leader", "1 while this gateway holds the lease and acts for all.")
CONFIG_SEQUENCE = _gauge("config_sequence", "Number of the table in force in this process.")
CONFIG_REVISION = _gauge("config_revision", "Revision of the route in force.", "route")
CONFIG_LAST_SUCCESS = _gauge(
    "config_last_reload_success_timestamp_seconds", "When the table last changed."
)
CONFIG_ATTEMPTS = _counter("config_update_attempt", "Readings of the store that were begun.")
CONFIG_SUCCESSES = _counter("config_update_success", "Readings that became the table in force.")
CONFIG_FAILURES = _counter("config_update_failure", "Readings that the store did not answer.")
CONFIG_REJECTED = _counter(
    "config_rejected", "Refused states of a route; its last good form stayed.", "route", "reason"
)
CONFIG_REFUSED = _gauge(
    "config_refused", "Findings that keep a route at its last good form now.", "route"
)

ALL: tuple[Series, ...] = (
    BUILD_INFO, REQUESTS, DECISIONS, SPLIT_WEIGHT, WORKERS, WORKERS_CURRENT, REDIS_UP,
    REDIS_RECONNECTS, WATCH_MODE, SNAPSHOT_AGE, SNAPSHOT_FROM_DISK, LEADER, CONFIG_SEQUENCE,
    CONFIG_REVISION, CONFIG_LAST_SUCCESS, CONFIG_ATTEMPTS, CONFIG_SUCCESSES, CONFIG_FAILURES,
    CONFIG_REJECTED, CONFIG_REFUSED,
)  # fmt: skip


def render_table() -> str:
    """The README's table of metrics."""
    rows = ["| metric | kind | labels | meaning |", "|---|---|---|---|"]
    rows += [
        f"| `{s.full_name}` | {s.kind} | {', '.join(f'`{label}`' for label in s.labels)} "
        f"| {s.help} |"
        for s in ALL
    ]
    return "\n".join(rows) + "\n"

"""Every series that the gateway exposes: the one home of names, labels and help lines.

Labels take their values from the table in force and from fixed lists in the code, never from a
request, so the number of series does not grow with traffic.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gateway.metrics.numbers import (
    DURATION_BOUNDS,
    ERROR_KINDS,
    FIRST_BYTE_BOUNDS,
    INTER_CHUNK_BOUNDS,
    MIRROR_FAILURE_KINDS,
)
from gateway.metrics.releases import DECISION_KINDS, ROLLBACK_CAUSES

PREFIX = "graygate_"


class Kind(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Series:
    """One metric name. Counters are written here without the `_total` that exposition adds."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()  # of a histogram's buckets, without the infinite one

    @property
    def full_name(self) -> str:
        suffix = "_total" if self.kind is Kind.COUNTER else ""
        return f"{PREFIX}{self.name}{suffix}"


def _counter(name: str, help_line: str, *labels: str) -> Series:
    return Series(name, Kind.COUNTER, help_line, labels)


def _gauge(name: str, help_line: str, *labels: str) -> Series:
    return Series(name, Kind.GAUGE, help_line, labels)


def _histogram(name: str, help_line: str, bounds: tuple[float, ...]) -> Series:
    return Series(name, Kind.HISTOGRAM, help_line, ("route", "version"), bounds)


BUILD_INFO = _gauge(
    "build_info", "Always 1; the labels say what is running.", "version", "python", "build"
)
REQUESTS = _counter("requests", "Answered requests.", "route", "version", "code")
DECISIONS = _counter(
    "routing_decisions", "Requests by the version they were sent to and why.",
    "route", "version", "reason",
)  # fmt: skip
REQUEST_DURATION = _histogram(
    "request_duration_seconds", "Time from a request's head to its answer's last byte.",
    DURATION_BOUNDS,
)  # fmt: skip
FIRST_BYTE = _histogram(
    "time_to_first_byte_seconds", "Time from a request's head to its answer's first byte.",
    FIRST_BYTE_BOUNDS,
)  # fmt: skip
INTER_CHUNK = _histogram(
    "inter_chunk_seconds", "Time between two pieces of a streamed answer.", INTER_CHUNK_BOUNDS
)
ERRORS = _counter(
    "errors", f"Failures charged to a version; kinds: {', '.join(ERROR_KINDS)}.",
    "route", "version", "kind",
)  # fmt: skip
IN_FLIGHT = _gauge("requests_in_flight", "Requests that are being carried now.", "route", "version")
RETRIES = _counter("retries", "Further attempts at an endpoint.", "route", "version")
MIRRORED = _counter("mirrored", "Copies of requests sent to this version.", "route", "version")
MIRROR_FAILURES = _counter(
    "mirror_failures",
    "Copies for this version that were not sent, given up, or not answered well; "
    f"kinds: {', '.join(MIRROR_FAILURE_KINDS)}.",
    "route", "version", "kind",
)  # fmt: skip
SHADOW_PAIRS = _counter(
    "shadow_pairs",
    "Pairs of answers to one request that were compared, by who gave the second one; kinds: "
    "candidate, self (stable once more); outcomes: same, different, unreadable.",
    "route", "version", "kind", "outcome",
)  # fmt: skip
FEEDBACK = _counter(
    "feedback", "Ratings of answers; outcomes: good, bad.", "route", "version", "outcome"
)
ENDPOINT_HEALTHY = _gauge(
    "endpoint_healthy", "Share of the workers for whom the endpoint is up, 0 to 1.",
    "route", "version", "endpoint",
)  # fmt: skip
PANIC_MODE = _gauge(
    "panic_mode", "1 while so few endpoints are up that a worker uses all of them.",
    "route", "version",
)  # fmt: skip
CONNECTIONS = _gauge("connections", "Open connections of clients.")
SHED = _counter("shed", "Requests and connections refused to protect the gateway.", "cause")
DROPPED = _counter(
    "telemetry_dropped",
    "Access log lines, spans, seconds of strata, pairs of answers to compare, and answers to rate "
    "that nobody took in time.",
    "kind",
)
SPLIT_WEIGHT = _gauge(
    "split_weight_ratio", "Wanted share of units, 0 to 1; stable has the rest.", "route", "version"
)
UNITS = _gauge(
    "units",
    "Different units, roughly, that their weights brought here in the last 10 minutes.",
    "route", "version",
)  # fmt: skip
DRILL_OVERDUE = _gauge(
    "drill_overdue", "1 when no drill of the way back has passed in the time wanted.", "route"
)
DRILL_PASSED_AT = _gauge(
    "drill_last_success_timestamp_seconds",
    "When a drill of the way back last passed, as unix time; 0 = none is known.", "route",
)  # fmt: skip
_OF_RELEASE = ("route", "candidate")
_OF_FAMILY = (*_OF_RELEASE, "family")
RELEASE_PHASE = _gauge(
    "release_phase", "1 for the phase that the release of a route is in, or ended in.",
    *_OF_RELEASE, "phase",
)  # fmt: skip
RELEASE_ENTERED = _gauge(
    "release_phase_entered_timestamp_seconds", "When this phase or stage began, as unix time.",
    *_OF_RELEASE,
)  # fmt: skip
RELEASE_STAGE = _gauge(
    "release_stage", "Number of the stage, 1 for the first; 0 = before it.", *_OF_RELEASE
)
RELEASE_STAGES = _gauge("release_stages", "Stages of the plan.", *_OF_RELEASE)
RELEASE_WEIGHT = _gauge(
    "release_weight_ratio", "Share of units that the release wants for the candidate now, 0 to 1.",
    *_OF_RELEASE,
)  # fmt: skip
RELEASE_PROMOTABLE = _gauge(
    "release_promotable_weight_ratio",
    "The largest share, 0 to 1, for which it is shown that the candidate does no harm.",
    *_OF_RELEASE,
)
RELEASE_HELD = _gauge(
    "release_held", "1 while the weight is kept where it is: hold, quarantine, paused.",
    *_OF_RELEASE,
)  # fmt: skip
RELEASE_LATCHED = _gauge(
    "release_latched", "1 from a rollback until a person releases the latch.", *_OF_RELEASE
)
RELEASE_WAITING = _gauge(
    "release_waiting_seconds", "For how long it has waited for a person; 0 = it does not.",
    *_OF_RELEASE,
)  # fmt: skip
RELEASE_TICKED = _gauge(
    "release_last_tick_timestamp_seconds",
    "When the controller last brought the running release a step on, as unix time.",
    *_OF_RELEASE,
)
RELEASE_EVIDENCE = _gauge(
    "release_evidence",
    "Evidence against the candidate with the margins of a rollback; 1 is none.",
    *_OF_FAMILY,
)
RELEASE_ROLLBACK_AT = _gauge(
    "release_rollback_threshold", "The evidence at which the family rolls the release back.",
    *_OF_FAMILY,
)  # fmt: skip
RELEASE_HOLD_EVIDENCE = _gauge(
    "release_hold_evidence", "Evidence against the candidate without margins; 1 is none.",
    *_OF_FAMILY,
)  # fmt: skip
RELEASE_HOLD_AT = _gauge(
    "release_hold_threshold", "The evidence without margins at which the family holds the release.",
    *_OF_FAMILY,
)  # fmt: skip
RELEASE_PROBLEM = _gauge(
    "release_problem", "1 while the controller cannot go on with the release of the route.", "route"
)
RELEASE_DECISIONS = _counter(
    "release_decisions",
    f"What this gateway decided in releases; kinds: {', '.join(DECISION_KINDS)}.",
    "route", "kind",
)  # fmt: skip
RELEASE_ROLLBACKS = _counter(
    "release_rollbacks",
    f"Releases that this gateway rolled back, by cause: {', '.join(ROLLBACK_CAUSES)}.",
    "route", "cause",
)  # fmt: skip
VERSION_INFO = _gauge(
    "version_info", "Always 1; roles: stable, candidate.", "route", "version", "role"
)
WORKERS = _gauge("workers", "Connected workers.")
WORKERS_CURRENT = _gauge("workers_current", "Connected workers that route by the newest table.")
WORKERS_WANTED = _gauge("workers_wanted", "Workers that there should be.")
PROCESS_START = _gauge(
    "process_start_time_seconds",
    "When it started; processes: supervisor, control, worker 0, worker 1...",
    "process",
)
PROCESS_RESTARTS = _counter(
    "process_restarts", "Deaths that nobody had asked for; each was replaced.", "process"
)
PROCESS_CRASH_LOOP = _gauge(
    "process_crash_loop", "1 while it dies again and again as soon as it starts.", "process"
)
PROCESS_OPEN_FDS = _gauge("process_open_fds", "Open file descriptors.", "process")
PROCESS_MAX_FDS = _gauge("process_max_fds", "File descriptors that it may have open.", "process")
PROCESS_RESIDENT = _gauge("process_resident_memory_bytes", "Memory that it holds.", "process")
PROCESS_LOOP_LAG = _gauge(
    "process_loop_lag_seconds", "By how much its loop was late at the worst, the last 15 to 30 s.",
    "process",
)  # fmt: skip
SETTINGS_RELOADS = _counter(
    "settings_reloads", "Attempts to take over settings by SIGHUP; results: success, failure.",
    "result",
)  # fmt: skip
SETTINGS_RELOAD_GOOD = _gauge(
    "settings_last_reload_successful", "0 after a SIGHUP whose settings were not taken over."
)
SETTINGS_RELOADED_AT = _gauge(
    "settings_last_reload_success_timestamp_seconds", "When settings were last taken over."
)
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
    BUILD_INFO, REQUESTS, REQUEST_DURATION, FIRST_BYTE, INTER_CHUNK, ERRORS, IN_FLIGHT, RETRIES,
    MIRRORED, MIRROR_FAILURES, SHADOW_PAIRS, FEEDBACK, DECISIONS, SPLIT_WEIGHT, UNITS,
    VERSION_INFO, RELEASE_PHASE, RELEASE_ENTERED, RELEASE_STAGE, RELEASE_STAGES, RELEASE_WEIGHT,
    RELEASE_PROMOTABLE, RELEASE_HELD, RELEASE_LATCHED, RELEASE_WAITING, RELEASE_TICKED,
    RELEASE_EVIDENCE, RELEASE_ROLLBACK_AT, RELEASE_HOLD_EVIDENCE, RELEASE_HOLD_AT,
    RELEASE_PROBLEM, RELEASE_DECISIONS, RELEASE_ROLLBACKS,
    DRILL_OVERDUE, DRILL_PASSED_AT, ENDPOINT_HEALTHY,
    PANIC_MODE, CONNECTIONS, SHED, DROPPED, WORKERS, WORKERS_CURRENT, WORKERS_WANTED,
    PROCESS_START, PROCESS_RESTARTS, PROCESS_CRASH_LOOP, PROCESS_OPEN_FDS, PROCESS_MAX_FDS,
    PROCESS_RESIDENT, PROCESS_LOOP_LAG, SETTINGS_RELOADS, SETTINGS_RELOAD_GOOD,
    SETTINGS_RELOADED_AT, REDIS_UP, REDIS_RECONNECTS, WATCH_MODE, SNAPSHOT_AGE,
    SNAPSHOT_FROM_DISK, LEADER, CONFIG_SEQUENCE, CONFIG_REVISION, CONFIG_LAST_SUCCESS,
    CONFIG_ATTEMPTS, CONFIG_SUCCESSES, CONFIG_FAILURES, CONFIG_REJECTED, CONFIG_REFUSED,
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

"""`/metrics`: the numbers of this gateway at this moment."""

from __future__ import annotations

import asyncio
import platform
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from http import HTTPStatus

from aiohttp import web

import gateway
from gateway.admin.context import CONTEXT, AdminContext
from gateway.compiled import build
from gateway.metrics import names
from gateway.metrics.exposition import Distribution, Sample, render
from gateway.metrics.numbers import ERROR_KINDS, Counted, Numbers
from gateway.metrics.releases import Conducted, ReleaseStanding
from gateway.metrics.strata import Observed
from gateway.state.status import Mode

# Registered ones; a client that went, and what model servers and proxies in front of them say when
# they have too much to do or cannot be reached. All others count as 2xx, 5xx...
_KNOWN_CODES = frozenset(HTTPStatus) | {499, *range(520, 531)}


async def metrics(request: web.Request) -> web.Response:
    taken = list(samples(request.app[CONTEXT]))  # at one moment
    # 2,000 versions take more than a second to write down; the store is followed meanwhile.
    body, content_type = await asyncio.to_thread(render, taken, request.headers.get("Accept", ""))
    return web.Response(body=body, headers={"Content-Type": content_type})


def samples(context: AdminContext) -> Iterator[Sample]:
    yield names.BUILD_INFO, (gateway.__version__, platform.python_version(), build()), 1
    yield from _store(context)
    observed = context.observed()
    counted = context.counted()
    yield from _routes(context, observed)
    yield from _failures(context, counted)
    newest = context.store.snapshot.sequence
    workers = context.workers()
    yield names.WORKERS, (), len(workers)
    yield names.WORKERS_CURRENT, (), sum(worker.sequence == newest for worker in workers)
    yield from _processes(context)
    yield from _counted(counted)
    yield from _afterwards(context)
    yield from releases(context.conducted())
    yield from _drills(context, time.time())
    yield from _dropped(context, counted, observed)


def _processes(context: AdminContext) -> Iterator[Sample]:
    standing = context.standing()
    yield names.WORKERS_WANTED, (), standing.workers
    for name, count in standing.restarts.items():
        yield names.PROCESS_RESTARTS, (name,), count
        yield names.PROCESS_CRASH_LOOP, (name,), name in standing.looping
    yield names.SETTINGS_RELOADS, ("success",), standing.reloads
    yield names.SETTINGS_RELOADS, ("failure",), standing.failed_reloads
    yield names.SETTINGS_RELOAD_GOOD, (), standing.is_reload_good
    yield names.SETTINGS_RELOADED_AT, (), standing.reloaded_at
    for process in context.processes():
        role, vitals = (process.role,), process.vitals
        yield names.PROCESS_START, role, vitals.started_at
        yield names.PROCESS_OPEN_FDS, role, vitals.descriptors
        yield names.PROCESS_MAX_FDS, role, vitals.most_descriptors
        yield names.PROCESS_RESIDENT, role, vitals.resident_bytes
        if process.role != "supervisor":  # it has no loop
            yield names.PROCESS_LOOP_LAG, role, vitals.lag_seconds


def _counted(counted: Counted) -> Iterator[Sample]:
    yield names.CONNECTIONS, (), counted.connections
    for decision, count in counted.decisions.items():
        yield names.DECISIONS, decision, count
    for endpoint, share in counted.endpoints.items():
        yield names.ENDPOINT_HEALTHY, endpoint, share
    for cause, count in counted.shed.items():
        yield names.SHED, (cause,), count
    for version, numbers in counted.numbers.items():
        yield from _version(version, numbers)


def _afterwards(context: AdminContext) -> Iterator[Sample]:
    """What was found out about answers after they were given."""
    if context.shadows is not None:
        for pairs, count in context.shadows.totals.items():
            yield names.SHADOW_PAIRS, pairs, count
    if context.feedback is not None:
        for ratings, count in context.feedback.totals.items():
            yield names.FEEDBACK, ratings, count


def releases(conducted: Conducted) -> Iterator[Sample]:
    """How releases stand; nothing but what was counted when another gateway leads."""
    for release in conducted.releases:
        yield from _release(release, conducted.at)
        yield from _evidence(release)
    for route in conducted.problems:
        yield names.RELEASE_PROBLEM, (route,), 1
    for decided, count in conducted.decisions.items():
        yield names.RELEASE_DECISIONS, decided, count
    for blamed, count in conducted.rollbacks.items():
        yield names.RELEASE_ROLLBACKS, blamed, count


def _release(release: ReleaseStanding, now: float) -> Iterator[Sample]:
    labels = (release.route, release.candidate)
    waits = 0.0 if release.waits_since is None else max(now - release.waits_since, 0.0)
    yield names.RELEASE_PHASE, (*labels, release.phase), 1
    yield names.RELEASE_ENTERED, labels, release.entered_at
    yield names.RELEASE_STAGE, labels, release.stage
    yield names.RELEASE_STAGES, labels, release.stages
    yield names.RELEASE_WEIGHT, labels, release.weight / 100
    yield names.RELEASE_HELD, labels, release.is_held
    yield names.RELEASE_LATCHED, labels, release.is_latched
    yield names.RELEASE_WAITING, labels, waits
    if release.ticked_at is not None:
        yield names.RELEASE_TICKED, labels, release.ticked_at
    if release.promotable is not None:
        yield names.RELEASE_PROMOTABLE, labels, release.promotable / 100


def _evidence(release: ReleaseStanding) -> Iterator[Sample]:
    for name, family in release.families.items():
        labels = (release.route, release.candidate, name)
        yield names.RELEASE_EVIDENCE, labels, family.e
        yield names.RELEASE_HOLD_EVIDENCE, labels, family.e_hold
        yield names.RELEASE_HOLD_AT, labels, family.hold_at
        if family.rollback_at is not None:
            yield names.RELEASE_ROLLBACK_AT, labels, family.rollback_at


def _drills(context: AdminContext, now: float) -> Iterator[Sample]:
    if context.drills is None:
        return
    for route, schedule in context.drills.schedules.items():
        yield names.DRILL_OVERDUE, (route,), schedule.is_overdue(now)
        yield names.DRILL_PASSED_AT, (route,), schedule.passed_at or 0


def _dropped(context: AdminContext, counted: Counted, observed: Observed) -> Iterator[Sample]:
    dropped = Counter(counted.dropped)
    dropped["strata"] += observed.dropped
    if context.shadows is not None and context.shadows.lost:
        dropped["pairs"] += context.shadows.lost
    if context.feedback is not None and context.feedback.lost:
        dropped["answers"] += context.feedback.lost
    for kind, count in dropped.items():
        yield names.DROPPED, (kind,), count


def _failures(context: AdminContext, counted: Counted) -> Iterator[Sample]:
    """Also those that there were none of: a rate sees only what a series had before it rose."""
    versions = {
        (name, version): dict.fromkeys(ERROR_KINDS, 0)
        for name, held in context.store.snapshot.routes.items()
        for version in held.spec.versions
    }
    for key, numbers in counted.numbers.items():
        versions[key] = versions.get(key, {}) | numbers.errors
    for key, errors in versions.items():
        for kind, count in errors.items():
            yield names.ERRORS, (*key, kind), count


def _version(version: tuple[str, str], numbers: Numbers) -> Iterator[Sample]:
    for code, count in code_labels(numbers.codes).items():
        yield names.REQUESTS, (*version, code), count
    yield names.IN_FLIGHT, version, numbers.in_flight
    yield names.RETRIES, version, numbers.retries
    yield names.MIRRORED, version, numbers.mirrored
    for kind, count in numbers.mirror_failures.items():
        yield names.MIRROR_FAILURES, (*version, kind), count
    yield names.PANIC_MODE, version, numbers.is_panicking
    duration = Distribution(numbers.duration, numbers.duration_sum)
    first_byte = Distribution(numbers.first_byte, numbers.first_byte_sum)
    inter_chunk = Distribution(numbers.inter_chunk, numbers.inter_chunk_sum)
    yield names.REQUEST_DURATION, version, duration
    yield names.FIRST_BYTE, version, first_byte
    yield names.INTER_CHUNK, version, inter_chunk


def code_labels(codes: Mapping[int, int]) -> Counter[str]:
    """Answers by label; a model may answer with any number, but not fill the metrics with them."""
    labels: Counter[str] = Counter()
    for code, count in codes.items():
        labels[str(code) if code in _KNOWN_CODES else f"{code // 100}xx"] += count
    return labels


def _store(context: AdminContext) -> Iterator[Sample]:
    status = context.store.status
    yield names.REDIS_UP, (), status.is_connected
    yield names.REDIS_RECONNECTS, (), status.reconnects
    for mode in Mode:
        yield names.WATCH_MODE, (mode.value,), status.mode is mode
    age = time.time() - status.synced_at if status.synced_at else float("nan")
    yield names.SNAPSHOT_AGE, (), age
    yield names.SNAPSHOT_FROM_DISK, (), status.is_from_disk
    yield names.LEADER, (), bool(context.store.leader.term)
    yield names.CONFIG_SEQUENCE, (), context.store.snapshot.sequence
    yield names.CONFIG_LAST_SUCCESS, (), status.changed_at
    yield names.CONFIG_ATTEMPTS, (), status.attempts
    yield names.CONFIG_SUCCESSES, (), status.successes
    yield names.CONFIG_FAILURES, (), status.failures
    for labels, count in status.rejected.items():
        yield names.CONFIG_REJECTED, labels, count


def _routes(context: AdminContext, observed: Observed) -> Iterator[Sample]:
    snapshot = context.store.snapshot
    for name, held in snapshot.routes.items():
        yield names.CONFIG_REVISION, (name,), held.revision
        stable = 100.0
        for version in held.spec.candidates:
            weight = 0.0 if held.spec.paused else held.spec.weights.get(version, 0.0)
            stable -= weight
            yield names.SPLIT_WEIGHT, (name, version), weight / 100
            yield names.VERSION_INFO, (name, version, "candidate"), 1
        yield names.SPLIT_WEIGHT, (name, held.spec.stable), max(stable, 0.0) / 100
        yield names.VERSION_INFO, (name, held.spec.stable, "stable"), 1
        if held.spec.candidates:
            for version in held.spec.versions:
                units = observed.units.get((name, version), 0.0)
                yield names.UNITS, (name, version), round(units)
    for route, count in Counter(refusal.route for refusal in snapshot.refused).items():
        yield names.CONFIG_REFUSED, (route,), count

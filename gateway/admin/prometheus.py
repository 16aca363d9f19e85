"""`/metrics`: the numbers of this gateway at this moment."""

from __future__ import annotations

import asyncio
import platform
import time
from collections import Counter
from collections.abc import Iterator

from aiohttp import web

import gateway
from gateway.admin.context import CONTEXT, AdminContext
from gateway.metrics import names
from gateway.metrics.exposition import Distribution, Sample, render
from gateway.metrics.numbers import Counted, Numbers
from gateway.state.status import Mode


async def metrics(request: web.Request) -> web.Response:
    taken = list(samples(request.app[CONTEXT]))  # at one moment
    # 2,000 versions take more than a second to write down; the store is followed meanwhile.
    body, content_type = await asyncio.to_thread(render, taken, request.headers.get("Accept", ""))
    return web.Response(body=body, headers={"Content-Type": content_type})


def samples(context: AdminContext) -> Iterator[Sample]:
    yield names.BUILD_INFO, (gateway.__version__, platform.python_version()), 1
    yield from _store(context)
    yield from _routes(context)
    newest = context.store.snapshot.sequence
    workers = context.workers()
    yield names.WORKERS, (), len(workers)
    yield names.WORKERS_CURRENT, (), sum(worker.sequence == newest for worker in workers)
    yield from _counted(context.counted())


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


def _version(version: tuple[str, str], numbers: Numbers) -> Iterator[Sample]:
    for code, count in numbers.codes.items():
        yield names.REQUESTS, (*version, str(code)), count
    for kind, count in numbers.errors.items():
        yield names.ERRORS, (*version, kind), count
    yield names.IN_FLIGHT, version, numbers.in_flight
    yield names.RETRIES, version, numbers.retries
    yield names.MIRRORED, version, numbers.mirrored
    yield names.PANIC_MODE, version, numbers.is_panicking
    duration = Distribution(numbers.duration, numbers.duration_sum)
    first_byte = Distribution(numbers.first_byte, numbers.first_byte_sum)
    inter_chunk = Distribution(numbers.inter_chunk, numbers.inter_chunk_sum)
    yield names.REQUEST_DURATION, version, duration
    yield names.FIRST_BYTE, version, first_byte
    yield names.INTER_CHUNK, version, inter_chunk


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


def _routes(context: AdminContext) -> Iterator[Sample]:
    snapshot = context.store.snapshot
    for name, held in snapshot.routes.items():
        yield names.CONFIG_REVISION, (name,), held.revision
        stable = 100.0
        for version in held.spec.candidates:
            weight = 0.0 if held.spec.paused else held.spec.weights.get(version, 0.0)
            stable -= weight
            yield names.SPLIT_WEIGHT, (name, version), weight / 100
        yield names.SPLIT_WEIGHT, (name, held.spec.stable), max(stable, 0.0) / 100
    for route, count in Counter(refusal.route for refusal in snapshot.refused).items():
        yield names.CONFIG_REFUSED, (route,), count

"""`/metrics`: the numbers of this gateway at this moment."""

from __future__ import annotations

import platform
import time
from collections import Counter
from collections.abc import Iterator

from aiohttp import web

import gateway
from gateway.admin.context import CONTEXT, AdminContext
from gateway.metrics import names
from gateway.metrics.exposition import Sample, render
from gateway.state.status import Mode


async def metrics(request: web.Request) -> web.Response:
    body, content_type = render(samples(request.app[CONTEXT]), request.headers.get("Accept", ""))
    return web.Response(body=body, headers={"Content-Type": content_type})


def samples(context: AdminContext) -> Iterator[Sample]:
    yield names.BUILD_INFO, (gateway.__version__, platform.python_version()), 1
    yield from _store(context)
    yield from _routes(context)
    newest = context.store.snapshot.sequence
    workers = context.workers()
    yield names.WORKERS, (), len(workers)
    yield names.WORKERS_CURRENT, (), sum(worker.sequence == newest for worker in workers)
    for labels, count in context.decisions().items():
        yield names.DECISIONS, labels, count
    for labels, count in context.requests().items():
        yield names.REQUESTS, labels, count


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

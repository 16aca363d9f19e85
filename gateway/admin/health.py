"""Is the process alive, and is it ready: readiness does not fail because the store is away."""

from __future__ import annotations

import time

from aiohttp import web

from gateway.admin.calls import answer
from gateway.admin.context import CONTEXT


async def alive(request: web.Request) -> web.Response:
    return web.Response(text="ok\n")


async def ready(request: web.Request) -> web.Response:
    """200 while a table is loaded and workers route by one; `?verbose` says what was looked at."""
    context = request.app[CONTEXT]
    store, status = context.store, context.store.status
    serving = [w for w in context.workers() if w.sequence is not None]
    checks = {
        "table_loaded": status.is_loaded,
        "workers_serving": bool(serving),
        "not_draining": not context.is_draining(),
    }
    is_ready = all(checks.values())
    if "verbose" not in request.query:
        return web.Response(status=200 if is_ready else 503, text="ok\n" if is_ready else "no\n")
    now = time.time()
    response = answer(
        {
            "ready": is_ready,
            "checks": checks,
            "stale": not status.is_connected,
            "table_from_disk": status.is_from_disk,
            "table_age_seconds": round(now - status.synced_at, 3) if status.synced_at else None,
            "watch_mode": status.mode,
            "watch_note": status.why_poll or status.error,
            "workers": [
                {"worker": w.worker, "pid": w.pid, "sequence": w.sequence}
                for w in context.workers()
            ],
            "sequence": store.snapshot.sequence,
            "refused": len(store.snapshot.refused),
        }
    )
    response.set_status(200 if is_ready else 503)
    return response

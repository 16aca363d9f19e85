"""Is the process alive, and is it ready: readiness does not fail because the store is away."""

from __future__ import annotations

import time

from aiohttp import web

from gateway.admin.calls import answer
from gateway.admin.context import CONTEXT, AdminContext


async def alive(request: web.Request) -> web.Response:
    """200 as long as this process answers, whatever else is wrong."""
    return web.Response(text="ok\n")


async def ready(request: web.Request) -> web.Response:
    """200 while all checks hold; `?verbose` says what was looked at, and what else there is."""
    context = request.app[CONTEXT]
    checks = checks_of(context)
    failed = [name for name, holds in checks.items() if not holds]
    status = 503 if failed else 200
    if "verbose" not in request.query:
        text = f"not ready: {', '.join(failed)}\n" if failed else "ok\n"
        return web.Response(status=status, text=text)
    response = answer({"ready": not failed, "checks": checks, **details(context)})
    response.set_status(status)
    return response


def checks_of(context: AdminContext) -> dict[str, bool]:
    """What readiness depends on."""
    standing = context.standing()
    return {
        # From the store, or from disk: requests can be routed.
        "table_loaded": context.store.status.is_loaded,
        # Somebody accepts connections and routes by a table.
        "workers_serving": any(worker.sequence is not None for worker in context.workers()),
        # Connections that wait for a worker that dies again and again would wait for long.
        "no_crash_loop": not standing.looping,
        "not_draining": not standing.is_draining,
    }


def details(context: AdminContext) -> dict[str, object]:
    """What is worth knowing beside the checks; none of it makes the gateway unready."""
    store, status, standing = context.store, context.store.status, context.standing()
    age = round(time.time() - status.synced_at, 3) if status.synced_at else None
    return {
        "stale": not status.is_connected,
        "table_from_disk": status.is_from_disk,
        "table_age_seconds": age,
        "watch_mode": status.mode,
        "watch_note": status.why_poll or status.error,
        "sequence": store.snapshot.sequence,
        "refused": len(store.snapshot.refused),
        "refused_routes": sorted({refusal.route for refusal in store.snapshot.refused}),
        "workers": [
            {"worker": w.worker, "pid": w.pid, "sequence": w.sequence} for w in context.workers()
        ],
        "workers_wanted": standing.workers,
        "crash_loop": standing.looping,
        "restarts": standing.restarts,
        "settings_reloaded_at": standing.reloaded_at or None,
        "settings_reload_failed": not standing.is_reload_good,
    }

"""The whole picture: what is in force, what was refused and why, how the store and workers are."""

from __future__ import annotations

import time
from dataclasses import replace

from aiohttp import web

import gateway
from gateway.admin.calls import answer, author, body_as
from gateway.admin.context import CONTEXT, AdminContext
from gateway.admin.differences import difference_of
from gateway.admin.roles import PRINCIPAL, Principal
from gateway.admin.routes import Reason, describe
from gateway.metrics.numbers import Counted
from gateway.state.snapshot import Refusal


async def show(request: web.Request) -> web.Response:
    return answer(picture(request.app[CONTEXT], request[PRINCIPAL]))


async def repopulate(request: web.Request) -> web.Response:
    """Put the routes in force back into a store that lost them."""
    reason = await body_as(request, Reason)
    # It gives nobody more than is in force all the time.
    by = replace(author(request, reason.why), needs_consent=False)
    done = await request.app[CONTEXT].store.repopulate(by)
    return answer({"routes": done})


def picture(context: AdminContext, principal: Principal) -> dict[str, object]:
    """What is about a route is told to those who may see that route."""
    store, status = context.store, context.store.status
    snapshot, counted = store.snapshot, context.counted()
    refused = [*snapshot.refused, *store.tokens.refused]
    return {
        "gateway": {
            "id": context.own_id,
            "version": gateway.__version__,
            "now": round(time.time(), 3),
        },
        "sequence": snapshot.sequence,
        "routes": {
            name: describe(held, snapshot)
            for name, held in snapshot.routes.items()
            if principal.may_see(name)
        },
        # Routes whose form in force is not how they stand in the store, and those in force nowhere.
        "differs": {
            name: found
            for name in sorted(snapshot.routes.keys() | store.read_names)
            if principal.may_see(name)
            and (found := difference_of(snapshot.routes.get(name), store.reading(name)))
        },
        "refused": [_refusal(one) for one in refused if _may_see(principal, one)],
        "warnings": [_refusal(one) for one in snapshot.warnings if _may_see(principal, one)],
        "audit": {"dropped": store.audit.dropped, "error": store.audit.error},
        "store": {
            "connected": status.is_connected,
            "watch_mode": status.mode,
            "watch_note": status.why_poll,
            "server": status.server,
            "error": status.error,
            "table_age_seconds": round(time.time() - status.synced_at, 3)
            if status.synced_at
            else None,
            "table_from_disk": status.is_from_disk,
            "leader": bool(store.leader.term),
            "leader_note": store.leader.why_not,
            "unrecorded": sorted(filter(principal.may_see, store.unrecorded)),
        },
        "workers": [
            {"worker": worker.worker, "pid": worker.pid, "sequence": worker.sequence}
            for worker in context.workers()
        ],
        "endpoints": [
            {"route": route, "version": version, "endpoint": url, "up_for": round(share, 3)}
            for (route, version, url), share in sorted(counted.endpoints.items())
            if principal.may_see(route)
        ],
        **({"processes": _processes(context, counted)} if principal.sees_everything else {}),
    }


def _processes(context: AdminContext, counted: Counted) -> dict[str, object]:
    """How the gateway's own processes are; no matter of a single route."""
    standing = context.standing()
    return {
        "wanted_workers": standing.workers,
        "draining": standing.is_draining,
        "restarts": standing.restarts,
        "crash_loop": standing.looping,
        "reload_failed": not standing.is_reload_good,
        "connections": counted.connections,
        "shed": dict(counted.shed),
        "each": {
            process.role: {
                "descriptors": process.vitals.descriptors,
                "most_descriptors": process.vitals.most_descriptors,
                "resident_bytes": process.vitals.resident_bytes,
                "lag_seconds": round(process.vitals.lag_seconds, 4),
            }
            for process in context.processes()
        },
    }


def _may_see(principal: Principal, refusal: Refusal) -> bool:
    return principal.may_see(refusal.route) if refusal.route else principal.sees_everything


def _refusal(refusal: Refusal) -> dict[str, str]:
    return {
        "route": refusal.route,
        "key": refusal.key,
        "reason": refusal.reason,
        "text": refusal.text,
    }

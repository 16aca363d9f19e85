"""The admin server: middlewares outside, one table of routes, handlers by noun."""

from __future__ import annotations

import socket

from aiohttp import web

from gateway.admin import explain, health, history, lists, prometheus, routes, state
from gateway.admin.context import CONTEXT, AdminContext
from gateway.admin.guard import guard
from gateway.admin.problem import errors_as_problems

MAX_BODY_BYTES = 16 * 1024 * 1024


class Admin:
    """Serves the operator's port on a socket that somebody else opened."""

    def __init__(self, context: AdminContext) -> None:
        self._app = web.Application(
            middlewares=[errors_as_problems, guard], client_max_size=MAX_BODY_BYTES
        )
        self._app[CONTEXT] = context
        self._app.add_routes(
            [
                web.get("/healthz", health.alive),
                web.get("/readyz", health.ready),
                web.get("/metrics", prometheus.metrics),
                web.get("/api/v1/state", state.show),
                web.get("/api/v1/routes", routes.index),
                web.get("/api/v1/routes/{route}", routes.show),
                web.delete("/api/v1/routes/{route}", routes.delete),
                web.put("/api/v1/routes/{route}/weights", routes.set_weights),
                web.post("/api/v1/routes/{route}/revert", routes.revert),
                web.get("/api/v1/routes/{route}/history", history.index),
                web.get("/api/v1/routes/{route}/explain", explain.explain_unit_or_request),
                web.post("/api/v1/routes/{route}/preview", explain.preview_weights),
                web.get("/api/v1/routes/{route}/whitelist/{version}", lists.show),
                web.post("/api/v1/routes/{route}/whitelist/{version}", lists.change),
                web.get("/api/v1/routes/{route}/blacklist", lists.show),
                web.post("/api/v1/routes/{route}/blacklist", lists.change),
                web.post("/api/v1/repopulate", state.repopulate),
            ]
        )
        self._runner = web.AppRunner(self._app, access_log=None, shutdown_timeout=2)

    async def start(self, sock: socket.socket) -> None:
        await self._runner.setup()
        await web.SockSite(self._runner, sock).start()

    async def stop(self) -> None:
        await self._runner.cleanup()

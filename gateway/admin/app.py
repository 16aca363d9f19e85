"""The admin server: middlewares outside, one table of routes, handlers by noun."""

from __future__ import annotations

import logging
import socket

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from gateway.admin import explain, health, history, instances, lists, prometheus, routes, state
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
                web.get("/api/v1/instances", instances.index),
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
        self._app.on_response_prepare.append(_name_server)
        self._runner = web.AppRunner(
            self._app,
            access_log=None,
            logger=_server_log(),
            shutdown_timeout=2,
            # A body is refused while it is compressed: nothing here is ever inflated.
            auto_decompress=False,
        )

    @property
    def calls(self) -> list[tuple[str, str]]:
        """Method and path of everything that is answered, `{name}` standing for a part."""
        return [
            (route.method, route.resource.canonical)
            for route in self._app.router.routes()
            if route.resource is not None
        ]

    async def start(self, sock: socket.socket) -> None:
        await self._runner.setup()
        await web.SockSite(self._runner, sock).start()

    async def stop(self) -> None:
        await self._runner.cleanup()


async def _name_server(request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "graygate"
    response.headers["X-Content-Type-Options"] = "nosniff"


class _WithoutTraceback(logging.Filter):
    """Bytes that are no HTTP request are the sender's fault: one line, and no traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            record.exc_info = None
            record.levelno, record.levelname = logging.INFO, "INFO"
        return True


def _server_log() -> logging.Logger:
    log = logging.Logger("graygate.admin.server")
    log.parent = logging.getLogger("graygate.admin")
    log.addFilter(_WithoutTraceback())
    return log

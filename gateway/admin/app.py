"""The admin server: middlewares outside, one table of routes, handlers by noun."""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import suppress

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler

from gateway.admin import (
    bulk,
    diff,
    documents,
    drills,
    events,
    explain,
    export,
    feedback,
    health,
    history,
    instances,
    lists,
    numbers,
    openapi,
    prometheus,
    proposals,
    releases,
    routes,
    rules,
    segments,
    shadow,
    sign_in,
    state,
    tokens,
    versions,
)
from gateway.admin.audit import STRANGERS, record_refusals
from gateway.admin.brute import BadTokens
from gateway.admin.context import CONTEXT, AdminContext
from gateway.admin.event_log import EventLog
from gateway.admin.guard import BAD_TOKENS, SESSIONS, guard
from gateway.admin.headers import harden
from gateway.admin.idempotency import once_only
from gateway.admin.lookout import Lookout
from gateway.admin.problem import errors_as_problems
from gateway.admin.query import known_queries
from gateway.admin.roles import MAX_LIST_BYTES, TABLE, Access, Reach
from gateway.admin.sessions import Sessions
from gateway.config.certificate import ServerCertificate
from gateway.metrics.window import Window
from gateway.state.tokens import Role

_RENEW_SECONDS = 1.0

API = "/api/v1"
ROUTE = f"{API}/routes/{{route}}"
SEGMENT = f"{API}/segments/{{segment}}"

OPEN = Access(None, Reach.OWN)  # but for what `?verbose` tells
LOOK = Access(Role.VIEWER, Reach.ROUTE)
LOOK_AROUND = Access(Role.VIEWER, Reach.OWN)
LOOK_AT_ALL = Access(Role.VIEWER)
LOOK_CLOSELY = Access(Role.OPERATOR, Reach.ROUTE)
CHANGE = Access(Role.OPERATOR, Reach.ROUTE, is_write=True)
RATE = Access(Role.OPERATOR, Reach.ROUTE)  # a refusal of it changes nothing that is audited
CHANGE_LIST = Access(Role.OPERATOR, Reach.ROUTE, is_write=True, body_bytes=MAX_LIST_BYTES)
CHANGE_BY_STREAM = Access(Role.OPERATOR, Reach.ROUTE, is_write=True, is_stream=True)
REMOVE = Access(Role.APPROVER, Reach.ROUTE, is_write=True)
APPROVE = Access(Role.APPROVER, Reach.ROUTE, is_write=True)
CONSENT = Access(Role.APPROVER, Reach.OWN, is_write=True)  # to what is within reach
DISSENT = Access(Role.OPERATOR, Reach.OWN, is_write=True)
CHANGE_SEGMENT = Access(Role.OPERATOR, is_write=True, body_bytes=MAX_LIST_BYTES)
REMOVE_SEGMENT = Access(Role.APPROVER, is_write=True)
RESTORE = Access(Role.OPERATOR, is_write=True)
SEE_TOKENS = Access(Role.ADMIN)
CHANGE_TOKENS = Access(Role.ADMIN, is_write=True)

Call = tuple[str, str, Handler, Access]

# Every call there is, and what it takes to make it: no call can be added without saying so.
CALLS: tuple[Call, ...] = (
    ("GET", "/healthz", health.alive, OPEN),
    ("GET", "/readyz", health.ready, OPEN),
    ("GET", "/metrics", prometheus.metrics, LOOK_AT_ALL),
    ("GET", f"{API}/openapi.json", openapi.show, LOOK_AROUND),
    ("GET", f"{API}/whoami", tokens.whoami, LOOK_AROUND),
    ("GET", f"{API}/session", sign_in.show, LOOK_AROUND),
    ("POST", f"{API}/session", sign_in.begin, LOOK_AROUND),
    ("DELETE", f"{API}/session", sign_in.end, LOOK_AROUND),
    ("GET", f"{API}/state", state.show, LOOK_AROUND),
    ("GET", f"{API}/events", events.stream, LOOK_AROUND),
    ("GET", f"{API}/numbers", numbers.index, LOOK_AROUND),
    ("GET", f"{ROUTE}/numbers", numbers.show, LOOK),
    ("GET", f"{API}/instances", instances.index, LOOK_AT_ALL),
    ("GET", f"{API}/routes", routes.index, LOOK_AROUND),
    ("GET", ROUTE, routes.show, LOOK),
    ("PUT", ROUTE, documents.put, CHANGE),
    ("PATCH", ROUTE, documents.patch, CHANGE),
    ("DELETE", ROUTE, routes.delete, REMOVE),
    ("GET", f"{ROUTE}/versions", versions.index, LOOK),
    ("POST", f"{ROUTE}/versions", versions.add, CHANGE),
    ("GET", f"{ROUTE}/versions/{{version}}", versions.show, LOOK),
    ("PATCH", f"{ROUTE}/versions/{{version}}", versions.change, CHANGE),
    ("POST", f"{ROUTE}/versions/{{version}}/retire", versions.retire, CHANGE),
    ("POST", f"{ROUTE}/versions/{{version}}/restore", versions.restore, CHANGE),
    ("DELETE", f"{ROUTE}/versions/{{version}}", versions.remove, REMOVE),
    ("GET", f"{ROUTE}/rules", rules.show, LOOK),
    ("PUT", f"{ROUTE}/rules", rules.replace, CHANGE),
    ("GET", f"{ROUTE}/diff", diff.show, LOOK),
    ("POST", f"{API}/apply", documents.apply, RESTORE),
    ("PUT", f"{ROUTE}/weights", routes.set_weights, CHANGE),
    ("POST", f"{ROUTE}/revert", routes.revert, CHANGE),
    ("GET", f"{ROUTE}/history", history.index, LOOK),
    ("GET", f"{ROUTE}/explain", explain.explain_unit_or_request, LOOK),
    ("POST", f"{ROUTE}/preview", explain.preview_weights, LOOK),
    ("GET", f"{ROUTE}/whitelist/{{version}}", lists.show, LOOK),
    ("POST", f"{ROUTE}/whitelist/{{version}}", lists.change, CHANGE_LIST),
    ("GET", f"{ROUTE}/whitelist/{{version}}/ids", bulk.export, LOOK),
    ("POST", f"{ROUTE}/whitelist/{{version}}/ids", bulk.add, CHANGE_BY_STREAM),
    ("PUT", f"{ROUTE}/whitelist/{{version}}/ids", bulk.replace, CHANGE_BY_STREAM),
    ("GET", f"{ROUTE}/blacklist", lists.show, LOOK),
    ("POST", f"{ROUTE}/blacklist", lists.change, CHANGE_LIST),
    ("GET", f"{ROUTE}/release", releases.show, LOOK),
    ("POST", f"{ROUTE}/release", releases.start, CHANGE),
    ("POST", f"{ROUTE}/release/plan", releases.plan, LOOK),
    ("GET", f"{ROUTE}/release/watch", releases.watch, LOOK),
    ("POST", f"{ROUTE}/release/commands", releases.say, CHANGE),
    ("POST", f"{ROUTE}/release/approvals", releases.approve, APPROVE),
    ("GET", f"{ROUTE}/release/report", releases.report, LOOK),
    ("GET", f"{ROUTE}/releases", releases.finished, LOOK),
    ("GET", f"{ROUTE}/drills", drills.index, LOOK),
    ("POST", f"{ROUTE}/drill", drills.start, CHANGE),
    ("GET", f"{ROUTE}/shadow", shadow.show, LOOK),
    ("GET", f"{ROUTE}/shadow/examples", shadow.examples, LOOK_CLOSELY),
    ("POST", f"{ROUTE}/feedback", feedback.give, RATE),
    ("GET", f"{API}/segments", segments.index, LOOK_AT_ALL),
    ("GET", SEGMENT, segments.show, LOOK_AT_ALL),
    ("POST", SEGMENT, segments.change, CHANGE_SEGMENT),
    ("DELETE", SEGMENT, segments.delete, REMOVE_SEGMENT),
    ("GET", f"{SEGMENT}/history", segments.history, LOOK_AT_ALL),
    ("POST", f"{SEGMENT}/revert", segments.revert, RESTORE),
    ("GET", f"{ROUTE}/blacklist/ids", bulk.export, LOOK),
    ("POST", f"{ROUTE}/blacklist/ids", bulk.add, CHANGE_BY_STREAM),
    ("PUT", f"{ROUTE}/blacklist/ids", bulk.replace, CHANGE_BY_STREAM),
    ("GET", f"{API}/proposals", proposals.index, LOOK_AROUND),
    ("POST", f"{API}/proposals/{{proposal}}/approve", proposals.approve, CONSENT),
    ("POST", f"{API}/proposals/{{proposal}}/refuse", proposals.refuse, DISSENT),
    ("POST", f"{API}/repopulate", state.repopulate, RESTORE),
    ("GET", f"{API}/audit", export.lines, LOOK_AT_ALL),
    ("GET", f"{API}/audit/verify", export.verify, LOOK_AT_ALL),
    ("GET", f"{API}/tokens", tokens.index, SEE_TOKENS),
    ("POST", f"{API}/tokens", tokens.create, CHANGE_TOKENS),
    ("DELETE", f"{API}/tokens/{{token}}", tokens.revoke, CHANGE_TOKENS),
)


class Admin:
    """Serves the operator's port on a socket that somebody else opened."""

    def __init__(self, context: AdminContext) -> None:
        self._renewing: asyncio.Task[None] | None = None
        self._app = web.Application(
            middlewares=[
                *(record_refusals, errors_as_problems, guard, known_queries, once_only),
                proposals.propose,
            ]
        )
        self._app[CONTEXT] = context
        self._app[bulk.RUNNING] = set()
        self._app[numbers.WINDOW] = Window()
        self._app[events.EVENTS] = EventLog(secrets.token_hex(4))
        self._app.cleanup_ctx.append(_looking_out)
        self._app.on_shutdown.append(_end_events)
        own = context.settings.admin
        self._app[SESSIONS] = Sessions(own.session_idle_seconds, own.session_seconds)
        self._app[BAD_TOKENS] = BadTokens()
        self._app[STRANGERS] = BadTokens()
        self._app[TABLE] = {(method, path): access for method, path, _, access in CALLS}
        self._app.add_routes(
            [
                # A GET has its HEAD.
                web.get(path, handler) if method == "GET" else web.route(method, path, handler)
                for method, path, handler, _ in CALLS
            ]
        )
        self._app.on_response_prepare.append(harden)
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
        certificate = ServerCertificate.of(self._app[CONTEXT].settings.admin)
        context = certificate.context if certificate else None
        await web.SockSite(self._runner, sock, ssl_context=context).start()
        if certificate:
            self._renewing = asyncio.create_task(_renew(certificate))

    async def stop(self) -> None:
        await self._runner.cleanup()
        if self._renewing is not None:
            self._renewing.cancel()
            with suppress(asyncio.CancelledError):
                await self._renewing


async def _renew(certificate: ServerCertificate) -> None:
    while True:
        await asyncio.sleep(_RENEW_SECONDS)
        certificate.renew()


async def _looking_out(app: web.Application) -> AsyncIterator[None]:
    lookout = Lookout(app[CONTEXT], app[events.EVENTS], app[numbers.WINDOW])
    looking = asyncio.create_task(lookout.run())
    yield
    looking.cancel()
    with suppress(asyncio.CancelledError):
        await looking


async def _end_events(app: web.Application) -> None:
    app[events.EVENTS].close()


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

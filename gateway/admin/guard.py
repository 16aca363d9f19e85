"""Who may talk to the admin port.

With a token, whoever shows it. Without one the port is bound to loopback (the settings see to
that), and a web page in the operator's browser is the one stranger left: its requests are told by
their Host (rebinding), their Origin, or a body that is not JSON.
"""

from __future__ import annotations

import hmac
import ipaddress
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.admin.context import CONTEXT
from gateway.admin.problem import problem

OPEN_PATHS = frozenset({"/healthz", "/readyz"})  # but for what `?verbose` tells


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    settings = request.app[CONTEXT].settings.admin
    if settings.token:
        if not _is_open(request) and not _has_token(request, settings.token.reveal()):
            response = problem(401, "unauthorized", "Send the header Authorization: Bearer TOKEN.")
            response.headers["WWW-Authenticate"] = "Bearer"
            return response
    elif not _is_local(request.headers.get("Host", "")):
        return problem(421, "wrong_host", "Without a token only local names are answered.")
    if not _is_own_page(request):
        return problem(403, "foreign_origin", "Pages of other origins may not use this API.")
    return await handler(request)


def _is_open(request: web.Request) -> bool:
    return request.path in OPEN_PATHS and "verbose" not in request.query


def _has_token(request: web.Request, token: str) -> bool:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    # A header may hold any bytes; those that are no UTF-8 arrive as surrogates.
    same = hmac.compare_digest(given.strip().encode(errors="surrogateescape"), token.encode())
    return scheme.lower() == "bearer" and same


def _is_own_page(request: web.Request) -> bool:
    """False for what a page of another origin sent; programs send no Origin."""
    origin = request.headers.get("Origin")
    if origin is None:
        return True
    try:
        return urlsplit(origin).netloc == request.headers.get("Host", "")
    except ValueError:
        return False


def _is_local(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False

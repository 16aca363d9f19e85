"""Refused writes go into the audit; a stranger cannot fill it."""

from __future__ import annotations

import time

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.admin.brute import MOST_TRIES, BadTokens
from gateway.admin.context import CONTEXT
from gateway.admin.problem import TOLD
from gateway.admin.roles import ACCESS, PRINCIPAL
from gateway.state.audit import Noted

REFUSALS = frozenset({401, 403, 409, 415, 421, 422})
STRANGERS = web.AppKey("strangers", BadTokens)
TRIED_TOO_OFTEN = web.ResponseKey("tried_too_often", bool)


@web.middleware
async def record_refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Outermost: sees each answer as it leaves, and has a refused write noted down."""
    response = await handler(request)
    if response.get(TRIED_TOO_OFTEN) or _is_refused_write(request, response):
        code, detail = response[TOLD]
        principal = request.get(PRINCIPAL)
        request.app[CONTEXT].store.audit.note(
            Noted(
                op="refused",
                by=principal.name if principal else "",
                token=principal.token if principal else "",
                origin=request.remote or "",
                what=f"{request.method} {request.path}",
                why=detail,
                code=code,
                status=response.status,
            )
        )
    return response


def _is_refused_write(request: web.Request, response: web.StreamResponse) -> bool:
    access = request.get(ACCESS)
    if access is None or not access.is_write or response.status not in REFUSALS:
        return False
    if PRINCIPAL in request:
        return TOLD in response
    # A stranger must not push what is worth knowing out of the audit.
    tries = request.app[STRANGERS].note(request.remote or "", time.monotonic())
    return TOLD in response and tries <= MOST_TRIES

"""How the answers of a mirror's version compare with stable's, at this gateway."""

from __future__ import annotations

from aiohttp import web

from gateway.admin.calls import answer, held_route
from gateway.admin.context import CONTEXT, Shadows
from gateway.errors import RefusedError


async def show(request: web.Request) -> web.Response:
    """Pairs, agreement, drift, and what of it speaks for holding a release."""
    return answer(_shadows(request).told(held_route(request).spec))


async def examples(request: web.Request) -> web.Response:
    """The last pairs that differed, redacted: pieces of what users were answered."""
    return answer(_shadows(request).examples(held_route(request).spec.name))


def _shadows(request: web.Request) -> Shadows:
    shadows = request.app[CONTEXT].shadows
    if shadows is None:
        raise RefusedError("This gateway compares no answers.")
    return shadows

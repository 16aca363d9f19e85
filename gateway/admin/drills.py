"""Drills: rehearse the way back, and look at what the last ones measured."""

from __future__ import annotations

import msgspec
from aiohttp import web

from gateway.admin.calls import answer, author, body_as, held_route
from gateway.admin.context import CONTEXT, Drills
from gateway.errors import RefusedError
from gateway.release.drill.report import Wanted


async def index(request: web.Request) -> web.Response:
    """What runs, the last reports, and when the next drill is due."""
    route = held_route(request).spec.name
    return answer(await _drills(request).find(route))


async def start(request: web.Request) -> web.Response:
    """Begin one; it ends by itself, and nobody's requests are touched."""
    wanted = await body_as(request, Wanted)
    route = held_route(request).spec.name
    by = author(request, wanted.why)
    return answer(await _drills(request).start(route, msgspec.to_builtins(wanted), by))


def _drills(request: web.Request) -> Drills:
    drills = request.app[CONTEXT].drills
    if drills is None:
        raise RefusedError("This gateway conducts no drills.")
    return drills

"""Releases: plan one, start it, say something to it, look at it, wait for what comes next."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from aiohttp import web

from gateway.admin.calls import (
    answer,
    author,
    body_as,
    expected_revision,
    held_route,
    number,
)
from gateway.admin.context import CONTEXT, Releases, ReleaseView
from gateway.errors import RefusedError, UsageError

MOST_WAIT_SECONDS = 50  # below what clients wait for an answer
MOST_REASON = 500
FORMATS = {"markdown": "text/markdown", "json": "application/json", "html": "text/html"}
NONE = {
    "release": None, "step": 0, "running": False, "status": None, "evidence": None,
    "warnings": (), "problem": "", "refused": "",
}  # fmt: skip


class Start(msgspec.Struct, forbid_unknown_fields=True):
    """A release to start: its plan, as in the file, but as JSON."""

    plan: dict[str, Any]
    why: str = ""


class Planned(msgspec.Struct, forbid_unknown_fields=True):
    """A plan to look at."""

    plan: dict[str, Any]


class Saying(msgspec.Struct, forbid_unknown_fields=True):
    """What an operator may say: nothing of it gives the candidate more than the plan does."""

    verb: Literal["pause", "resume", "abort", "rollback"]
    why: str = ""
    about: str = ""


class Approval(msgspec.Struct, forbid_unknown_fields=True):
    """What takes an approver; `about` names the proposal that was seen."""

    verb: Literal["approve", "promote", "continue", "release-latch"]
    why: str = ""
    about: str = ""


async def show(request: web.Request) -> web.Response:
    """The release that runs, or ran last."""
    route = held_route(request).spec.name
    return answer(_told(await _releases(request).find(route)))


async def watch(request: web.Request) -> web.Response:
    """The same, once it was written after step `?after`, or after `?seconds` at the latest."""
    route = held_route(request).spec.name
    seconds = number(request, "seconds", 25, MOST_WAIT_SECONDS)
    after = request.query.get("after", "0")
    if not (after.isascii() and after.isdigit() and len(after) < 16):
        raise UsageError("after takes the step of the release that you know, or 0.")
    releases = _releases(request)
    if await releases.find(route) is None:
        return answer(NONE)
    return answer(_told(await releases.wait(route, int(after), seconds)))


async def finished(request: web.Request) -> web.Response:
    """The releases of the route that ended, newest first."""
    route = held_route(request).spec.name
    return answer(await _releases(request).finished(route))


async def report(request: web.Request) -> web.Response:
    """The report of `?release`, or of the newest one, as `?format` asks for it."""
    route = held_route(request).spec.name
    kind = request.query.get("format", "markdown")
    if kind not in FORMATS:
        raise UsageError(f"format takes one of {', '.join(FORMATS)}.")
    release = request.query.get("release", "")[:MOST_REASON]
    text = await _releases(request).report(route, release, kind)
    response = web.Response(text=text, content_type=FORMATS[kind])
    response.headers["Cache-Control"] = "no-store"
    # Nothing in it runs, and nothing from elsewhere is loaded, whatever people wrote as a reason.
    response.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'"
    return response


async def plan(request: web.Request) -> web.Response:
    """What a plan means at the traffic of now; nothing is started."""
    wanted = await body_as(request, Planned)
    route = held_route(request).spec.name
    return answer(await _releases(request).forecast(route, wanted.plan))


async def start(request: web.Request) -> web.Response:
    wanted = await body_as(request, Start)
    route = held_route(request).spec.name
    by = author(request, wanted.why)
    view = await _releases(request).start(route, wanted.plan, by, expected_revision(request))
    return answer(view.told())


async def say(request: web.Request) -> web.Response:
    return await _say(request, await body_as(request, Saying))


async def approve(request: web.Request) -> web.Response:
    return await _say(request, await body_as(request, Approval))


async def _say(request: web.Request, said: Saying | Approval) -> web.Response:
    """`taken` is false when no gateway has done it yet: nobody leads, or the leader is busy."""
    route = held_route(request).spec.name
    by = author(request, said.why[:MOST_REASON])
    view, is_taken = await _releases(request).say(route, said.verb, said.about[:MOST_REASON], by)
    return answer({"taken": is_taken, **view.told()})


def _told(view: ReleaseView | None) -> dict[str, Any]:
    return NONE if view is None else view.told()


def _releases(request: web.Request) -> Releases:
    releases = request.app[CONTEXT].releases
    if releases is None:
        raise RefusedError("This gateway conducts no releases.")
    return releases

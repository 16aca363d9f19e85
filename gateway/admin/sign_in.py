"""Signing in: a token is given once, and from then on the browser holds a cookie."""

from __future__ import annotations

import time

import msgspec
from aiohttp import web

from gateway.admin.calls import answer
from gateway.admin.context import CONTEXT
from gateway.admin.guard import SESSIONS, cookie_name, session_of
from gateway.admin.roles import PRINCIPAL, Principal
from gateway.admin.sessions import Session
from gateway.errors import RefusedError
from gateway.state.audit import Noted


class SignedIn(msgspec.Struct):
    """Who is signed in. Every write must repeat `csrf` in the header X-Graygate-CSRF."""

    name: str
    role: str
    routes: tuple[str, ...]
    csrf: str | None  # None = this call comes with no session, but with a token, or needs none
    idle_seconds: float  # the session ends when it is not used for so long
    ends: float | None  # when it ends in any case, in seconds since 1970


class SignedOut(msgspec.Struct):
    """Whether there was a session to end."""

    ended: bool


async def begin(request: web.Request) -> web.Response:
    """The token of the Authorization header becomes a session."""
    principal = request[PRINCIPAL]
    if principal.is_proven and "Authorization" not in request.headers:
        raise RefusedError("Send the token once more to sign in: Authorization: Bearer TOKEN.")
    sessions, name = request.app[SESSIONS], cookie_name(request)
    sessions.end(request.cookies.get(name, ""))
    value, session = sessions.begin(principal.token, time.time())
    response = answer(_told(request, principal, session))
    response.set_cookie(
        name,
        value,
        path="/",
        httponly=True,
        secure=request.secure,
        samesite="Strict",
        max_age=int(sessions.seconds),
    )
    _note(request, principal, "session_begin")
    return response


async def show(request: web.Request) -> web.Response:
    """For a page that was loaded anew: who it is, and the value for its writes."""
    session = None if "Authorization" in request.headers else session_of(request)
    return answer(_told(request, request[PRINCIPAL], session))


async def end(request: web.Request) -> web.Response:
    """Sign out; the cookie is worth nothing from now on."""
    name = cookie_name(request)
    is_ended = request.app[SESSIONS].end(request.cookies.get(name, ""))
    response = answer(SignedOut(is_ended))
    response.del_cookie(name, path="/", secure=request.secure, httponly=True, samesite="Strict")
    if is_ended:
        _note(request, request[PRINCIPAL], "session_end")
    return response


def _told(request: web.Request, principal: Principal, session: Session | None) -> SignedIn:
    sessions = request.app[SESSIONS]
    ends = session.began + sessions.seconds if session else 0
    return SignedIn(
        principal.name,
        str(principal.role),
        principal.routes,
        session.csrf if session else None,
        sessions.idle_seconds,
        round(min(ends, principal.expires or ends), 3) if session else None,
    )


def _note(request: web.Request, principal: Principal, op: str) -> None:
    what = {"session_begin": "signed in", "session_end": "signed out"}[op]
    request.app[CONTEXT].store.audit.note(
        Noted(op, principal.name, request.remote or "", what, "", token=principal.token)
    )

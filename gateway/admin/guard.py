"""Who may talk to the admin port, and do what.

With `admin.token` set, whoever shows that token or one from the store. Without it the port is
bound to loopback (the settings see to that) and whoever is on this machine is its admin. Nothing
that the store says, or fails to say, ever switches from the first to the second.

A web page in the operator's browser is a stranger of its own kind: its requests are told by their
Host (rebinding), by Origin and Sec-Fetch-Site, or by a body that is not JSON. Whoever is known by
the cookie of a session must in writing also say from where, and repeat the session's own value in
a header, which a page of another origin can neither know nor set.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.admin.audit import TRIED_TOO_OFTEN
from gateway.admin.brute import MOST_TRIES, WINDOW_SECONDS, BadTokens
from gateway.admin.context import CONTEXT
from gateway.admin.problem import problem
from gateway.admin.roles import ACCESS, PRINCIPAL, Access, Principal, access_of, why_not
from gateway.admin.sessions import Session, Sessions, is_csrf_of
from gateway.state.tokens import Role, Token

BAD_TOKENS = web.AppKey("bad_tokens", BadTokens)
SESSIONS = web.AppKey("sessions", Sessions)
CSRF = "X-Graygate-CSRF"

_UNPROVEN = Principal("admin", Role.ADMIN, is_proven=False)
_BOOTSTRAP = Principal("admin", Role.ADMIN)


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    access = request[ACCESS] = access_of(request)
    settings = request.app[CONTEXT].settings.admin
    host = request.headers.get("Host", "")
    if not is_own_name(host, settings.hosts if settings.token else None):
        return problem(421, "wrong_host", _wrong_host(bool(settings.token)))
    is_open = access.role is None and "verbose" not in request.query
    if not is_open:
        principal = identify(request)
        if principal is None:
            return _unauthorized(request)
        request[PRINCIPAL] = principal
        refusal = why_not(principal, access, request.match_info.get("route"))
        if refusal:
            return problem(403, "forbidden", refusal)
    if not _is_own_page(request):
        return problem(403, "foreign_origin", "Pages of other origins may not use this API.")
    session = None if is_open or "Authorization" in request.headers else session_of(request)
    if session is not None:
        refused = _not_of_the_console(request, access, session)
        if refused is not None:
            return refused
        session.seen = time.time()
    return await handler(request)


def identify(request: web.Request) -> Principal | None:
    """Who shows a good token; without `admin.token`, whoever shows none is believed too."""
    context = request.app[CONTEXT]
    own = context.settings.admin.token
    header = request.headers.get("Authorization")
    if header is None:
        return _signed_in(request) or (None if own else _UNPROVEN)
    scheme, _, given = header.partition(" ")
    given = given.strip()
    if scheme.lower() != "bearer" or not given:
        return None
    # Hashes are of one length, so the time it takes tells nothing, not even that of the token.
    if own and hmac.compare_digest(_hash(given), _hash(own.reveal())):
        return _BOOTSTRAP
    known = context.store.tokens.find(given, time.time())
    if known is None:
        return None
    return _bearer(known.id, known.token)


def _bearer(token_id: str, token: Token) -> Principal:
    return Principal(token.name, token.rank, token.routes, token=token_id, expires=token.expires)


def cookie_name(request: web.Request) -> str:
    """With TLS one that a browser takes from this very host only."""
    return "__Host-graygate" if request.secure else "graygate"


def session_of(request: web.Request) -> Session | None:
    value = request.cookies.get(cookie_name(request))
    return request.app[SESSIONS].find(value, time.time()) if value else None


def _signed_in(request: web.Request) -> Principal | None:
    """Whose session the request comes with, if what was signed in with still holds."""
    session = session_of(request)
    if session is None:
        return None
    context = request.app[CONTEXT]
    if not session.token:
        return _BOOTSTRAP if context.settings.admin.token else None
    token = context.store.tokens.tokens.get(session.token)
    if token is None or not token.is_valid(time.time()):
        return None
    return _bearer(session.token, token)


def _not_of_the_console(
    request: web.Request, access: Access, session: Session
) -> web.Response | None:
    """What is wrong with a call that a session makes; to look is always right."""
    if request.method in ("GET", "HEAD"):
        return None
    if "Origin" not in request.headers and request.headers.get("Sec-Fetch-Site") != "same-origin":
        return problem(
            403, "foreign_origin", "A browser must say from where it writes; programs send a token."
        )
    if not is_csrf_of(session, request.headers.get(CSRF, "")):
        return problem(403, "csrf", f"Send the header {CSRF} with what GET /api/v1/session tells.")
    if request.can_read_body and not access.is_stream and not _is_json(request):
        return problem(
            415, "unsupported_media_type", "Send the body with Content-Type: application/json."
        )
    return None


def _is_json(request: web.Request) -> bool:
    return request.content_type == "application/json"


def _hash(text: str) -> bytes:
    # A header may hold any bytes; those that are no UTF-8 arrive as surrogates.
    return hashlib.sha256(text.encode(errors="surrogateescape")).digest()


def _unauthorized(request: web.Request) -> web.Response:
    """401, and from a peer that tries many tokens 429; a good one is taken from it all the same."""
    if request.headers.get("Authorization") is not None:
        tries = request.app[BAD_TOKENS].note(request.remote or "", time.monotonic())
        if tries > MOST_TRIES:
            response = problem(429, "too_many_tries", "Too many bad tokens came from this address.")
            response.headers["Retry-After"] = str(int(WINDOW_SECONDS))
            response[TRIED_TOO_OFTEN] = tries == MOST_TRIES + 1  # told once
            return response
    name = cookie_name(request)
    has_ended = name in request.cookies and "Authorization" not in request.headers
    detail = "Send the header Authorization: Bearer TOKEN."
    if has_ended:
        detail = "The session is over; sign in again."
    response = problem(401, "unauthorized", detail)
    response.headers["WWW-Authenticate"] = "Bearer"
    if has_ended:
        response.del_cookie(name, path="/", secure=request.secure, httponly=True, samesite="Strict")
    return response


def _is_own_page(request: web.Request) -> bool:
    """False for what a page of another origin sent; programs send no Origin."""
    site, mode = (request.headers.get(f"Sec-Fetch-{name}", "") for name in ("Site", "Mode"))
    if site in ("cross-site", "same-site") and mode != "navigate":
        return False
    origin = request.headers.get("Origin")
    if origin is None:
        return True
    try:
        scheme, netloc, *_ = urlsplit(origin)
    except ValueError:
        return False
    # What spoke TLS to a proxy in front of us reaches us without.
    return netloc == request.headers.get("Host", "") and (scheme == "https" or not request.secure)


def is_own_name(host: str, names: Sequence[str] | None) -> bool:
    """Whether a Host is ours: loopback; with `names` also those, and any address.

    Rebinding makes a name of the attacker lead here; an address in a Host is nobody's name.
    """
    try:
        name = (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return False
    if name == "localhost":
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return names is not None and bool(name) and ("*" in names or name in map(str.lower, names))
    return names is not None or address.is_loopback


def _wrong_host(has_token: bool) -> str:
    if has_token:
        return "This name is none of this gateway's; add it to the setting admin.hosts."
    return "Without a token only local names are answered."

"""Who may talk to the admin port, and do what.

With `admin.token` set, whoever shows that token or one from the store. Without it the port is
bound to loopback (the settings see to that) and whoever is on this machine is its admin. Nothing
that the store says, or fails to say, ever switches from the first to the second.

A web page in the operator's browser is a stranger of its own kind: its requests are told by their
Host (rebinding), by Origin and Sec-Fetch-Site, or by a body that is not JSON.
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
from gateway.admin.roles import ACCESS, PRINCIPAL, Principal, access_of, why_not
from gateway.state.tokens import Role

BAD_TOKENS = web.AppKey("bad_tokens", BadTokens)

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
    return await handler(request)


def identify(request: web.Request) -> Principal | None:
    """Who shows a good token; without `admin.token`, whoever shows none is believed too."""
    context = request.app[CONTEXT]
    own = context.settings.admin.token
    header = request.headers.get("Authorization")
    if header is None:
        return None if own else _UNPROVEN
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
    token = known.token
    return Principal(token.name, token.rank, token.routes, token=known.id, expires=token.expires)


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
    response = problem(401, "unauthorized", "Send the header Authorization: Bearer TOKEN.")
    response.headers["WWW-Authenticate"] = "Bearer"
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
        return urlsplit(origin).netloc == request.headers.get("Host", "")
    except ValueError:
        return False


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

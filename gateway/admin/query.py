"""The query of a request, judged before its call is made: what nobody reads is a mistake."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.admin.spoken import ROUTE, SPOKEN
from gateway.errors import UsageError

# Some names are the caller's own: the headers of the request that is described.
OWN_NAMES = {("GET", f"{ROUTE}/explain"): "header."}


@web.middleware
async def known_queries(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse a query that is no text, or that says what the call does not know."""
    resource = request.match_info.route.resource
    call = (
        "GET" if request.method == "HEAD" else request.method,
        getattr(resource, "canonical", ""),
    )
    spoken = SPOKEN.get(call)
    if spoken is not None and call[1].startswith("/api/"):
        try:
            unquote_to_bytes(request.rel_url.raw_query_string).decode()
        except UnicodeError:
            raise UsageError("The query is not valid UTF-8 text.") from None
        own = OWN_NAMES.get(call)
        for name in request.query:
            if name not in spoken.query and not (own and name.startswith(own)):
                known = [*spoken.query, *([f"{own}NAME"] if own else [])]
                takes = f"it takes {', '.join(known)}" if known else "it takes none"
                raise UsageError(f"{name[:64]!a} is nothing that this call asks for; {takes}.")
    return await handler(request)

"""What every answer of the admin port tells a browser, whatever it holds.

No Access-Control-Allow-* is ever sent: pages of other origins have no business here. No
Strict-Transport-Security either: it would bind the data port of the same host, too.
"""

from __future__ import annotations

from aiohttp import web

_ALWAYS = {
    "Server": "graygate",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
# For what is no page. A page names what it loads by itself, and must not be framed either.
_NO_PAGE = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_NO_FRAME = "frame-ancestors 'none'"


async def harden(request: web.Request, response: web.StreamResponse) -> None:
    """The last to touch an answer before it leaves."""
    headers = response.headers
    headers.update(_ALWAYS)
    policy = headers.get("Content-Security-Policy")
    if policy is None:
        headers["Content-Security-Policy"] = _NO_PAGE
    elif "frame-ancestors" not in policy:
        headers["Content-Security-Policy"] = f"{policy}; {_NO_FRAME}"
    if request.path.startswith("/api/"):
        headers.setdefault("Cache-Control", "no-store")

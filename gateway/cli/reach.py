"""What a token is for, where a gateway tells of no route."""

from __future__ import annotations

import msgspec

from gateway.cli.client import Gateway
from gateway.cli.shown import plain


class _WhoAmI(msgspec.Struct):
    routes: list[str]


def no_routes(gateway: Gateway) -> str:
    """What to say when the gateway tells of no route: a token may be for others only."""
    routes = gateway.get("whoami").read(_WhoAmI).routes
    if "*" in routes:
        return "No route is in force."
    return f"No route is in force within this token's reach: {', '.join(map(plain, routes))}."

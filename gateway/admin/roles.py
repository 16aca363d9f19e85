"""Who calls, and what a call asks for: the two sides that the guard compares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from aiohttp import web

from gateway.state.tokens import Role, reaches

MAX_BODY_BYTES = 1024 * 1024
MAX_LIST_BYTES = 16 * 1024 * 1024  # 20,000 ids of any letters, escaped


class Reach(Enum):
    """What a call is about, for callers whose token names some routes only."""

    ROUTE = "route"  # the route in its path
    OWN = "own"  # the caller, or whatever of the answer the caller may see
    EVERYTHING = "everything"  # all routes, or what belongs to none


@dataclass(frozen=True, slots=True)
class Access:
    """What a call asks of its caller; None = nobody needs to say who he is."""

    role: Role | None
    reach: Reach = Reach.EVERYTHING
    is_write: bool = False  # a refusal of it goes into the audit
    body_bytes: int = MAX_BODY_BYTES
    is_stream: bool = False  # its body is never read as a whole; to repeat the call does no harm


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls, as far as that is known."""

    name: str
    role: Role
    routes: tuple[str, ...] = ("*",)
    is_proven: bool = True  # by a token; else the name is only said
    token: str = ""  # id of a token of the store
    expires: int = 0

    def may_see(self, route: str) -> bool:
        return reaches(self.routes, route)

    @property
    def sees_everything(self) -> bool:
        return "*" in self.routes


ACCESS = web.RequestKey("access", Access)
PRINCIPAL = web.RequestKey("principal", Principal)
TABLE = web.AppKey("table", Mapping[tuple[str, str], Access])

# What there is no call for: whoever may call anything is told that.
UNKNOWN = Access(Role.VIEWER, Reach.OWN)


def access_of(request: web.Request) -> Access:
    """What the called path and method ask for; HEAD asks what GET does."""
    resource = request.match_info.route.resource
    if resource is None:
        return UNKNOWN
    method = "GET" if request.method == "HEAD" else request.method
    return request.app[TABLE][method, resource.canonical]


def why_not(principal: Principal, access: Access, route: str | None) -> str | None:
    """Why this caller may not do this; None when he may. `route` is the one in the path."""
    if access.role is not None and principal.role < access.role:
        return f"This takes the role {access.role}; {principal.name} is {principal.role}."
    if access.reach is Reach.ROUTE and not principal.may_see(route or ""):
        return f"The token of {principal.name} is for other routes: {', '.join(principal.routes)}."
    if access.reach is Reach.EVERYTHING and not principal.sees_everything:
        return f"This is about more than the routes of {principal.name}'s token; it takes one of *."
    return None

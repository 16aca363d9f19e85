"""What a request says, read strictly: its route, its body, its author, the revision it expects."""

from __future__ import annotations

import json
from collections import Counter
from typing import TypeVar

import msgspec
from aiohttp import web

from gateway.admin.context import CONTEXT
from gateway.admin.problem import BadBody, WrongMedia
from gateway.admin.roles import ACCESS, PRINCIPAL
from gateway.errors import NotFoundError, UsageError
from gateway.state.keys import NAME_RULE, is_name
from gateway.state.raw import RouteState
from gateway.state.snapshot import HeldRoute
from gateway.state.write import Author

Body = TypeVar("Body")


BODY = web.RequestKey("body", bytes)  # where somebody read it before

MOST_NAMED = 20  # names in one sentence


def route_name(request: web.Request) -> str:
    """The route that the path names; only such names ever become part of a key."""
    name = request.match_info["route"]
    if not is_name(name):
        raise NotFoundError(f"{name[:64]!a} is no route name: use {NAME_RULE}.")
    return name


def held_route(request: web.Request) -> HeldRoute:
    """The route that the path names, as it is in force."""
    name = route_name(request)
    routes = request.app[CONTEXT].store.snapshot.routes
    if name not in routes:
        known = sorted(filter(request[PRINCIPAL].may_see, routes))
        there = f"there are: {', '.join(known[:MOST_NAMED])}" if known else "none is in force"
        more = f" and {len(known) - MOST_NAMED} more" if len(known) > MOST_NAMED else ""
        raise NotFoundError(f"There is no route {name!a} in force; {there}{more}.")
    return routes[name]


def must_exist(state: RouteState, request: web.Request) -> None:
    """A change is made to what the store holds; a route that it does not hold is not made by it."""
    if not state.is_empty:
        return
    name = route_name(request)
    if name in request.app[CONTEXT].store.snapshot.routes:
        raise NotFoundError(
            f"Route {name} is in force but gone from the store; put it back first, with: "
            "graygate repopulate"
        )
    raise NotFoundError(f"There is no route {name} in the store.")


async def body_as(request: web.Request, kind: type[Body]) -> Body:
    if request.content_type != "application/json":
        raise WrongMedia("Send the body as JSON with Content-Type: application/json.")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise WrongMedia("Send the body as it is, without Content-Encoding.")
    raw = request[BODY] if BODY in request else await read_body(request)
    if not raw.strip():
        raise BadBody("The body is empty; it takes JSON.")
    try:
        body = msgspec.json.decode(raw, type=kind)
        # Of a key that comes twice one reader takes the first value and another one the last.
        json.loads(raw, object_pairs_hook=_once, parse_int=str, parse_float=str)
        return body
    except RecursionError:
        raise BadBody("The body is nested too deeply.") from None
    except (msgspec.DecodeError, UnicodeError) as error:
        raise BadBody(f"The body cannot be used: {str(error).rstrip('.')}.") from None


async def read_body(request: web.Request) -> bytes:
    """The body, as far as it may be long."""
    try:
        return await _whole(request, request[ACCESS].body_bytes)
    except (ConnectionError, web.RequestPayloadError):
        raise BadBody("The body ended early or is not framed as HTTP wants it.") from None


async def _whole(request: web.Request, most: int) -> bytes:
    raw = bytearray()
    async for piece in request.content.iter_any():
        raw += piece
        if len(raw) > most:
            raise web.HTTPRequestEntityTooLarge(most, len(raw))
    return bytes(raw)


def _once(pairs: list[tuple[str, object]]) -> None:
    names = Counter(name for name, _ in pairs)
    for name, count in names.items():
        if count > 1:
            raise BadBody(f"The body cannot be used: {name[:64]!a} comes {count} times.")


def author(request: web.Request, why: str) -> Author:
    via = request.headers.get("X-Graygate-Client", "api")
    # What is no UTF-8 in a header arrives as lone surrogates, which the store cannot be sent.
    claimed = request.headers.get("X-Graygate-By", "").encode(errors="replace").decode()
    principal = request[PRINCIPAL]
    return Author(
        by=principal.name if principal.is_proven else claimed[:128] or principal.name,
        via="cli" if via == "cli" else "api",
        origin=request.remote or "",
        why=why[:1000],
        needs_consent=request.app[CONTEXT].settings.admin.four_eyes,
    )


def expected_revision(request: web.Request) -> int | None:
    """The revision in If-Match, or None when the caller does not care."""
    text = request.headers.get("If-Match", "*").strip()
    if text == "*":
        return None
    digits = text.strip('"')
    if not digits.isascii() or not digits.isdigit() or len(digits) > 18:
        raise UsageError('If-Match takes the revision of the route, for instance "12".')
    return int(digits)


def number(request: web.Request, name: str, default: int, most: int) -> int:
    text = request.query.get(name, str(default))
    if not text.isascii() or not text.isdigit() or len(text) > 9 or not 1 <= int(text) <= most:
        raise UsageError(f"{name} takes a number from 1 to {most}.")
    return int(text)


def answer(content: object, revision: int | None = None) -> web.Response:
    response = web.Response(body=msgspec.json.encode(content), content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    if revision is not None:
        response.headers["ETag"] = f'"{revision}"'
    return response

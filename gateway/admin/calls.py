"""What a request says, read strictly: its route, its body, its author, the revision it expects."""

from __future__ import annotations

from typing import TypeVar

import msgspec
import orjson
from aiohttp import web

from gateway.admin.context import CONTEXT
from gateway.admin.problem import BadBody, WrongMedia
from gateway.errors import NotFoundError, UsageError
from gateway.state.snapshot import HeldRoute
from gateway.state.write import Author

Body = TypeVar("Body")


def held_route(request: web.Request) -> HeldRoute:
    """The route that the path names, as it is in force."""
    name = request.match_info["route"]
    held = request.app[CONTEXT].store.snapshot.routes.get(name)
    if held is None:
        known = ", ".join(sorted(request.app[CONTEXT].store.snapshot.routes)) or "none"
        raise NotFoundError(f"There is no route {name[:64]!a} in force; there are: {known}.")
    return held


async def body_as(request: web.Request, kind: type[Body]) -> Body:
    if request.content_type != "application/json":
        raise WrongMedia("Send the body as JSON with Content-Type: application/json.")
    raw = await request.read()
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        what = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise BadBody(f"The body cannot be used: {what}.") from None


def author(request: web.Request, why: str) -> Author:
    via = request.headers.get("X-Graygate-Client", "api")
    by = request.headers.get("X-Graygate-By", "")[:128] or "admin"
    return Author(
        by=by,
        via="cli" if via == "cli" else "api",
        origin=request.remote or "",
        why=why[:1000],
    )


def expected_revision(request: web.Request) -> int | None:
    """The revision in If-Match, or None when the caller does not care."""
    text = request.headers.get("If-Match", "").strip()
    if not text or text == "*":
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
    response = web.Response(body=orjson.dumps(content), content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    if revision is not None:
        response.headers["ETag"] = f'"{revision}"'
    return response

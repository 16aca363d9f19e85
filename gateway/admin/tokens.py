"""Tokens: who calls, which tokens there are, making them and taking them back."""

from __future__ import annotations

import time
from typing import Annotated, Literal

import msgspec
from aiohttp import web
from msgspec import Meta

from gateway.admin.calls import answer, author, body_as
from gateway.admin.context import CONTEXT
from gateway.admin.roles import PRINCIPAL
from gateway.state.tokens import Role, Token

MOST_SECONDS = 10 * 366 * 86_400


class NewToken(msgspec.Struct, forbid_unknown_fields=True):
    """Who shall bear a token, and what it may do."""

    name: str
    role: Literal["viewer", "operator", "approver", "admin"]
    routes: tuple[str, ...] = ("*",)
    expires_seconds: Annotated[int, Meta(ge=0, le=MOST_SECONDS)] = 0  # 0 = never
    why: str = ""


async def whoami(request: web.Request) -> web.Response:
    principal = request[PRINCIPAL]
    return answer(
        {
            "name": principal.name,
            "role": str(principal.role),
            "routes": principal.routes,
            "token": principal.token or None,
            "expires": principal.expires or None,
            "proven": principal.is_proven,
        }
    )


async def index(request: web.Request) -> web.Response:
    """Every token but its hash; what cannot be used is told as in the state."""
    store = request.app[CONTEXT].store
    return answer(
        {
            "tokens": {key: describe(token) for key, token in store.tokens.tokens.items()},
            "refused": [refusal.text for refusal in store.tokens.refused],
        }
    )


async def create(request: web.Request) -> web.Response:
    """The answer holds the token's text; it is never told again."""
    wanted = await body_as(request, NewToken)
    known, text = await request.app[CONTEXT].store.token_writer.create(
        wanted.name,
        Role[wanted.role.upper()],
        wanted.routes,
        wanted.expires_seconds,
        author(request, wanted.why),
    )
    return answer({"id": known.id, "token": text, **describe(known.token)})


async def revoke(request: web.Request) -> web.Response:
    """Takes back the token of an id, or all of a name."""
    why = request.query.get("why", "")
    writer = request.app[CONTEXT].store.token_writer
    return answer(
        {"revoked": await writer.revoke(request.match_info["token"], author(request, why))}
    )


def describe(token: Token) -> dict[str, object]:
    return {
        "name": token.name,
        "role": token.role,
        "routes": token.routes,
        "created": token.created,
        "expires": token.expires or None,
        "revoked": token.revoked or None,
        "valid": token.is_valid(time.time()),
    }

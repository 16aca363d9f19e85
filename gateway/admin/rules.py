"""The rules of a route, as one ordered list."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from gateway.admin.calls import answer, body_as, held_route, must_exist, route_name
from gateway.admin.context import CONTEXT
from gateway.admin.routes import write
from gateway.state.document import Document, merged
from gateway.state.raw import RouteState
from gateway.state.reader import read_routes
from gateway.state.write import Change


class Rules(msgspec.Struct, forbid_unknown_fields=True):
    """All rules, in the order in which they are asked."""

    rules: list[dict[str, Any]]
    why: str = ""


async def show(request: web.Request) -> web.Response:
    """The rules as the store holds them now, in order, for whoever writes them back."""
    name, store = route_name(request), request.app[CONTEXT].store
    raw = (await read_routes(await store.link(), store.keys, [name]))[name]
    must_exist(raw.state(), request)
    try:
        rules = [msgspec.json.decode(text.encode()) for text in raw.state().rules]
    except msgspec.DecodeError:
        rules = [msgspec.to_builtins(rule) for rule in held_route(request).spec.rules]
    return answer({"rules": rules}, raw.revision)


async def replace(request: web.Request) -> web.Response:
    """Put these rules in the place of all there are."""
    wanted = await body_as(request, Rules)
    texts = tuple(msgspec.json.encode(rule).decode() for rule in wanted.rules)

    def edit(state: RouteState) -> RouteState:
        must_exist(state, request)
        return merged(Document(rules=texts), state)

    return await write(request, Change(edit), wanted.why)

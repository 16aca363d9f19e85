"""The gateways that share this store, and what each of them routes by."""

from __future__ import annotations

import time

import msgspec
from aiohttp import web

from gateway.admin.calls import answer
from gateway.admin.context import CONTEXT


async def index(request: web.Request) -> web.Response:
    context = request.app[CONTEXT]
    everybody = await context.store.instances.everybody(time.time())
    return answer(
        {
            name: {**msgspec.to_builtins(one), "is_this_one": name == context.own_id}
            for name, one in everybody.items()
        }
    )

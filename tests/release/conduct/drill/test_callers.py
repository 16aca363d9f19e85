"""The users of a drill: a steady rate, everything counted, nobody left when they go."""

from __future__ import annotations

import asyncio

from aiohttp import web

from gateway.release.conduct.drill.callers import UNIT_HEADER, Callers
from gateway.release.conduct.drill.standin import TOKEN_HEADER
from gateway.release.drill.report import Wanted
from tests.servers import HOST
from tests.state.following import eventually


async def test_they_ask_as_they_were_told_and_count_what_comes_back() -> None:
    seen: list[web.BaseRequest] = []
    bodies: set[str] = set()

    async def answer(request: web.BaseRequest) -> web.Response:
        seen.append(request)
        bodies.add(await request.text())
        return web.Response(status=404 if len(seen) % 2 else 503)

    server = web.Server(answer)
    runner = web.ServerRunner(server)
    await runner.setup()
    site = web.TCPSite(runner, HOST, 0)
    await site.start()
    url = f"http://0.0.0.0:{runner.addresses[0][1]}/"
    wanted = Wanted(method="POST", body='{"a": 1}', rate=200)
    callers = Callers(url, "01ab.drill.invalid", "token", "/v1/chat", wanted, lambda: 7.0)
    try:
        async with callers.calling():
            await eventually(lambda: callers.bad >= 3 and callers.good >= 3, "answers came")
    finally:
        await runner.cleanup()
    assert set(callers.answers) <= {404, 503, 0}
    assert callers.last_bad_at == 7.0
    assert {(one.method, one.path, one.host) for one in seen} == {
        ("POST", "/v1/chat", "01ab.drill.invalid")
    }
    assert {one.headers[TOKEN_HEADER] for one in seen} == {"token"}
    assert len({one.headers[UNIT_HEADER] for one in seen}) == len(seen)
    assert bodies == {'{"a": 1}'}


async def test_nobody_there_is_a_failure_and_no_crash() -> None:
    callers = Callers(f"http://{HOST}:9", "x", "token", "/", Wanted(rate=100))
    async with callers.calling():
        await eventually(lambda: callers.bad >= 3, "failures were counted")
        await asyncio.sleep(0)
    assert callers.good == 0

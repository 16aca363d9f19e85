"""One number out of a Prometheus, or the reason why there is none."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import ClientSession, web

from gateway.config.secret import Secret
from gateway.config.settings import Release
from gateway.release.conduct.prometheus import Prometheus, filled_in, read_answer
from tests.servers import HOST, free_port


@dataclass(slots=True)
class Server:
    """Answers every query with `answer`."""

    url: str = ""
    answer: str = '{"status":"success","data":{"resultType":"scalar","result":[1.5,"42"]}}'
    status: int = 200
    hangs: bool = False
    queries: list[str] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)


@contextlib.asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    server, ends = Server(), asyncio.Event()

    async def query(request: web.Request) -> web.Response:
        server.queries.append(str((await request.post())["query"]))
        server.headers.append(request.headers.get("Authorization", ""))
        if server.hangs:
            await ends.wait()
        return web.Response(status=server.status, text=server.answer)

    app = web.Application()
    app.router.add_post("/prom/api/v1/query", query)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, HOST, 0).start()
    server.url = f"http://{HOST}:{runner.addresses[0][1]}/prom"
    try:
        yield server
    finally:
        ends.set()
        await runner.cleanup()


def vector(*values: str) -> str:
    series = ",".join(f'{{"metric":{{}},"value":[1.5,"{value}"]}}' for value in values)
    return f'{{"status":"success","data":{{"resultType":"vector","result":[{series}]}}}}'


async def test_the_query_and_the_token_arrive_and_the_number_comes_back() -> None:
    async with serving() as server, ClientSession() as session:
        settings = Release(prometheus_url=server.url + "/", prometheus_token=Secret("hush"))
        prometheus = Prometheus(settings)
        sample = await prometheus.ask(session, 'sum(x{version="v2"})')
        assert sample.value == 42
        assert server.queries == ['sum(x{version="v2"})']
        assert server.headers == ["Bearer hush"]
        assert "hush" not in repr(prometheus)


@pytest.mark.parametrize(
    ("status", "answer", "said"),
    [
        (200, vector(), "no series"),
        (200, vector("1", "2"), "2 series; make it one"),
        (200, vector("NaN"), "its value is NaN"),
        (200, vector("+Inf"), "its value is +Inf"),
        (200, vector("what"), "its value is what"),
        (400, '{"status":"error","error":"parse error"}', "refuses the query: parse error"),
        (503, "{}", "refuses the query: 503"),
        (200, "<html>", "no Prometheus"),
        (
            200, '{"status":"success","data":{"resultType":"matrix","result":[]}}',
            "gives a matrix",
        ),
        (200, '{"status":"success","data":{"resultType":"vector","result":7}}', "no Prometheus"),
    ],
)  # fmt: skip
def test_what_is_no_number_is_no_data_with_a_reason(status: int, answer: str, said: str) -> None:
    sample = read_answer(status, answer.encode())
    assert sample.value is None
    assert said in sample.why


async def test_who_does_not_answer_is_no_data() -> None:
    async with serving() as server, ClientSession() as session:
        server.hangs = True
        late = await Prometheus(
            Release(prometheus_url=server.url, prometheus_seconds=0.05)
        ).ask(session, "x")  # fmt: skip
        assert (late.value, late.why) == (None, "Prometheus did not answer within 0.05 s")
        gone = await Prometheus(Release(prometheus_url=f"http://{HOST}:{free_port()}")).ask(
            session, "x"
        )
        assert gone.value is None
        assert "cannot be reached" in gone.why
        none = await Prometheus(Release()).ask(session, "x")
        assert "release.prometheus_url" in none.why


def test_only_our_own_words_are_filled_in() -> None:
    names = {"version": "v2", "route": "chat"}
    query = 'sum(rate(x{version="{version}", route="{route}"}[5m])) by (le) / {other}'
    assert filled_in(query, names) == (
        'sum(rate(x{version="v2", route="chat"}[5m])) by (le) / {other}'
    )

"""The stand-in: passes everything on until it is broken, and answers nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientError, ClientSession, UnixConnector, web

from gateway.release.conduct.drill.standin import TOKEN_HEADER, StandIn
from tests.servers import HOST

TOKEN = "of this drill"


@contextlib.asynccontextmanager
async def model() -> AsyncIterator[str]:
    """Says what it was asked."""

    async def answer(request: web.Request) -> web.Response:
        told = f"{request.method} {request.path_qs} {(await request.read()).decode()}"
        headers = {"X-Told": "yes", "X-Token-Seen": str(TOKEN_HEADER in request.headers)}
        return web.Response(status=201, text=told, headers=headers)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOST, 0).start()
    try:
        yield f"http://{HOST}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def standing(path: Path) -> AsyncIterator[tuple[StandIn, ClientSession]]:
    async with model() as url:
        stand_in = StandIn(path, f"{url}/prefix", TOKEN, ssl.create_default_context)
        connector = UnixConnector(str(path))
        headers = {TOKEN_HEADER: TOKEN}
        async with (
            stand_in.serving(),
            ClientSession("http://drill", connector=connector, headers=headers) as session,
        ):
            yield stand_in, session


async def test_it_passes_requests_on_as_they_are(tmp_path: Path) -> None:
    async with standing(tmp_path / "s") as (stand_in, session):
        async with session.post("/v1/chat?a=1", data="body") as answer:
            assert (answer.status, await answer.text()) == (201, "POST /prefix/v1/chat?a=1 body")
            assert (answer.headers["X-Told"], answer.headers["X-Token-Seen"]) == ("yes", "False")
        assert (stand_in.requests, stand_in.failed, stand_in.failed_at) == (1, 0, None)
        assert (tmp_path / "s").stat().st_mode & 0o777 == 0o600
        assert stand_in.url.startswith("http+unix://%2F")
    assert not (tmp_path / "s").exists()


async def test_whoever_does_not_know_the_drill_gets_nothing(tmp_path: Path) -> None:
    async with standing(tmp_path / "s") as (stand_in, session):
        async with session.get("/", headers={TOKEN_HEADER: "guessed"}) as answer:
            assert answer.status == 404
        assert stand_in.requests == 0


async def test_errors_are_answers_of_its_own(tmp_path: Path) -> None:
    async with standing(tmp_path / "s") as (stand_in, session):
        stand_in.fault = "errors"
        for _ in range(2):
            async with session.get("/") as answer:
                assert answer.status == 500
        assert (stand_in.requests, stand_in.failed) == (2, 2)
        assert stand_in.failed_at is not None
        assert stand_in.last_at is not None
        assert stand_in.failed_at <= stand_in.last_at


@pytest.mark.parametrize("fault", ["cut", "garbled"])
async def test_cut_and_garbled_answers_are_no_answers(tmp_path: Path, fault: str) -> None:
    async with standing(tmp_path / "s") as (stand_in, session):
        stand_in.fault = fault  # type: ignore[assignment]  # a parameter
        with pytest.raises(ClientError):
            async with session.get("/") as answer:
                await answer.read()
        assert stand_in.failed >= 1


async def test_slow_answers_are_right_but_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.release.conduct.drill.standin.SLOW_SECONDS", 0.05)
    async with standing(tmp_path / "s") as (stand_in, session):
        stand_in.fault = "latency"
        began = asyncio.get_running_loop().time()
        async with session.get("/x") as answer:
            assert (answer.status, await answer.text()) == (201, "GET /prefix/x ")
        assert asyncio.get_running_loop().time() - began >= 0.05


async def test_an_endpoint_that_is_away_is_a_bad_gateway(tmp_path: Path) -> None:
    stand_in = StandIn(tmp_path / "s", f"http://{HOST}:9", TOKEN, ssl.create_default_context)
    async with (
        stand_in.serving(),
        ClientSession("http://drill", connector=UnixConnector(str(tmp_path / "s"))) as session,
        session.get("/", headers={TOKEN_HEADER: TOKEN}) as answer,
    ):
        assert answer.status == 502

"""Active checks against real sockets."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from gateway.upstream import checks as module
from gateway.upstream.address import parse_target
from gateway.upstream.checks import Checks, check
from tests.upstream.parts import Listener, dialer, draw, endpoint, free_port, until

INTERVAL = 0.01


@pytest.fixture
async def checks() -> AsyncIterator[Checks]:
    made = Checks(dialer(), asyncio.get_running_loop().time, draw)
    made.start()
    yield made
    await made.close()


async def wrong(url: str, seconds: float = 5.0) -> str:
    return await check(dialer(), parse_target(url), "/health", seconds)


async def test_a_check_is_a_request_of_its_own_below_the_prefix(listener: Listener) -> None:
    assert await wrong(f"{listener.url}/prefix") == ""
    [head] = listener.heads
    lines = head.split(b"\r\n")
    assert lines[0] == b"GET /prefix/health HTTP/1.1"
    assert b"Host: 127.0.0.1:%d" % listener.port in lines
    assert b"Connection: close" in lines
    await until(lambda: not listener.open)


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", ""),
        (b"HTTP/1.0 204\r\n\r\n", ""),
        (b"HTTP/1.1 204 \r\n\r\n", ""),
        (b"HTTP/1.1 399 Caf\xe9\r\nA: b\r\n\r\n", ""),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", ""),
        (b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 503 No\r\n\r\n", "it answers 503"),
        (b"HTTP/1.1 400 Bad\r\n\r\n", "it answers 400"),
        (b"HTTP/1.1 599 Bad\r\n\r\n", "it answers 599"),
        (b"HTTP/1.1 600 OK\r\n\r\n", "its answer is not HTTP/1.1"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "its answer is not HTTP/1.1"),
        (b"HTTP/1.1  200 OK\r\n\r\n", "its answer is not HTTP/1.1"),
        (b"HTTP/1.1 200\tOK\r\n\r\n", "its answer is not HTTP/1.1"),
        (b"HTTP/1.1 200 O\x00K\r\n\r\n", "its answer is not HTTP/1.1"),
        (b"HTTP/1.1 200 OK\n\r\n\r\n", "its answer is not HTTP/1.1"),
        (b"HTTP/2.0 200 OK\r\n\r\n", "its answer is not HTTP/1.1"),
        (b"\r\nHTTP/1.1 200 OK\r\n\r\n", "its answer is not HTTP/1.1"),
        (b"+PONG\r\n\r\n", "its answer is not HTTP/1.1"),
        (b"HTTP/1.1 102 Wait\r\n\r\n" * 8, "it never comes to its answer"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"x" * 70_000, "its answer has a head without end"),
    ],
)
async def test_only_a_2xx_or_3xx_in_true_http_passes(
    listener: Listener, answer: bytes, found: str
) -> None:
    listener.answer = answer
    assert await wrong(listener.url) == found


async def test_no_answer_in_time_is_a_failure(listener: Listener) -> None:
    listener.answer = None
    assert await wrong(listener.url, 0.02) == "no answer in 0.02 s"


async def test_nobody_there_is_a_failure() -> None:
    assert "Connection refused" in await wrong(f"http://127.0.0.1:{free_port()}")


async def test_breaking_off_is_a_failure() -> None:
    async def cut(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(cut, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    assert await wrong(f"http://127.0.0.1:{port}") == "it broke off"
    server.close()


async def test_an_endpoint_goes_down_and_comes_up_by_its_checks(
    listener: Listener, checks: Checks, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    one = endpoint(listener.url)
    listener.answer = b"HTTP/1.1 500 Internal Server Error\r\n\r\n"
    checks.watch(one, "/health", INTERVAL)
    await until(lambda: one.health.is_checked_down)
    assert len(listener.heads) == 3
    listener.answer = b"HTTP/1.1 200 OK\r\n\r\n"
    await until(lambda: not one.health.is_checked_down)
    assert caplog.messages == [
        f"route chat, version v1: {listener.url} does not pass its checks (it answers 500); "
        "it gets no requests until it does.",
        f"route chat, version v1: {listener.url} passes its checks again and gets requests.",
    ]


async def test_checks_begin_when_they_are_started(listener: Listener) -> None:
    waiting = Checks(dialer(), asyncio.get_running_loop().time, draw)
    waiting.watch(endpoint(listener.url), "/health", INTERVAL)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    waiting.start()
    await until(lambda: len(listener.heads) > 0)
    await waiting.close()


async def test_watching_the_same_again_changes_nothing(listener: Listener, checks: Checks) -> None:
    one = endpoint(listener.url)
    checks.watch(one, "/health", INTERVAL)
    tasks = asyncio.all_tasks()
    checks.watch(one, "/health", INTERVAL)
    assert asyncio.all_tasks() == tasks
    checks.watch(one, "/other", INTERVAL)
    await until(lambda: any(head.startswith(b"GET /other ") for head in listener.heads))


@pytest.mark.parametrize("by", ["no path", "forgetting"])
async def test_what_is_not_watched_any_more_counts_as_up(
    listener: Listener, checks: Checks, by: str
) -> None:
    one = endpoint(listener.url)
    listener.answer = b"HTTP/1.1 500 No\r\n\r\n"
    checks.watch(one, "/health", INTERVAL)
    await until(lambda: one.health.is_checked_down)
    if by == "forgetting":
        checks.forget(one)
    else:
        checks.watch(one, "", INTERVAL)
    assert not one.health.is_checked_down
    assert repr(checks) == "<Checks of 0 endpoints>"
    await until(lambda: asyncio.all_tasks() == {asyncio.current_task()} and not listener.open)


async def test_a_fault_of_ours_ends_no_checks(
    checks: Checks, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    async def broken(*_: object) -> str:
        nonlocal asked
        asked += 1
        raise KeyError("ours")

    monkeypatch.setattr(module, "check", broken)
    checks.watch(endpoint(), "/health", INTERVAL)
    await until(lambda: asked >= 2)
    assert "failed inside" in caplog.text

"""From requests through two workers and control to the stream, in real processes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gateway.config.settings import Redis
from gateway.metrics.strata import CellCounts
from gateway.state.keys import Keys
from gateway.state.store import WorkLink
from gateway.state.strata import StrataLog
from tests.deploy.gateway import Gateway
from tests.process.harness import children_of, wait_until
from tests.servers import Server, Valkey

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

Counts = Counter[tuple[str, str]]  # by version and what was counted


class Handler(BaseHTTPRequestHandler):
    """Answers to /500 with 500, and so on."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(int(self.path[1:]))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture(scope="module")
def model() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def own_store() -> Iterator[Server]:
    with Valkey() as server:
        yield server


@pytest.fixture(scope="module")
def gateway(
    own_store: Server, model: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    for name in ("chat", "draw", "alone"):
        key = f"gray:route:{name}"
        own_store.execute("HSET", f"{key}:versions", "v1", model)
        if name != "alone":
            own_store.execute("HSET", f"{key}:versions", "v2", model)
            own_store.execute("HSET", f"{key}:weights", "v2", "40")
        own_store.execute("HSET", key, "stable", "v1", "host", f"{name}.example")
        own_store.execute("SADD", "gray:routes", name)
    with Gateway(tmp_path_factory.mktemp("strata") / "gw", own_store) as gateway:
        wait_until(lambda: ask(gateway, "alone", "x")[0] == 200, "requests are served")
        yield gateway


def ask(gateway: Gateway, route: str, user: str, path: str = "/200") -> tuple[int, str]:
    """Status and version, on a connection of its own, so that both workers get some."""
    where = urlsplit(gateway.data_url)
    connection = HTTPConnection(where.hostname or "", where.port, timeout=20)
    try:
        headers = {"Host": f"{route}.example", "X-User-Id": user}
        connection.request("GET", path, headers=headers)
        with connection.getresponse() as answer:
            answer.read()
            return answer.status, answer.getheader("X-Graygate-Version", "")
    finally:
        connection.close()


def streamed(store: Server, route: str) -> list[CellCounts]:
    """All cells in the stream."""

    async def read() -> list[CellCounts]:
        work = WorkLink(Redis(url=store.url))
        try:
            batches = await StrataLog(work.get, Keys()).read(route, limit=10_000)
        finally:
            await work.close()
        return [cell for batch in batches for cell in batch.cells]

    return asyncio.run(read())


def sums(store: Server, route: str) -> Counts:
    found: Counts = Counter()
    for cell in streamed(store, route):
        for name in ("arrived", "finished", "bad", "client_errors"):
            found[cell.version, name] += getattr(cell, name)
        found[cell.version, "timed"] += sum(cell.total.values())
        found[cell.version, "bad units"] += len(cell.bad_units)
    return +found


def wait_streamed(store: Server, route: str, counts: Counts) -> None:
    wait_until(lambda: sums(store, route) == counts, f"{route} has {counts}")


def test_the_stream_holds_each_request_once(gateway: Gateway, own_store: Server) -> None:
    truth: dict[str, Counts] = {"chat": Counter(), "draw": Counter()}
    users: Counts = Counter()
    for number in range(400):
        route = ("chat", "chat", "draw")[number % 3]
        path = "/503" if number % 10 == 3 else "/404" if number % 25 == 0 else "/200"
        status, version = ask(gateway, route, f"user-{number}", path)
        assert str(status) == path[1:]
        counts = truth[route]
        for name in ("arrived", "finished", "timed"):
            counts[version, name] += 1
        users[route, version] += 1
        if status == 503:
            counts[version, "bad"] += 1
            counts[version, "bad units"] += 1
        if status == 404:
            counts[version, "client_errors"] += 1
    ask(gateway, "alone", "x")
    for route, counts in truth.items():
        wait_streamed(own_store, route, counts)
    assert own_store.cli("EXISTS gray:route:alone:strata") == 0
    told = gateway.metrics()[0]
    assert "graygate_units{" in told
    for (route, version), count in users.items():
        assert units(told, route, version) == pytest.approx(count, rel=0.1)


def units(metrics: str, route: str, version: str) -> float:
    start = f'graygate_units{{route="{route}",version="{version}"}} '
    [line] = [line for line in metrics.splitlines() if line.startswith(start)]
    return float(line.removeprefix(start))


def test_a_killed_control_loses_a_second_at_the_most(gateway: Gateway, own_store: Server) -> None:
    def arrived() -> int:
        return sum(n for (_, name), n in sums(own_store, "chat").items() if name == "arrived")

    before = arrived()
    [control] = children_of(gateway.process.pid, "gateway.process.control")
    is_over = threading.Event()
    asked: list[int] = []

    def keep_asking() -> None:
        while not is_over.wait(0.02):
            asked.append(ask(gateway, "chat", f"user-{len(asked)}")[0])

    thread = threading.Thread(target=keep_asking)
    thread.start()
    try:
        wait_until(lambda: arrived() > before + 20, "numbers arrive")
        lost_at = len(asked)
        os.kill(control, signal.SIGKILL)
        wait_until(lambda: len(asked) > lost_at + 100, "two more seconds")
    finally:
        is_over.set()
        thread.join()
    # At 50 requests a second: one second on its way, and one that control had not yet sent.
    least = before + len(asked) - 100
    wait_until(lambda: arrived() >= least, f"at least {least} of {len(asked)} are told")
    assert arrived() <= before + len(asked)


def test_a_worker_that_ends_tells_its_last_second(
    own_store: Server, gateway: Gateway, tmp_path: Path
) -> None:
    with Gateway(tmp_path / "gw", own_store) as second:
        wait_until(lambda: ask(second, "alone", "x")[0] == 200, "requests are served")
        before = sums(own_store, "draw")
        for number in range(30):
            ask(second, "draw", f"user-{number}")
        second.process.send_signal(signal.SIGTERM)
        assert second.process.wait(40) == 0
    told = sums(own_store, "draw") - before
    assert sum(n for (_, name), n in told.items() if name == "finished") == 30

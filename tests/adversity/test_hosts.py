"""Hosts of their own for the store and for a model, whose cables are pulled: `make hosts`, as root.

The test's process is one host (it runs in a network namespace, and so does the gateway that it
starts); the others are namespaces that it makes, each at the end of a pair of virtual cables.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.adversity.scene import ask
from tests.servers import valkey_binary, wait_until
from tests.serving import Users, admin, served

pytestmark = pytest.mark.skipif(
    "TEST_HOSTS" not in os.environ, reason="needs root and a network of its own: make hosts"
)

_MODEL = """
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *words): pass

ThreadingHTTPServer((sys.argv[1], 9000), Handler).serve_forever()
"""


class Host:
    """A namespace with an address of its own, reached over one cable."""

    def __init__(self, number: int) -> None:
        self.name = f"graygate-{os.getpid()}-{number}"
        self.address = f"10.177.{number}.2"
        self._cable = f"cable{number}"
        self._near = f"10.177.{number}.1"
        _ip("netns", "add", self.name)
        _ip("link", "add", self._cable, "type", "veth", "peer", "eth0", "netns", self.name)
        _ip("addr", "add", f"{self._near}/24", "dev", self._cable)
        _ip("link", "set", self._cable, "up")
        _ip("-n", self.name, "addr", "add", f"{self.address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            _ip("-n", self.name, "link", "set", device, "up")

    def close(self) -> None:
        _ip("netns", "del", self.name)

    @contextmanager
    def running(self, *words: str) -> Iterator[None]:
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.name, *words], stdout=subprocess.DEVNULL
        )
        try:
            yield
        finally:
            process.kill()
            process.wait()

    def pull(self) -> None:
        _ip("link", "set", self._cable, "down")

    def plug(self) -> None:
        _ip("link", "set", self._cable, "up")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def _store(address: str, folder: Path, *words: str) -> str:
    command = [sys.executable, "-m", "gateway.cli", "redis", "--redis", f"redis://{address}:6379/0"]
    done = subprocess.run(
        [*command, *words], cwd=folder, capture_output=True, text=True, check=False, timeout=20
    )
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def hosts() -> Iterator[tuple[Host, Host, Host]]:
    assert shutil.which("ip"), "apt-get install iproute2"
    _ip("link", "set", "lo", "up")
    with ExitStack() as stack:
        made = []
        for number in (1, 2, 3):
            host = Host(number)
            stack.callback(host.close)
            made.append(host)
        yield made[0], made[1], made[2]


@pytest.fixture
def url(tmp_path: Path, hosts: tuple[Host, Host, Host]) -> Iterator[Callable[[str], object]]:
    """A gateway between a store's host and two models' hosts; gives its pages and its answers."""
    store, one, two = hosts
    with ExitStack() as stack:
        words = [valkey_binary(), "--bind", store.address, "--port", "6379"]
        words += ["--protected-mode", "no", "--save", "", "--dir", str(tmp_path)]
        stack.enter_context(store.running(*words))
        for host in (one, two):
            stack.enter_context(host.running(sys.executable, "-c", _MODEL, host.address))
        wait_until(lambda: "PONG" in _store(store.address, tmp_path, "PING"), "the store is up")
        for key, *values in (
            ("gray:route:chat:versions", "v1", f"http://{one.address}:9000"),
            ("gray:route:chat:versions", "v2", f"http://{two.address}:9000"),
            ("gray:route:chat", "timeout_connect", "1"),
            ("gray:route:chat", "timeout_first_byte", "1"),
            ("gray:route:chat", "failover", "on"),
            ("gray:route:chat", "stable", "v1"),
        ):
            _store(store.address, tmp_path, "HSET", key, *values)
        _store(store.address, tmp_path, "SADD", "gray:route:chat:whitelist:v2", "bob")
        _store(store.address, tmp_path, "SADD", "gray:routes", "chat")
        url = f"redis://{store.address}:6379/0"
        running = stack.enter_context(served(tmp_path, url, "redis.timeout_seconds=0.5"))
        wait_until(lambda: ask(running.data_url, "/x", "alice").is_exact, "it serves")
        wait_until(lambda: ask(running.data_url, "/x", "bob").is_exact, "so does the candidate")

        def look(what: str) -> object:
            if what == "url":
                return running.data_url
            if what == "store":
                state = admin(running, "/api/v1/state")["store"]
                assert isinstance(state, dict)
                return state["connected"]
            return ask(running.data_url, "/x", what)

        yield look


def test_the_cable_of_the_store_is_pulled_and_no_request_notices(
    hosts: tuple[Host, Host, Host], url: Callable[[str], object], tmp_path: Path
) -> None:
    store = hosts[0]
    with Users(f"{url('url')}/x") as users:
        store.pull()
        try:
            wait_until(lambda: not url("store"), "the outage is noticed", 5)
            before = users.answered
            wait_until(lambda: users.answered > before + 100, "requests go on")
        finally:
            store.plug()
        wait_until(lambda: bool(url("store")), "the store is back", 15)
        _store(store.address, tmp_path, "SADD", "gray:route:chat:whitelist:v2", "carol")
        wait_until(lambda: getattr(url("carol"), "version", "") == "v2", "changes come through")
    assert users.failures == []


def test_the_cable_of_the_candidate_is_pulled_and_its_users_end_at_stable(
    hosts: tuple[Host, Host, Host], url: Callable[[str], object]
) -> None:
    candidate = hosts[2]
    candidate.pull()
    try:
        started = time.monotonic()
        first = url("bob")  # on a kept connection: nobody can know that the cable is out
        assert time.monotonic() - started < 5, "it has an end"
        assert getattr(first, "status", 0) in (200, 502, 503, 504)
        wait_until(lambda: getattr(url("bob"), "version", "") == "v1", "stable takes over", 30)
        assert getattr(url("alice"), "is_exact", False)
    finally:
        candidate.plug()
    wait_until(lambda: getattr(url("bob"), "version", "") == "v2", "the candidate is back", 90)

"""The whole cast as real processes."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gateway.demo.demo import Demo
from gateway.errors import UsageError
from tests.demo.processes import Parent, is_alive, wait_gone
from tests.servers import wait_until

ANY_PORTS = {"v1": 0, "v2": 0}


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    demo = Demo(tmp_path / "demo", ports=ANY_PORTS)
    yield demo
    demo.stop()


def ask(url: str) -> str:
    with urllib.request.urlopen(url + "/who", timeout=20) as response:
        version: str = response.headers["x-demo-version"]
        return version


@pytest.fixture
def gateway() -> Iterator[tuple[str, list[str]]]:
    """Stands where the gateway would, and notes the users that come."""
    users: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            users.append(self.headers["x-user-id"])
            self.send_error(503)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", users
    server.shutdown()
    thread.join()
    server.server_close()


def test_both_versions_answer_at_once_in_their_own_name(demo: Demo) -> None:
    urls = demo.start_backends()
    assert urls == demo.urls
    assert {version: ask(url) for version, url in urls.items()} == {"v1": "v1", "v2": "v2"}
    assert repr(demo) == "<Demo: v1, v2 running>"
    assert demo.ended() == ()


def test_a_taken_port_is_replaced_by_a_free_one(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        demo = Demo(tmp_path, ports={"v1": taken})
        try:
            assert demo.start_backends() != {"v1": f"http://127.0.0.1:{taken}"}
            assert ask(demo.urls["v1"]) == "v1"
        finally:
            demo.stop()


def test_traffic_reaches_the_gateway(demo: Demo, gateway: tuple[str, list[str]]) -> None:
    url, users = gateway
    demo.start_traffic(url)
    wait_until(lambda: len(users) >= 2, "users come")
    assert all(user.startswith("user-") for user in users)


def test_a_backend_that_died_refuses_connections_and_is_told(demo: Demo) -> None:
    urls = demo.start_backends()
    ask(urls["v2"])
    kill(demo, "v2", signal.SIGKILL)
    wait_until(lambda: demo.ended() != (), "its end is seen")
    assert demo.ended() == ("demo v2 has ended: it left no word",)
    with pytest.raises(OSError, match="refused"):
        ask(urls["v2"])
    assert ask(urls["v1"]) == "v1"


def test_stop_leaves_no_process_not_even_a_frozen_one(
    demo: Demo, gateway: tuple[str, list[str]]
) -> None:
    demo.start_backends()
    demo.start_traffic(gateway[0])
    running = pids(demo)
    assert len(running) == 3
    kill(demo, "v1", signal.SIGSTOP)
    demo.stop()
    demo.stop()
    assert not any(map(is_alive, running))
    assert repr(demo) == "<Demo: not running>"


def test_children_are_out_of_the_terminals_reach(demo: Demo) -> None:
    demo.start_backends()
    assert all(os.getsid(pid) == pid for pid in pids(demo))


def test_it_can_be_started_again(demo: Demo) -> None:
    demo.start_backends()
    demo.stop()
    demo.start_backends()
    assert ask(demo.urls["v1"]) == "v1"


def test_a_start_that_fails_leaves_nothing(
    demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []
    original = Demo._start_backend

    def fail_at_the_second(self: Demo, version: str, listener: socket.socket) -> None:
        if started:
            raise KeyboardInterrupt
        original(self, version, listener)
        started.extend(pids(self))

    monkeypatch.setattr(Demo, "_start_backend", fail_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        demo.start_backends()
    assert len(started) == 1
    assert not is_alive(started[0])


def test_a_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="the demo cannot start: Not a directory"):
        Demo(tmp_path / "file" / "demo").start_backends()


def test_all_children_end_with_a_killed_parent(tmp_path: Path) -> None:
    program = f"""
from gateway.demo.demo import Demo
demo = Demo(pathlib.Path({str(tmp_path)!r}), ports={ANY_PORTS!r})
urls = demo.start_backends()
demo.start_traffic(urls["v1"])
print(json.dumps({{"pids": [child.pid for child in demo._children]}}))
"""
    with Parent(program) as dying:
        children = dying.said["pids"]
        assert len(children) == 3
        dying.kill()
        wait_gone(*children)


async def test_the_cast_needs_no_event_loop_and_disturbs_none(demo: Demo) -> None:
    urls = demo.start_backends()
    assert await asyncio.to_thread(ask, urls["v2"]) == "v2"
    demo.stop()


def test_who_starts_the_demo_does_not_load_what_its_children_need() -> None:
    program = "import sys, gateway.demo.demo, gateway.demo.store; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", program], text=True, timeout=20).split()
    assert "gateway.demo.store" in loaded
    assert {"aiohttp", "asyncio", "hiredis"}.isdisjoint(loaded)


def pids(demo: Demo) -> list[int]:
    return [child.pid for child in demo._children if child.pid is not None]


def kill(demo: Demo, name: str, number: signal.Signals) -> None:
    [pid] = [child.pid for child in demo._children if child.name == name]
    assert pid is not None
    os.kill(pid, number)

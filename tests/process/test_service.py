"""A gateway under a service manager, and as the first process of a container."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.file_control import LATE
from tests.process.harness import Gateway, Model, children_of, is_alive, wait_until
from tests.process.manager import Manager
from tests.process.snapshots import spec

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture
def model() -> Iterator[Model]:
    with Model("one") as model:
        yield model


@pytest.fixture
def manager() -> Iterator[Manager]:
    with Manager() as manager:
        yield manager


def managed(manager: Manager, model: Model, watchdog_seconds: float = 0.0) -> Gateway:
    environ = {"NOTIFY_SOCKET": manager.address}
    if watchdog_seconds:
        environ["WATCHDOG_USEC"] = str(int(watchdog_seconds * 1e6))
    gateway = Gateway(environ=environ)
    gateway.publish(1, spec(urls=(model.url, model.url)))
    return gateway


def test_the_manager_is_told_of_start_reload_and_end(manager: Manager, model: Model) -> None:
    with managed(manager, model) as gateway:
        gateway.start()
        ready = manager.wait("READY=1")
        assert ready[1] == f"STATUS=Serving on http://127.0.0.1:{gateway.port} with 2 workers."
        gateway.wait_held(1)
        gateway.signal(signal.SIGHUP)
        reloading = manager.wait("RELOADING=1")
        assert reloading[1].startswith("MONOTONIC_USEC=")
        assert not manager.has("READY=1")  # it takes longer than this
        assert manager.wait("READY=1")[1] == ready[1]
        (gateway.folder / "settings").write_text("{")
        gateway.signal(signal.SIGHUP)
        assert "were not taken over" in manager.wait("READY=1")[1]
        gateway.signal(signal.SIGTERM)
        stopping = manager.wait("STOPPING=1")
        assert stopping[1] == "EXTEND_TIMEOUT_USEC=31000000"  # drain, grace, control's end
        assert gateway.wait() == 0


def test_no_child_gets_the_managers_variables(manager: Manager, model: Model) -> None:
    with managed(manager, model, watchdog_seconds=60.0) as gateway:
        gateway.start()
        for pid in {gateway.control, *gateway.workers}:
            environ = Path(f"/proc/{pid}/environ").read_bytes()
            assert b"NOTIFY_SOCKET" not in environ and b"WATCHDOG" not in environ


@pytest.mark.slow
def test_signs_of_life_stop_when_a_worker_hangs_and_come_back_with_its_successor(
    manager: Manager, model: Model
) -> None:
    with managed(manager, model, watchdog_seconds=0.4) as gateway:
        gateway.configure(process={"hang_seconds": 8.0})
        gateway.start()
        gateway.wait_held(1)
        manager.wait("WATCHDOG=1")
        hangs = min(gateway.workers)
        os.kill(hangs, signal.SIGSTOP)
        # It is not taken for alive after 5 s, and replaced after 8 s.
        wait_until(lambda: is_silent(manager), "no sign of life is given", 30)
        assert is_alive(hangs)
        wait_until(lambda: not is_alive(hangs), "the worker that hangs is ended", 30)
        manager.wait("WATCHDOG=1")
        wait_until(lambda: len(gateway.held()) == 2, "there are two workers again")
        assert any("no sign of life" in message for message in gateway.logged())


def is_silent(manager: Manager) -> bool:
    """Whether nothing came for twice as long as the manager waits."""
    manager.take()
    manager.messages.clear()
    manager.take(0.8)
    return not manager.messages


@contextlib.contextmanager
def listening(count: int) -> Iterator[list[socket.socket]]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        yield sockets
    finally:
        for one in sockets:
            one.close()


def activated(names: str, sockets: list[socket.socket]) -> list[str]:
    numbers = ",".join(str(one.fileno()) for one in sockets)
    return [sys.executable, "-m", "tests.process.activated", names, numbers]


def test_passed_sockets_are_served_by_all_workers_and_survive_the_gateway(model: Model) -> None:
    with listening(2) as sockets, Gateway(within=activated("admin:data", sockets)) as gateway:
        admin, data = (one.getsockname()[1] for one in sockets)
        gateway.publish(1, spec(urls=(model.url, model.url)))
        # Somebody asks before there is a gateway.
        early = socket.create_connection(("127.0.0.1", data), timeout=20)
        early.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        gateway.start(fds=[one.fileno() for one in sockets])
        assert (gateway.port, gateway.admin_port) == (data, admin)
        with early, early.makefile("rb") as answer:
            assert answer.readline() == b"HTTP/1.1 200 OK\r\n"
        gateway.wait_held(1)
        for pid in sorted(gateway.workers):  # each of the two serves alone
            os.kill(pid, signal.SIGSTOP)
            try:
                assert gateway.get() == (200, b"one")
            finally:
                os.kill(pid, signal.SIGCONT)
        gateway.signal(signal.SIGTERM)
        assert gateway.wait() == 0
        # The manager still has the socket: whoever comes now waits for the next gateway.
        late = socket.create_connection(("127.0.0.1", data), timeout=20)
        late.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert gateway.process.stdout is not None
        gateway.process.stdout.close()
        gateway.start(fds=[one.fileno() for one in sockets])
        with late, late.makefile("rb") as answer:
            assert answer.readline() == b"HTTP/1.1 200 OK\r\n"


def test_who_asks_early_waits_for_a_control_that_is_slow_to_start(model: Model) -> None:
    late = {LATE: "4"}  # twice as long as a worker waits for a table when control is there
    with (
        listening(2) as sockets,
        Gateway(workers=1, within=activated("admin:data", sockets), environ=late) as gateway,
    ):
        gateway.publish(1, spec(urls=(model.url, model.url)))
        early = socket.create_connection(sockets[1].getsockname(), timeout=20)
        early.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        gateway.start(fds=[one.fileno() for one in sockets])
        with early, early.makefile("rb") as answer:
            assert answer.readline() == b"HTTP/1.1 200 OK\r\n"


def test_a_passed_socket_that_cannot_be_used_is_one_sentence_and_exit_code_2() -> None:
    with socket.socket() as unbound, Gateway(within=activated("data", [unbound])) as gateway:
        gateway.start(is_ready=False, fds=[unbound.fileno()])
        assert gateway.wait() == 2
        assert "does not listen on TCP" in gateway.log()
        assert gateway.log().count("\n") == 1


def first_process() -> list[str]:
    """The command that runs another one as process 1; skips where that is not allowed."""
    command = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if not shutil.which("unshare"):
        pytest.skip("unshare is not installed")
    tried = subprocess.run([*command, "true"], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"no namespace for processes here: {tried.stderr.strip()}")
    return command


def children_names(parent: int) -> list[str]:
    """The commands of all children, those included that have ended and were not taken in."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            stat = (folder / "stat").read_text().rpartition(")")[2].split()
            found += [(folder / "comm").read_text().strip()] if int(stat[1]) == parent else []
    return found


def test_as_process_1_it_heeds_sigterm_and_takes_in_orphans(model: Model) -> None:
    with Gateway(within=first_process()) as gateway:
        gateway.publish(1, spec(urls=(model.url, model.url)))
        gateway.start()
        gateway.wait_held(1)
        [init] = children_of(gateway.process.pid, "supervised")
        enter = ["nsenter", "--target", str(init), "--pid", "--mount"]
        # Its parent goes first, so that it falls to process 1.
        subprocess.run([*enter, "sh", "-c", "sleep 0.2 &"], check=True)
        wait_until(lambda: "sleep" in children_names(init), "the orphan has fallen to process 1")
        wait_until(lambda: "sleep" not in children_names(init), "it has ended and was taken in")
        assert gateway.get() == (200, b"one")
        os.kill(init, signal.SIGTERM)
        assert gateway.wait() == 0

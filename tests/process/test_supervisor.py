"""The supervisor and its children, as real processes that are killed and told to end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.config.settings import Admin, Listen, Process, Settings
from gateway.process.supervisor import fixed_changes
from tests.process.harness import Caller, Gateway, Model, is_alive, wait_until
from tests.process.snapshots import spec

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture
def models() -> Iterator[tuple[Model, Model]]:
    with Model("one") as one, Model("two") as two:
        yield one, two


def urls(models: tuple[Model, Model]) -> tuple[str, str]:
    return models[0].url, models[1].url


@pytest.fixture
def gateway(models: tuple[Model, Model]) -> Iterator[Gateway]:
    """Two workers that send everybody to v1."""
    with Gateway() as gateway:
        gateway.publish(1, spec(urls=urls(models)))
        gateway.start()
        gateway.wait_held(1)
        yield gateway


def wait_gone(pids: set[int]) -> None:
    wait_until(lambda: not any(is_alive(pid) for pid in pids), f"{pids} are gone")


def test_a_change_in_the_store_reaches_both_workers(
    gateway: Gateway, models: tuple[Model, Model]
) -> None:
    assert gateway.get() == (200, b"one")
    gateway.publish(2, spec(urls=urls(models), v2=100.0))
    gateway.wait_held(2)
    assert {gateway.get() for _ in range(20)} == {(200, b"two")}


def test_secrets_are_in_no_argument_and_no_environment(gateway: Gateway) -> None:
    assert gateway.about()["password"] == "open sesame"
    for pid in gateway.everybody:
        for name in ("cmdline", "environ"):
            assert b"open sesame" not in Path(f"/proc/{pid}/{name}").read_bytes()


def test_a_large_list_is_in_memory_once_for_all_workers(
    gateway: Gateway, models: tuple[Model, Model]
) -> None:
    gateway.publish(2, spec(urls=urls(models)), members=60_000)
    gateway.wait_held(2)
    maps = [Path(f"/proc/{pid}/maps").read_text() for pid in gateway.workers]
    mapped = [{line.split()[-1] for line in text.splitlines() if "list-" in line} for text in maps]
    assert len(mapped[0]) == 1 and mapped[0] == mapped[1]
    user = {"X-User-Id": "user-59999"}
    assert {gateway.get(**user) for _ in range(10)} == {(200, b"two")}
    assert gateway.get(**{"X-User-Id": "user-60000"}) == (200, b"one")


def test_without_a_table_clients_are_told_so_and_without_a_route_too() -> None:
    with Gateway(workers=1) as gateway:
        gateway.start()
        status, body = gateway.get()
        assert status == 503 and b'"no_table"' in body
        gateway.publish(1)
        gateway.wait_held(1, workers=1)
        status, body = gateway.get()
        assert status == 404 and b'"no_route"' in body


def test_a_killed_worker_is_replaced_and_its_waiting_connections_are_served() -> None:
    with Model("one") as one, Gateway(workers=1) as gateway:
        gateway.publish(1, spec(urls=(one.url, one.url)))
        gateway.start()
        [killed] = gateway.workers
        # Stopped, it leaves connections in the queue, as if it had been killed that moment.
        os.kill(killed, signal.SIGSTOP)
        waiting = []
        for _ in range(5):
            client = socket.create_connection((gateway.host, gateway.port), timeout=20)
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            waiting.append(client)
        os.kill(killed, signal.SIGKILL)
        for client in waiting:
            with client, client.makefile("rb") as answer:
                assert answer.readline() == b"HTTP/1.1 200 OK\r\n"
                assert answer.read().endswith(b"one")
        assert gateway.workers.isdisjoint({killed})
        assert any("was ended by SIGKILL" in message for message in gateway.logged())


def test_counts_of_a_killed_worker_are_kept(gateway: Gateway) -> None:
    for _ in range(10):
        gateway.get()
    wanted = [["chat", "v1", "stable", 10]]
    wait_until(lambda: gateway.about()["decisions"] == wanted, "ten decisions are counted")
    for pid in gateway.workers:
        os.kill(pid, signal.SIGKILL)
    gateway.get()
    wanted = [["chat", "v1", "stable", 11]]
    wait_until(lambda: gateway.about()["decisions"] == wanted, "eleven decisions are counted")


def test_workers_answer_while_control_is_dead_and_the_next_control_feeds_them(
    gateway: Gateway, models: tuple[Model, Model]
) -> None:
    killed, workers = gateway.control, gateway.workers
    with Caller(gateway, keeps_alive=True) as kept, Caller(gateway, keeps_alive=False) as fresh:
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: not is_alive(killed), "control is dead")
        gateway.publish(2, spec(urls=urls(models), v2=100.0))
        gateway.wait_held(2)
    assert kept.failures + fresh.failures == []
    assert set(kept.answers + fresh.answers) == {200}
    assert gateway.about()["pid"] != killed
    assert gateway.workers == workers
    assert gateway.get() == (200, b"two")


def test_children_end_when_the_supervisor_is_killed_and_nothing_stays(gateway: Gateway) -> None:
    children = {*gateway.workers, gateway.control}
    assert list(gateway.folder.glob("graygate-*/channel"))
    gateway.signal(signal.SIGKILL)
    assert gateway.wait() == -signal.SIGKILL
    wait_gone(children)
    assert not list(gateway.folder.glob("graygate-*"))


def test_a_stream_is_finished_before_the_gateway_ends(
    gateway: Gateway, models: tuple[Model, Model]
) -> None:
    everybody = gateway.everybody
    with gateway.asked("/stream") as response:
        assert response.readline() == b"data: first\n"
        gateway.signal(signal.SIGTERM)
        wait_until(lambda: gateway.about()["draining"], "control says that it is not ready")
        wait_until(lambda: refuses(gateway), "new connections are refused")
        wait_until(lambda: len(gateway.workers) == 1, "the worker without a stream has ended")
        models[0].may_end.set()
        assert response.read() == b"\ndata: last\n\n"
    assert gateway.wait() == 0
    wait_gone(everybody)
    assert not list(gateway.folder.glob("graygate-*"))


def refuses(gateway: Gateway) -> bool:
    try:
        socket.create_connection((gateway.host, gateway.port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_stream_that_does_not_end_is_cut_when_its_time_is_over(
    models: tuple[Model, Model],
) -> None:
    with Gateway(workers=1, drain_seconds=0.5) as gateway:
        gateway.publish(1, spec(urls=urls(models)))
        gateway.start()
        with gateway.asked("/stream") as response:
            assert response.readline() == b"data: first\n"
            gateway.signal(signal.SIGTERM)
            assert gateway.wait() == 0
        assert "is killed" not in gateway.log()


def test_the_second_signal_ends_everything_at_once(
    gateway: Gateway, models: tuple[Model, Model]
) -> None:
    everybody = gateway.everybody
    with gateway.asked("/stream") as response:
        assert response.readline() == b"data: first\n"
        gateway.signal(signal.SIGINT)
        wait_until(lambda: gateway.about()["draining"], "the gateway drains")
        gateway.signal(signal.SIGINT)
        assert gateway.wait() == 128 + signal.SIGINT
    wait_gone(everybody)


@pytest.mark.parametrize("keeps_alive", [True, False])
def test_sighup_replaces_everybody_and_fails_no_request(
    gateway: Gateway, models: tuple[Model, Model], keeps_alive: bool
) -> None:
    before = gateway.everybody - {gateway.process.pid}
    with gateway.asked("/stream") as response:
        assert response.readline() == b"data: first\n"
        with Caller(gateway, keeps_alive=keeps_alive) as caller:
            gateway.configure(log={"level": "debug"})
            gateway.signal(signal.SIGHUP)
            wait_until(
                lambda: "have been replaced" in gateway.log(), "control and workers are replaced"
            )
            gateway.wait_held(1, workers=3)  # two new ones, and the one that streams
            answered = len(caller.answers)
            wait_until(lambda: len(caller.answers) > answered + 20, "requests go on")
        assert caller.failures == []
        assert set(caller.answers) == {200}
        models[0].may_end.set()
        assert response.read().endswith(b"data: last\n\n")
    wait_gone(before)
    assert gateway.about()["level"] == "debug"
    assert len(gateway.workers) == 2


def test_settings_that_cannot_be_used_are_not_taken_over(gateway: Gateway) -> None:
    before = gateway.everybody
    (gateway.folder / "settings").write_text("{")
    gateway.signal(signal.SIGHUP)
    wait_until(lambda: "were not taken over" in gateway.log(), "the refusal is logged")
    assert gateway.everybody == before
    assert gateway.get() == (200, b"one")


def test_workers_are_kept_when_a_new_one_does_not_start(gateway: Gateway) -> None:
    workers = gateway.workers
    gateway.configure(routing={"trusted_proxies": ["no network"]})
    gateway.signal(signal.SIGHUP)
    wait_until(lambda: "Replacing stopped" in gateway.log(), "the replacement is given up")
    wait_until(lambda: gateway.held().keys() == workers, "the old workers are fed")
    assert gateway.get() == (200, b"one")
    [killed, _] = workers
    os.kill(killed, signal.SIGKILL)  # its successor must start with the settings that work
    wait_until(lambda: len(gateway.held()) == 2 and killed not in gateway.held(), "it is replaced")


def test_a_port_that_is_taken_is_one_sentence_and_exit_code_2() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, Gateway() as gateway:
        port = other.getsockname()[1]
        gateway.settings["listen"]["port"] = port
        gateway.start(is_ready=False)
        assert gateway.wait() == 2
        assert gateway.log().count("\n") == 1
        assert f"port {port} on 127.0.0.1 is taken" in gateway.log()


def test_a_child_that_only_dies_is_tried_slowly_and_that_is_said_once() -> None:
    with Gateway(workers=1, worker="tests.process.no_such_module") as gateway:
        gateway.start(is_ready=False)
        wait_until(lambda: "again and again" in gateway.log(), "the loop is noticed", 30)
        lines = [line for line in gateway.log().splitlines() if line.startswith("{")]
        assert sum("again and again" in line for line in lines) == 1
        started = time.monotonic()
        gateway.signal(signal.SIGTERM)
        assert gateway.wait() == 0
        assert time.monotonic() - started < 10


def test_ctrl_c_in_a_terminal_reaches_the_supervisor_alone(gateway: Gateway) -> None:
    groups = {os.getpgid(pid) for pid in gateway.workers | {gateway.control}}
    assert os.getpgid(gateway.process.pid) not in groups


def test_closing_the_terminal_ends_the_gateway() -> None:
    ours, theirs = os.openpty()
    with Gateway(workers=1) as gateway:
        gateway.start(stderr=theirs)
        everybody = gateway.everybody
        os.close(theirs)
        os.close(ours)
        gateway.signal(signal.SIGHUP)
        assert gateway.wait() == 0
        wait_gone(everybody)


def test_no_request_that_was_accepted_fails_when_the_gateway_ends(gateway: Gateway) -> None:
    with Caller(gateway, keeps_alive=True) as kept, Caller(gateway, keeps_alive=False) as fresh:
        gateway.signal(signal.SIGTERM)
        assert gateway.wait() == 0
    assert set(kept.answers + fresh.answers) == {200}
    refused = [failure for failure in kept.failures + fresh.failures if "Refused" in failure]
    assert refused == kept.failures + fresh.failures


def test_what_cannot_change_while_running_is_named() -> None:
    before = Settings(listen=Listen(port=8080), process=Process(workers=2))
    after = Settings(listen=Listen(port=9090), process=Process(workers=4), admin=Admin(port=1))
    texts = fixed_changes(before, after)
    assert [text.split()[0] for text in texts] == ["listen.port", "process.workers", "admin.port"]
    assert fixed_changes(before, before) == []


def test_importing_a_worker_imports_neither_the_store_nor_the_metrics() -> None:
    code = "import sys, gateway.process.worker; print(*sys.modules)"
    names = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"hiredis", "redis", "prometheus_client", "click", "gateway.state"} & set(names)

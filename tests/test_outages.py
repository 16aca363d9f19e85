"""Requests through a whole gateway while its store dies, freezes, loses everything, comes back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.process.runfile import RUN_FILE, Running, read_run_file
from tests.process.harness import Model
from tests.servers import Server, Valkey, wait_until

REQUESTS_PER_SECOND = 100


@contextmanager
def served(folder: Path, store_url: str) -> Iterator[Running]:
    """`graygate serve` with two workers, as an operator would start it."""
    quick = ["redis.timeout_seconds=0.5", "redis.heartbeat_seconds=0.3", "redis.poll_seconds=0.5"]
    words = [sys.executable, "-m", "gateway.cli", "serve", "--redis", store_url]
    words += ["--port", "0", "--admin-port", "0", "--workers", "2"]
    words += [word for setting in quick for word in ("--set", setting)]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            words, cwd=folder, stderr=log, env={"PATH": os.environ["PATH"], "HOME": str(folder)}
        )
    try:
        wait_until(lambda: read_run_file(folder / RUN_FILE) is not None, "the gateway is up")
        running = read_run_file(folder / RUN_FILE)
        assert running is not None
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) == 0, (folder / "log").read_text()


class Users:
    """Clients that send requests all the time; every answer that is no 200 is a failure."""

    def __init__(self, url: str) -> None:
        self.failures: list[str] = []
        self.answered = 0
        self._url = url
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Users:
        self._thread.start()
        return self

    def __exit__(self, *reason: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._is_over.wait(1 / REQUESTS_PER_SECOND):
            status, _ = ask(self._url, f"user-{self.answered % 50}")
            if status == 200:
                self.answered += 1
            else:
                self.failures.append(f"{status} after {self.answered} answers")


def ask(url: str, user: str = "alice") -> tuple[int, bytes]:
    request = urllib.request.Request(url, headers={"x-user-id": user})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def admin(running: Running, path: str) -> dict[str, object]:
    with urllib.request.urlopen(running.admin_url.rstrip("/") + path, timeout=5) as answer:
        content: dict[str, object] = json.loads(answer.read())
    return content


def is_connected(running: Running) -> bool:
    store = admin(running, "/api/v1/state")["store"]
    assert isinstance(store, dict)
    return bool(store["connected"])


def seed(store: Server, model: Model) -> None:
    store.cli(f"HSET gray:route:chat:versions v1 {model.url} v2 {model.url}")
    store.cli("HSET gray:route:chat:weights v2 50")
    store.cli("HSET gray:route:chat stable v1")
    store.cli("SADD gray:routes chat")


def _start(store: Server) -> None:
    store.start()


def killed(store: Server) -> Callable[[], None]:
    store.kill()
    return lambda: _start(store)


def frozen(store: Server) -> Callable[[], None]:
    store.freeze()
    return store.thaw


def emptied(store: Server) -> Callable[[], None]:
    store.cli("FLUSHALL")
    store.kill()
    return lambda: _start(store)


@pytest.mark.parametrize("outage", [killed, frozen, emptied])
def test_K01_K02_K03_no_request_fails_while_the_store_is_away(
    tmp_path: Path, outage: Callable[[Server], Callable[[], None]]
) -> None:
    with Model("v1") as model, Valkey(appendonly=True) as store:
        seed(store, model)
        with served(tmp_path, store.url) as running, Users(running.data_url + "/x") as users:
            wait_until(lambda: users.answered > 50, "requests are answered")
            mend = outage(store)
            try:
                wait_until(lambda: not is_connected(running), "the outage is noticed")
                before = users.answered
                wait_until(lambda: users.answered > before + 200, "requests go on")
            finally:
                mend()
            wait_until(lambda: is_connected(running), "the store is back")
            before = users.answered
            wait_until(lambda: users.answered > before + 50, "requests go on")
            ready = admin(running, "/readyz?verbose")
            assert ready["ready"] is True
    assert users.failures == []


def test_K05_a_start_without_a_store_serves_by_the_saved_table_or_says_503(tmp_path: Path) -> None:
    with Model("v1") as model, Valkey(appendonly=True) as store:
        seed(store, model)
        with served(tmp_path, store.url) as running:
            wait_until(lambda: ask(running.data_url + "/x")[0] == 200, "it serves")
            wait_until(lambda: (tmp_path / ".graygate/state/table.json").exists(), "it is saved")
        store.kill()
        with served(tmp_path, store.url) as running:
            assert ask(running.data_url + "/x")[0] == 200
            verbose = admin(running, "/readyz?verbose")
            assert (verbose["ready"], verbose["stale"], verbose["table_from_disk"]) == (
                True, True, True,
            )  # fmt: skip
        (tmp_path / ".graygate/state/table.json").unlink()
        with served(tmp_path, store.url) as running:
            status, body = ask(running.data_url + "/x")
            assert status == 503
            assert b"no_table" in body
            with pytest.raises(urllib.error.HTTPError, match="503"):
                admin(running, "/readyz")
            store.start()
            wait_until(lambda: ask(running.data_url + "/x")[0] == 200, "the store was found")


def test_users_stay_where_they_are_through_an_outage(tmp_path: Path) -> None:
    with Model("v1") as one, Model("v2") as two, Valkey(appendonly=True) as store:
        seed(store, one)
        store.cli(f"HSET gray:route:chat:versions v2 {two.url}")
        with served(tmp_path, store.url) as running:
            wait_until(lambda: ask(running.data_url + "/x")[0] == 200, "it serves")
            before = [ask(running.data_url + "/x", f"user-{n}")[1] for n in range(100)]
            assert len(set(before)) == 2
            store.kill()
            wait_until(lambda: not is_connected(running), "the outage is noticed")
            after = [ask(running.data_url + "/x", f"user-{n}")[1] for n in range(100)]
            assert after == before
        with served(tmp_path, store.url) as running:
            after = [ask(running.data_url + "/x", f"user-{n}")[1] for n in range(100)]
            assert after == before

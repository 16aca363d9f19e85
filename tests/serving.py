"""A whole gateway as an operator would start it, and clients that notice every failure."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.process.runfile import RUN_FILE, Running, read_run_file
from tests.servers import wait_until

REQUESTS_PER_SECOND = 100


@contextmanager
def served(
    folder: Path, store_url: str, *settings: str, is_ready: bool = True
) -> Iterator[Running]:
    """`graygate serve` with two workers; it holds a table unless `is_ready` is False."""
    quick = ["redis.timeout_seconds=5", "redis.heartbeat_seconds=0.3", "redis.poll_seconds=0.5"]
    words = [sys.executable, "-m", "gateway.cli", "serve", "--redis", store_url]
    words += ["--port", "0", "--admin-port", "0", "--workers", "2"]
    words += ["--set", "access_log.path="]
    named = {setting.partition("=")[0] for setting in settings}
    quick = [setting for setting in quick if setting.partition("=")[0] not in named]
    words += [word for setting in (*quick, *settings) for word in ("--set", setting)]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            words, cwd=folder, stderr=log, env={"PATH": os.environ["PATH"], "HOME": str(folder)}
        )
    try:
        wait_until(lambda: read_run_file(folder / RUN_FILE) is not None, "the gateway is up")
        running = read_run_file(folder / RUN_FILE)
        assert running is not None
        if is_ready:
            wait_until(lambda: has_table(running), "it holds a table")
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


def has_table(running: Running) -> bool:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # whoever tests certificates has a client of his own
    try:
        with urllib.request.urlopen(
            running.admin_url.rstrip("/") + "/readyz", timeout=5, context=context
        ) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError:
        return False


def admin(running: Running, path: str) -> dict[str, object]:
    with urllib.request.urlopen(running.admin_url.rstrip("/") + path, timeout=5) as answer:
        content: dict[str, object] = json.loads(answer.read())
    return content

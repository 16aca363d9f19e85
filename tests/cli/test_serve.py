"""`graygate serve`, as a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.cli.serve import announce
from gateway.config.settings import Admin, Settings
from gateway.process.runfile import RUN_FILE, read_run_file
from gateway.process.supervisor import Addresses
from tests.servers import Valkey, wait_until

# The command by itself, inside the program that turns errors into sentences.
CODE = """
from gateway.cli.lazy import LazyCommand
from gateway.cli.program import Program
Program(name="graygate", commands={"serve": LazyCommand("gateway.cli.serve:serve", "")}).main()
"""


@contextmanager
def served(folder: Path, *flags: str) -> Iterator[subprocess.Popen[str]]:
    settings = ["process.workers=1", f"process.state_dir={folder / 'state'}", "admin.port=0"]
    assignments = [word for setting in settings for word in ("--set", setting)]
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, "serve", *assignments, *flags],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2])},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_it_tells_where_it_is_for_as_long_as_it_runs(tmp_path: Path) -> None:
    file = tmp_path / RUN_FILE
    with Valkey() as store, served(tmp_path, "--port", "0", "--redis", store.url) as process:
        wait_until(lambda: read_run_file(file) is not None, "the run file is there")
        running = read_run_file(file)
        assert running is not None
        assert (running.pid, running.store_url) == (process.pid, store.url)
        host, port = running.data_url.removeprefix("http://").split(":")
        socket.create_connection((host, int(port)), timeout=5).close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert not file.exists()


def test_a_certificate_is_told_by_the_path_that_stays_through_renewals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("first").mkdir()
    Path("first", "tls.crt").touch()
    Path("data").symlink_to("first")  # as Kubernetes mounts a secret
    Path("tls.crt").symlink_to("data/tls.crt")
    settings = Settings(admin=Admin(tls_cert="tls.crt", tls_key="tls.key"))
    announce(settings, Addresses("http://127.0.0.1:1", "https://127.0.0.1:2"))
    running = read_run_file(RUN_FILE)
    assert running is not None
    assert running.admin_cert == str(tmp_path / "tls.crt")


def test_a_taken_port_is_one_sentence_and_exit_code_2(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        with served(tmp_path, "--port", port, "--set", "listen.host=127.0.0.1") as process:
            _, said = process.communicate(timeout=20)
    assert process.returncode == 2
    assert said.count("\n") == 1
    assert f"port {port} on 127.0.0.1 is taken" in said


def test_a_key_that_no_worker_could_use_stops_the_start(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("-----BEGIN PUBLIC KEY-----\nnonsense\n-----END PUBLIC KEY-----\n")
    with served(tmp_path, "--port", "0", "--set", f"routing.jwt_key_file={key}") as process:
        _, said = process.communicate(timeout=20)
    assert process.returncode == 2
    assert "routing.jwt_key" in said and "Traceback" not in said

"""`graygate up` as a newcomer starts it: real store, gateway and demo."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.demo.folder import Holder, StoreFolder
from gateway.demo.resp import ask
from tests.cli.test_start import environment
from tests.demo.processes import is_alive, wait_gone
from tests.servers import wait_until

ARGUMENTS = ("up", "--demo", "--port", "0", "--admin-port", "0", "--workers", "1")


class Up:
    """One `graygate up --demo` in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = folder / "out"
        with self.out.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "gateway.cli", *ARGUMENTS],
                cwd=folder,
                env=environment(TMPDIR=str(folder)),
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        return self.out.read_text()

    @property
    def store(self) -> Holder:
        holder = StoreFolder(self.folder / ".graygate/store").read_holder()
        assert holder is not None
        return holder

    def children(self) -> list[int]:
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]

    def version(self) -> str:
        running = json.loads((self.folder / ".graygate/run.json").read_text())
        request = urllib.request.Request(running["data_url"] + "/v1/models")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return str(answer.headers["X-Graygate-Version"])


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    started = Up(tmp_path)
    try:
        wait_until(lambda: "Try:" in started.said or started.process.poll() is not None, "it is up")
        yield started
    finally:
        started.process.kill()
        started.process.wait()


def test_ctrl_c_leaves_no_process_and_no_run_file(up: Up) -> None:
    assert f"redis-cli -p {up.store.port}" in up.said
    assert up.version() in ("v1", "v2")
    children = up.children()
    assert len(children) >= 5  # store, two backends, control, worker
    os.killpg(up.process.pid, signal.SIGINT)
    assert up.process.wait(20) == 0
    wait_gone(*children)
    assert not (up.folder / ".graygate/run.json").exists()


def test_kill_9_of_the_command_leaves_no_process(up: Up) -> None:
    children = up.children()
    up.process.kill()
    wait_gone(*children)


def test_a_second_one_in_the_same_folder_is_refused_with_a_sentence(up: Up) -> None:
    second = subprocess.run(
        [sys.executable, "-P", "-m", "gateway.cli", *ARGUMENTS],
        cwd=up.folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert second.returncode == 2
    assert "another graygate" in second.stderr and "Traceback" not in second.stderr
    assert up.version() in ("v1", "v2")


def test_a_killed_store_comes_back_where_it_was_with_what_it_held(up: Up) -> None:
    before = up.store
    os.kill(before.pid, signal.SIGKILL)
    wait_until(lambda: up.store.pid != before.pid and is_alive(up.store.pid), "the store is back")
    assert up.store.port == before.port
    assert ask(before.port, "HGET", "gray:route:chat", "stable") == "v1"
    assert "The embedded store has ended; starting it again." in up.said

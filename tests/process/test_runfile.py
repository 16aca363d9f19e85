"""The file that says where a gateway is."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

from gateway.process.runfile import Running, read_run_file, remove_run_file, write_run_file

HERE = Running(pid=os.getpid(), data_url="http://127.0.0.1:1", admin_url="http://127.0.0.1:2")


def test_what_was_written_is_read_and_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "run.json"
    write_run_file(path, HERE)
    assert read_run_file(path) == HERE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["run.json"]


def test_a_gateway_that_is_gone_is_not_found(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    dead = subprocess.Popen([sys.executable, "-S", "-c", ""])
    dead.wait()
    write_run_file(path, Running(pid=dead.pid, data_url="", admin_url=""))
    assert read_run_file(path) is None


def test_a_missing_or_broken_file_is_no_gateway(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    assert read_run_file(path) is None
    for content in (b"", b"{", b"[]", b'{"pid": 0, "data_url": "", "admin_url": ""}'):
        path.write_bytes(content)
        assert read_run_file(path) is None


def test_only_the_own_file_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    write_run_file(path, HERE)
    remove_run_file(path, HERE.pid + 1)
    assert path.exists()
    remove_run_file(path, HERE.pid)
    assert not path.exists()
    remove_run_file(path, HERE.pid)

"""A-23: what the processes may do, and what they leave behind, as /proc tells it."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.harness import Gateway, children_of, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def gateway(home: Path) -> Iterator[Gateway]:
    """As the product is, with a store that is away."""
    with Gateway(control="gateway.process.control", environ={"HOME": str(home)}) as gateway:
        gateway.configure(
            process={"state_dir": str(gateway.folder / "state")},
            redis={"url": "redis://127.0.0.1:1/0"},
            access_log={"path": str(gateway.folder / "access.log")},
        )
        gateway.start()
        yield gateway


def written_files(pid: int) -> set[Path]:
    """The regular files that a process has open for writing."""
    found = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            info = Path(f"/proc/{pid}/fdinfo/{link.name}").read_text()
            is_file = stat.S_ISREG(link.stat().st_mode)
            target = link.readlink()
        except OSError:  # closed meanwhile
            continue
        flags = int(next(line for line in info.splitlines() if "flags" in line).split()[1], 8)
        if is_file and flags & os.O_ACCMODE != os.O_RDONLY:
            found.add(target)
    return found


def test_A23_no_process_has_a_file_open_for_writing_outside_of_its_folders(
    gateway: Gateway,
) -> None:
    gateway.get()
    for pid in gateway.everybody:
        for path in written_files(pid):
            assert path.is_relative_to(gateway.folder), path


def test_A23_nothing_is_written_but_state_and_sockets(gateway: Gateway, home: Path) -> None:
    gateway.get()
    assert list(home.iterdir()) == []
    kept = {"settings", "log", "state", "access.log"}
    others = {path.name for path in gateway.folder.iterdir()} - kept
    assert all(name.startswith("graygate-") for name in others), others  # the channel's folder
    gateway.signal(signal.SIGTERM)
    assert gateway.wait() == 0
    assert {path.name for path in gateway.folder.iterdir()} <= kept


def test_A23_a_crash_leaves_no_core_dump(gateway: Gateway) -> None:
    for pid in gateway.everybody:
        limits = Path(f"/proc/{pid}/limits").read_text()
        [line] = [line for line in limits.splitlines() if line.startswith("Max core file size")]
        assert line.split()[4] == "0"


def test_A23_no_module_is_taken_from_the_folder_the_gateway_was_started_in(
    tmp_path: Path,
) -> None:
    (tmp_path / "gateway").mkdir()
    (tmp_path / "gateway" / "__init__.py").write_text("raise SystemExit('the wrong gateway')")
    (tmp_path / "asyncio.py").write_text("raise SystemExit('the wrong asyncio')")
    command = [str(Path(sys.executable).with_name("graygate")), "serve", "--port", "0"]
    command += ["--set", "admin.port=0", "--redis", "redis://127.0.0.1:1/0"]
    told = tmp_path / ".graygate" / "run.json"
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=tmp_path, stderr=log)
    try:
        wait_until(lambda: told.exists() or process.poll() is not None, "the gateway is up")
        assert process.poll() is None, (tmp_path / "log").read_text()
        children = children_of(process.pid, "gateway.process")
        assert len(children) >= 2
        for pid in children:
            assert Path(f"/proc/{pid}/cwd").readlink() == tmp_path
            assert b"PYTHONSAFEPATH=1" in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            assert b"-P" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    finally:
        process.terminate()
        assert process.wait(20) == 0

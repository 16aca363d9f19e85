from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest

from gateway.demo import tether
from gateway.demo.child import TETHER, tethered
from tests.demo.processes import Parent, is_alive, wait_gone

linux = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help is Linux's")

START = """
import subprocess
from gateway.demo.child import tethered
child = subprocess.Popen(tethered("/bin/sleep", "600"), start_new_session=True)
print(json.dumps({"pid": child.pid}))
"""


@linux
def test_a_foreign_program_ends_with_a_killed_parent() -> None:
    with Parent(START) as dying:
        pid = dying.said["pid"]
        assert is_alive(pid)
        dying.kill()
        wait_gone(pid)


def test_a_parent_that_is_gone_already_ends_it_before_it_begins() -> None:
    command = [sys.executable, "-I", "-S", str(TETHER), "1", "/bin/echo", "hello"]
    done = subprocess.run(command, capture_output=True, timeout=20)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_program_that_is_not_there_is_told_in_one_line() -> None:
    done = subprocess.run(tethered("/no/such"), capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stdout) == (127, "")
    assert done.stderr == "cannot run /no/such: No such file or directory\n"


async def test_without_the_kernels_help_the_parents_end_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tether, "LOOK_SECONDS", 0.001)
    parents = [os.getppid()]
    monkeypatch.setattr(os, "getppid", lambda: parents[-1])
    waiting = asyncio.create_task(tether.parent_gone(parents[0]))
    await asyncio.sleep(0)
    assert not waiting.done()
    parents.append(1)
    async with asyncio.timeout(20):
        await waiting

"""Programs that are killed while they hold children, and how to see what became of those."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

from tests.servers import wait_until

REPOSITORY = str(Path(__file__).parents[2])


class Parent:
    """A Python program that starts children, says their "pid" or "pids" as JSON, and waits."""

    def __init__(self, program: str) -> None:
        code = f"import json, signal, sys, pathlib\n{program}\nsys.stdout.flush()\nsignal.pause()\n"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": REPOSITORY},
        )
        assert self._process.stdout is not None
        self._out = self._process.stdout
        line = self._out.readline()
        assert line, "the program ended before it said anything"
        self.said: dict[str, Any] = json.loads(line)

    def kill(self) -> None:
        """kill -9: the program gets no chance to end its children."""
        self._process.kill()
        self._process.wait()
        self._out.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        # A test that failed halfway must not leave the child that it is about.
        for pid in [self.said["pid"]] if "pid" in self.said else self.said["pids"]:
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that only waits to be reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def wait_gone(*pids: int) -> None:
    wait_until(lambda: not any(map(is_alive, pids)), f"the processes {pids} end")

"""One child process of the demo: in a session of its own, logging to a file, never left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

TETHER = Path(__file__).with_name("tether.py")
TAIL_BYTES = 4096


def python_module(module: str, *args: str) -> list[str]:
    """The command that runs a module of ours, blind to files in the folder the user stands in."""
    return [sys.executable, "-P", "-m", module, *args]


def tethered(*argv: str) -> list[str]:
    """The command that runs a foreign program so that it ends with this process."""
    return [sys.executable, "-I", "-S", str(TETHER), str(os.getpid()), *argv]


class Child:
    """A process to start and stop again; `stop()` always leaves nothing running.

    Its own session keeps the terminal's Ctrl-C away from it: its owner decides who ends when.
    """

    def __init__(self, name: str, log: Path) -> None:
        self.name = name
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        state = f"running, pid {self.pid}" if self.is_running else "not running"
        return f"<Child {self.name}: {state}>"

    def start(
        self,
        argv: Sequence[str],
        *,
        directory: Path | None = None,
        descriptors: Sequence[int] = (),
    ) -> None:
        """Starts the program; call it from the main thread and not while one is running."""
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("a child dies with the thread that started it: use the main thread")
        if self.is_running:
            raise RuntimeError(f"{self!r} cannot be started twice")
        self._keep_old_log()
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=directory,
                pass_fds=descriptors,
                start_new_session=True,
            )

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def ask_to_end(self) -> None:
        """Lets several children end at the same time: ask all of them, then `stop()` each."""
        if self._process is not None:
            self._process.terminate()
            # A stopped process (SIGSTOP) would leave the request unread.
            self._process.send_signal(signal.SIGCONT)

    def stop(self, grace_seconds: float = 5.0) -> None:
        """Asks the process to end, then kills it and whatever it had started."""
        process = self._process
        if process is None:
            return
        try:
            self.ask_to_end()
            process.wait(grace_seconds)
        except subprocess.TimeoutExpired:
            pass
        finally:  # also when a second Ctrl-C cuts the waiting short
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            self._process = None

    def tail(self) -> str:
        """The end of what the process wrote since it was started."""
        try:
            with self.log.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - TAIL_BYTES))
                return log.read().decode(errors="replace").strip()
        except OSError:
            return ""

    def last_words(self) -> str:
        """The last line that the process wrote, "" for a silent one."""
        return self.tail().rpartition("\n")[2].strip()

    def _keep_old_log(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.log.replace(self.log.with_name(self.log.name + ".1"))

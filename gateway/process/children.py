"""One child process as the supervisor sees it."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence

from gateway.process.handover import ControlBoot, WorkerBoot, encode_boot

_log = logging.getLogger(__name__)

# Far more than a child needs to start reading; only settings of a megabyte would wait at all.
_SEND_TIMEOUT_SECONDS = 5.0


class Child:
    """A started process, what it has said so far, and when it is killed at the latest."""

    def __init__(
        self, role: str, process: subprocess.Popen[bytes], lifeline: socket.socket, now: float
    ) -> None:
        self.role = role
        self.started_at = now
        self.kill_at: float | None = None
        self.is_told_to_end = False
        self.said: set[str] = set()
        self._process = process
        self._lifeline = lifeline
        self._heard = b""
        self.is_listening = True  # False: it will never say anything again

    def __repr__(self) -> str:
        state = "running" if self.exit_code is None else f"ended with {self.exit_code}"
        return f"<Child {self.role}, pid {self.pid}, {state}>"

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; -9 when signal 9 ended it."""
        return self._process.poll()

    @property
    def ending(self) -> str:
        """How it ended, in words."""
        code = self.exit_code
        if code is None:
            return "still runs"
        if code >= 0:
            return f"ended with exit code {code}"
        with contextlib.suppress(ValueError):
            return f"was ended by {signal.Signals(-code).name}"
        return f"was ended by signal {-code}"

    def fileno(self) -> int:
        return self._lifeline.fileno()

    def hear(self) -> None:
        """Takes in what it has said."""
        while self.is_listening:
            try:
                data = self._lifeline.recv(4096)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                self.is_listening = False
            *words, self._heard = (self._heard + data).split(b"\n")
            self.said.update(word.decode(errors="replace") for word in words)

    def say(self, word: str) -> None:
        with contextlib.suppress(OSError):
            self._lifeline.send(word.encode() + b"\n")

    def terminate(self, kill_at: float) -> None:
        """Asks it to finish what it does; who calls must call `kill` when that moment has come."""
        self.is_told_to_end = True
        self.kill_at = kill_at if self.kill_at is None else min(kill_at, self.kill_at)
        self._process.terminate()

    def kill_if_overdue(self, now: float) -> None:
        if self.kill_at is not None and now >= self.kill_at:
            _log.warning("%s (pid %d) did not end in time and is killed.", self.role, self.pid)
            self.kill()

    def kill(self) -> None:
        self.kill_at = None
        self.is_told_to_end = True
        self._process.kill()

    def wait(self) -> None:
        """Waits for the end of a child that has been killed."""
        self._process.wait()

    def close(self) -> None:
        """Lets go of it; a living child takes that for the end of the supervisor and ends too."""
        self._lifeline.close()


def start(
    role: str,
    command: Sequence[str],
    boot: ControlBoot | WorkerBoot,
    inherited: Sequence[int],
    clock: Callable[[], float],
) -> Child:
    """Executes the command with its lifeline's number as last argument, and hands it its data."""
    ours, theirs = socket.socketpair()
    with theirs:
        number = theirs.fileno()
        process = subprocess.Popen(
            [*command, str(number)],
            stdin=subprocess.DEVNULL,
            pass_fds=(number, *inherited),
            # Ctrl-C goes to the supervisor alone, which ends its children in order.
            process_group=0,
        )
    child = Child(role, process, ours, clock())
    ours.settimeout(_SEND_TIMEOUT_SECONDS)
    try:
        ours.sendall(encode_boot(boot))
    except OSError:  # it died at once or hangs; in both cases it is of no use
        process.kill()
    ours.setblocking(False)
    return child

"""One child process as the supervisor sees it."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence

from gateway.process.handover import READY, RETIRE, ControlBoot, WorkerBoot, encode_boot

_log = logging.getLogger(__name__)

# Far more than a child needs to start reading; only settings of a megabyte would wait at all.
_SEND_TIMEOUT_SECONDS = 5.0
_ABORT_SECONDS = 2.0  # for a child that hangs to write down where
_MOST_UNSENT_BYTES = 256 * 1024  # a child that takes nothing of it hangs, and is ended for that


class Child:
    """A started process, what it has said so far, and when it is killed at the latest."""

    def __init__(
        self, role: str, process: subprocess.Popen[bytes], lifeline: socket.socket, now: float
    ) -> None:
        self.role = role
        self.started_at = now
        self.ready_at: float | None = None
        self.heard_at = now  # when it last gave a sign of life
        self.kill_at: float | None = None
        self.is_told_to_end = False
        self.said: set[str] = set()
        self._process = process
        self._lifeline = lifeline
        self._heard = b""
        self._unsent = b""
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

    def worked_seconds(self, now: float) -> float:
        """How long it has done what it is there for."""
        return 0.0 if self.ready_at is None else now - self.ready_at

    def hear(self, now: float) -> None:
        """Takes in what it has said."""
        if self._unsent:
            self._send()
        while self.is_listening:
            try:
                data = self._lifeline.recv(4096)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                self.is_listening = False
            else:
                self.heard_at = now
            *words, self._heard = (self._heard + data).split(b"\n")
            self.said.update(word.decode(errors="replace") for word in words)
        if self.ready_at is None and READY in self.said:
            self.ready_at = now

    def say(self, word: str) -> None:
        if len(self._unsent) < _MOST_UNSENT_BYTES:
            self._unsent += word.encode() + b"\n"
            self._send()

    def _send(self) -> None:
        # What does not fit now goes with the next word, or when the child is heard again.
        try:
            sent = self._lifeline.send(self._unsent)
        except BlockingIOError:
            return
        except OSError:  # it is gone
            sent = len(self._unsent)
        self._unsent = self._unsent[sent:]

    def retire(self, kill_at: float) -> None:
        """As `terminate`, for a worker whose place another one has: it need not hurry."""
        self.is_told_to_end = True
        self.kill_at = kill_at
        self.say(RETIRE)

    def abort(self, now: float) -> None:
        """Ends a child that hangs; it is told to write down where, if it still can."""
        self.kill_at = now + _ABORT_SECONDS
        self._process.send_signal(signal.SIGABRT)

    def terminate(self, kill_at: float) -> None:
        """Asks it to finish what it does; who calls must call `kill` when that moment has come."""
        self.is_told_to_end = True
        self.kill_at = kill_at if self.kill_at is None else min(kill_at, self.kill_at)
        self._process.terminate()

    def kill_if_overdue(self, now: float) -> None:
        if self.kill_at is not None and now >= self.kill_at:
            if self.is_told_to_end:
                _log.warning("%s (pid %d) did not end in time and is killed.", self.role, self.pid)
            self.kill_at = None
            self._process.kill()

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
            # Neither may a folder on the path of a child of theirs shadow our modules.
            env={**os.environ, "PYTHONSAFEPATH": "1"},
        )
    child = Child(role, process, ours, clock())
    ours.settimeout(_SEND_TIMEOUT_SECONDS)
    try:
        ours.sendall(encode_boot(boot))
    except OSError:  # it died at once or hangs; in both cases it is of no use
        process.kill()
    ours.setblocking(False)
    return child

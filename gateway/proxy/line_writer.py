"""Lines on their way to a file or pipe, without the loop ever waiting for either.

The loop hands over many lines at a time; a thread does nothing but write them. When whoever reads
a pipe has stopped reading, the thread waits in `write`, lines pile up to a bound, and what comes
then is dropped and counted.
"""

from __future__ import annotations

import logging
import os
import select
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue

_log = logging.getLogger(__name__)

MOST_BYTES = 8 * 1024 * 1024  # that wait for the thread
# Other processes write to the same pipe. Up to this length a write comes through whole (PIPE_BUF).
LONGEST_LINE = 4096
_LOOK_SECONDS = 1.0  # between two looks whether the file is still the one of that name
_FILE_MODE = 0o640
_STDOUT, _STDERR = 1, 2


class LineWriter:
    """Writes to a file that is named or open; a named one is opened anew when it was moved away.

    `start`, `put` and `end` are for the loop's thread.
    """

    def __init__(self, target: Path | int) -> None:
        self._batches: SimpleQueue[tuple[bytes, int] | None] = SimpleQueue()
        self._handed = 0  # bytes
        self._done = 0  # of them, written or lost; the thread's
        self._refused = 0  # lines that found the queue full
        self._lost = 0  # lines that could not be written; the thread's
        self._told = 0
        self._target = target
        self._fd = -1
        self._is_file = False
        self._look_at = 0.0
        if isinstance(target, int):
            self._fd = target
            self._is_file = stat.S_ISREG(os.fstat(target).st_mode)
        self._thread = threading.Thread(target=self._run, name="access log", daemon=True)

    def __repr__(self) -> str:
        waiting = self._handed - self._done
        return f"<LineWriter to {self._name}, {waiting} bytes wait, {self.dropped} lines dropped>"

    @property
    def dropped(self) -> int:
        """Lines that nobody will ever see."""
        return self._refused + self._lost

    @property
    def _name(self) -> str:
        if isinstance(self._target, int):
            return {_STDOUT: "stdout", _STDERR: "stderr"}.get(self._target, f"fd {self._target}")
        return str(self._target)

    # The loop's side

    def start(self) -> None:
        self._thread.start()

    def put(self, data: bytes, lines: int) -> None:
        """Hands over so many whole lines; the thread writes them when it can."""
        if self._handed - self._done + len(data) > MOST_BYTES:
            # Saying so here could wait for the same reader as the lines do.
            self._refused += lines
            return
        self._handed += len(data)
        self._batches.put((data, lines))

    def end(self) -> None:
        """The last call: the thread ends when it has written all that was handed over."""
        self._batches.put(None)

    @property
    def is_ended(self) -> bool:
        return not self._thread.is_alive()

    # The thread's side

    def _run(self) -> None:
        while (batch := self._batches.get()) is not None:
            data, lines = batch
            try:
                self._write(data)
            except OSError as error:
                self._lost += lines
                reason = error.strerror
                _log.warning("The access log cannot be written to %s: %s.", self._name, reason)
            self._done += len(data)
            if self.dropped > self._told:
                self._told = self.dropped
                _log.warning("The access log has lost %d lines so far.", self._told)
        if not isinstance(self._target, int) and self._fd >= 0:
            os.close(self._fd)

    def _write(self, data: bytes) -> None:
        if not isinstance(self._target, int):
            self._look(self._target)
        if self._is_file:
            _write_all(self._fd, memoryview(data))
        else:
            for piece in pieces(data):
                _write_all(self._fd, piece)

    def _look(self, path: Path) -> None:
        """Sees to it that the open file is the one of that name."""
        now = time.monotonic()
        if self._fd >= 0:
            if now < self._look_at:
                return
            self._look_at = now + _LOOK_SECONDS
            if _is_same(path, self._fd):
                return
            os.close(self._fd)
            self._fd = -1
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY
        self._fd = os.open(path, flags, _FILE_MODE)
        self._is_file = stat.S_ISREG(os.fstat(self._fd).st_mode)
        self._look_at = now + _LOOK_SECONDS


def pieces(data: bytes) -> Iterator[memoryview]:
    """Whole lines, in pieces that a pipe takes as one."""
    view = memoryview(data)
    start = 0
    while start < len(data):
        end = data.rfind(b"\n", start, start + LONGEST_LINE) + 1
        yield view[start : end or None]
        start = end or len(data)


def target_of(path: str) -> Path | int | None:
    """Where a log of this setting goes: a file, an open descriptor, or nowhere."""
    if path == "auto":
        return _STDOUT if _is_read_by_programs(_STDOUT) else None
    return {"": None, "stdout": _STDOUT, "stderr": _STDERR}.get(path, Path(path))


def _is_read_by_programs(fd: int) -> bool:
    """Not a terminal, where lines would run over what people read, and not /dev/null."""
    try:
        status = os.fstat(fd)
        nowhere = Path(os.devnull).stat()
    except OSError:
        return False
    return not os.isatty(fd) and status.st_rdev != nowhere.st_rdev


def _is_same(path: Path, fd: int) -> bool:
    held = os.fstat(fd)
    try:
        named = path.stat()
    except OSError:
        return False
    return (held.st_dev, held.st_ino) == (named.st_dev, named.st_ino)


def _write_all(fd: int, view: memoryview) -> None:
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:  # somebody who shares it has set it so; here one may wait
            select.select([], [fd], [], None)

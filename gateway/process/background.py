"""A text stream that never makes who writes wait: a thread writes, what it cannot is dropped."""

from __future__ import annotations

import errno
import os
import select
import threading
from pathlib import Path
from queue import SimpleQueue

_MOST_WAITING = 1000
_END_SECONDS = 1.0


class BackgroundStream:
    """Writes to a descriptor, such as standard error, past the stream that Python has for it.

    Python's own end would fail over a stream that a thread is stuck in.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._queue: SimpleQueue[str | None] = SimpleQueue()
        self._lost = 0
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def __repr__(self) -> str:
        return f"<BackgroundStream, {self._queue.qsize()} pieces wait>"

    def write(self, text: str) -> None:
        if self._queue.qsize() < _MOST_WAITING:
            self._queue.put(text)
        else:
            self._lost += 1

    def flush(self) -> None:
        """Nothing: who writes does not wait."""

    def take_lost(self) -> int:
        """How many pieces were dropped since the last call."""
        lost, self._lost = self._lost, 0
        return lost

    def end(self, last_words: str = "") -> None:
        """Waits a moment for what was written to get out; nothing can be written after it."""
        self._queue.put(last_words)
        self._queue.put(None)
        self._thread.join(_END_SECONDS)

    def _run(self) -> None:
        while (text := self._queue.get()) is not None:
            view = memoryview(text.encode(errors="backslashreplace"))
            while view:
                try:
                    view = view[os.write(self._fd, view) :]
                except BlockingIOError:
                    select.select([], [self._fd], [], None)
                except OSError as error:
                    if error.errno in (errno.EPIPE, errno.EIO):
                        self._forsake()
                    break

    def _forsake(self) -> None:
        """Nobody reads it any more: a closed terminal, a broken pipe."""
        # Tracebacks and other processes write there too, and would only meet the same.
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), self._fd)

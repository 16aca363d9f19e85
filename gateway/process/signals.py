"""Signals as something a plain `select` loop can wait for."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any


class SignalWatch:
    """Collects the given signals while it is entered; only for the main thread."""

    def __init__(self, signals: Sequence[signal.Signals]) -> None:
        self._signals = signals
        self._old_handlers: dict[signal.Signals, Any] = {}
        self._old_wakeup = -1
        self._reading, self._writing = socket.socketpair()
        self._reading.setblocking(False)
        self._writing.setblocking(False)

    def __enter__(self) -> SignalWatch:
        # A full socket is no problem: it is read whole, and the loop looks at everything then.
        self._old_wakeup = signal.set_wakeup_fd(self._writing.fileno(), warn_on_full_buffer=False)
        for one in self._signals:
            self._old_handlers[one] = signal.signal(one, _leave_to_wakeup)
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        for one, handler in self._old_handlers.items():
            signal.signal(one, handler)
        signal.set_wakeup_fd(self._old_wakeup)
        self._reading.close()
        self._writing.close()

    def fileno(self) -> int:
        """Readable when a signal has come."""
        return self._reading.fileno()

    def take(self) -> list[signal.Signals]:
        """The signals since the last call, in their order."""
        numbers = bytearray()
        while True:
            try:
                data = self._reading.recv(4096)
            except BlockingIOError:
                break
            numbers += data
        return [signal.Signals(number) for number in numbers]


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """While no SignalWatch is entered, SIGTERM does as Ctrl-C: what was begun is cleared up.

    As process 1 of a container it would do nothing at all: the kernel ends that process only by
    signals that it has a handler for.
    """

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _leave_to_wakeup(_number: int, _frame: FrameType | None) -> None:
    return

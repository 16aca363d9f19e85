"""A service manager that listens for notifications, as systemd does."""

from __future__ import annotations

import select
import socket
import tempfile
import time
from pathlib import Path
from typing import Self

SECONDS = 20.0


class Manager:
    """Has an address for NOTIFY_SOCKET, and remembers every message."""

    def __init__(self, *, is_abstract: bool = False) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="graygate-manager-"))
        path = str(self._folder / "notify")
        self.address = f"@{path}" if is_abstract else path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + path if is_abstract else path)
        self._socket.setblocking(False)
        self.messages: list[list[str]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        for path in self._folder.iterdir():
            path.unlink()
        self._folder.rmdir()

    def take(self, seconds: float = 0.0) -> None:
        """Takes in what has come, or the first that comes in so many seconds."""
        if not select.select([self._socket], [], [], seconds)[0]:
            return
        while True:
            try:
                data = self._socket.recv(65536)
            except BlockingIOError:
                return
            self.messages.append(data.decode().split("\n"))

    def has(self, line: str) -> bool:
        self.take()
        return any(line in message for message in self.messages)

    def wait(self, line: str) -> list[str]:
        """The first message with this line; those before it, and it itself, are forgotten."""
        deadline = time.monotonic() + SECONDS
        while True:
            for number, message in enumerate(self.messages):
                if line in message:
                    del self.messages[: number + 1]
                    return message
            assert time.monotonic() < deadline, f"no {line} in {self.messages}"
            self.take(0.1)

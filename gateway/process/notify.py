"""What a service manager is told: systemd's notification protocol, a datagram per message.

Without a manager that listens, nothing is said. Nothing here ever waits or fails: a gateway does
not end because nobody wants to hear of it.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import MutableMapping

_SOCKET = "NOTIFY_SOCKET"
_WATCHDOG = "WATCHDOG_USEC"
_WATCHDOG_PID = "WATCHDOG_PID"


class Notifier:
    """Speaks to the manager; `watchdog_seconds` is how often it wants to hear that all is well."""

    def __init__(self, address: str = "", watchdog_seconds: float | None = None) -> None:
        self.watchdog_seconds = watchdog_seconds
        self._socket: socket.socket | None = None
        # Linux: a name that starts with "@" is in no folder.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        if address.startswith(("/", "@")):
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)

    def __repr__(self) -> str:
        return f"<Notifier to {self._address!r}>" if self._socket else "<Notifier to nobody>"

    @classmethod
    def taken_from(cls, environ: MutableMapping[str, str], pid: int) -> Notifier:
        """By the variables that the manager has set; they are taken out, for no child of ours."""
        address = environ.pop(_SOCKET, "")
        interval = environ.pop(_WATCHDOG, "")
        meant_for = environ.pop(_WATCHDOG_PID, str(pid))
        is_watched = interval.isdecimal() and int(interval) > 0 and meant_for == str(pid)
        return cls(address, int(interval) / 1e6 if is_watched else None)

    def ready(self, status: str) -> None:
        """Up; or up again, after `reloading`."""
        self._say("READY=1", f"STATUS={status}")

    def reloading(self, status: str) -> None:
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._say("RELOADING=1", f"MONOTONIC_USEC={now}", f"STATUS={status}")

    def stopping(self, status: str, seconds: float) -> None:
        """Ending, which may take so long: the manager's patience need not be set by hand."""
        self._say("STOPPING=1", f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}", f"STATUS={status}")

    def status(self, text: str) -> None:
        self._say(f"STATUS={text}")

    def alive(self) -> None:
        self._say("WATCHDOG=1")

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _say(self, *lines: str) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.sendto("\n".join(lines).encode(), self._address)

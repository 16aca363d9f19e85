"""The embedded store: a real Valkey or Redis server, started by us, for one machine.

Data survives restarts (append-only file, flushed every second). The server hears only on loopback,
is out of the terminal's reach, and ends with the process that started it, even by `kill -9`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from gateway.demo.binary import find_binary
from gateway.demo.child import Child, tethered
from gateway.demo.folder import Holder, StoreFolder
from gateway.demo.resp import ask
from gateway.errors import StoreError, UsageError

DEFAULT_PORT = 6399  # not 6379: a Redis of the machine itself often listens there
PORTS_TO_TRY = 100
READY_SECONDS = 15.0  # without any sign of life; while data is being loaded the wait goes on
STOP_SECONDS = 5.0
ORPHAN_SECONDS = 2.0  # for the kernel to end it by itself
POLL_SECONDS = 0.01
MIN_FREE_BYTES = 64 * 1024

# What the server puts before each line of its log: pid, role, time, level.
LOG_PREFIX = re.compile(r"^\d+:[A-Z] .*? [.*#-] ")


class EmbeddedStore:
    """A store server in a folder; start and stop it from the main thread.

    `port` 0 takes any free port, another one is the first to be tried. After `start()` the fields
    `port` and `url` tell where it listens, and `note` says so in words when that is a surprise.
    """

    def __init__(
        self, directory: Path, port: int = DEFAULT_PORT, binary: Path | None = None
    ) -> None:
        self.port = port
        self.note = ""
        self._binary = binary
        self._folder = StoreFolder(directory)
        self._child = Child("store", self._folder.path / "store.log")

    def __repr__(self) -> str:
        state = f"port {self.port}" if self._child.is_running else "not running"
        return f"<EmbeddedStore {self._folder.path}: {state}>"

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def log(self) -> Path:
        return self._child.log

    @property
    def pid(self) -> int | None:
        return self._child.pid

    @property
    def is_running(self) -> bool:
        return self._child.is_running

    def start(self) -> None:
        """Returns when the store answers; otherwise raises one sentence and leaves nothing running.

        May be called again after the server died by itself: it keeps its folder and its port.
        """
        if self.is_running:
            raise RuntimeError(f"{self!r} cannot be started twice")
        binary = self._binary or find_binary()
        self._folder.take()
        try:
            self._end_orphan()
            wanted = self.port
            self._start_on_free_port(binary)
            self.note = _moved(wanted, self.port)
            self._folder.write_holder(Holder(self._child.pid or 0, os.getpid(), self.port))
        except OSError as error:
            self.stop()
            raise StoreError(
                f"the embedded store could not start in {self._folder.path}: {error.strerror}"
            ) from error
        except BaseException:  # Ctrl-C while starting must not leave a server either
            self.stop()
            raise

    def stop(self) -> None:
        """Ends the server and frees the folder; may be called at any time, any number of times."""
        try:
            self._child.stop(STOP_SECONDS)
        finally:
            self._folder.release()

    def last_words(self) -> str:
        """The last line of the server's log, without its prefix."""
        return LOG_PREFIX.sub("", self._child.last_words())

    def _end_orphan(self) -> None:
        """Ends a server that outlived its owner here, so that no two write the same file."""
        if self._folder.take_data(ORPHAN_SECONDS):
            return
        holder = self._folder.read_holder()
        # The number may have passed to another program: it is ended only if it says who it is.
        if holder is not None and _server_pid(holder.port) == holder.pid:
            for number in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(holder.pid, number)
                if self._folder.take_data(STOP_SECONDS):
                    return
        who = f"process {holder.pid}" if holder else "a process"
        raise UsageError(
            f"{who} of an earlier run still uses the store in {self._folder.path}: end it, then "
            "start again"
        )

    def _start_on_free_port(self, binary: Path) -> None:
        for port in _free_ports(self.port):
            self._child.start(
                tethered(str(binary), *self._arguments(port)),
                directory=self._folder.path,
                descriptors=[self._folder.data_lock],
            )
            if self._is_ready(port):
                self.port = port
                return
        raise StoreError(
            f"no free port for the embedded store from {self.port} on: name another one"
        )

    def _arguments(self, port: int) -> list[str]:
        return [
            *("--port", str(port), "--bind", "127.0.0.1", "--tcp-backlog", "128"),
            *("--dir", str(self._folder.path), "--daemonize", "no", "--save", ""),
            *("--appendonly", "yes", "--appendfsync", "everysec"),
        ]

    def _is_ready(self, port: int) -> bool:
        """Waits for the server's answer; False when another program took the port first."""
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if not self._child.is_running:
                if "Address already in use" in self._child.tail():
                    return False
                raise StoreError(self._failure(self.last_words() or "it ended without a word"))
            try:
                # The number tells our server from another one that answers on this port.
                if ask(port, "PING") == "PONG" and _server_pid(port) == self._child.pid:
                    return True
            except StoreError:  # LOADING: it is alive and reads its data
                deadline = time.monotonic() + READY_SECONDS
            except OSError:
                pass  # not listening yet
            time.sleep(POLL_SECONDS)
        raise StoreError(self._failure(f"no answer on port {port} for {READY_SECONDS:.0f} seconds"))

    def _failure(self, reason: str) -> str:
        if "No space left" in reason or shutil.disk_usage(self._folder.path).free < MIN_FREE_BYTES:
            # The server itself may have had no room to say so.
            return (
                f"the embedded store did not start: the disk of {self._folder.path} is full; "
                "make room there, then start again"
            )
        return (
            f"the embedded store did not start: {reason.rstrip('.')}. Its log is {self.log}; to "
            f"begin with an empty store, move {self._folder.path} away"
        )


def _server_pid(port: int) -> int | None:
    """The process id of the store that listens on `port`, None when none answers."""
    try:
        found = re.search(r"^process_id:(\d+)", ask(port, "INFO", "server"), re.MULTILINE)
    except (OSError, StoreError):
        return None
    return int(found[1]) if found else None


def _moved(wanted: int, port: int) -> str:
    if wanted in (0, port):
        return ""
    return f"port {wanted} is taken, so the embedded store listens on {port}"


def _free_ports(first: int) -> Iterator[int]:
    """Ports that nobody listens on, from `first` upwards; for 0, one that the kernel picks."""
    for port in [0] if first == 0 else range(first, min(first + PORTS_TO_TRY, 65536)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                # Two sockets may be bound to one port with SO_REUSEADDR; only one may listen.
                probe.listen(1)
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    continue
                raise
            free = int(probe.getsockname()[1])
        yield free

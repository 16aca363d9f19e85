"""The demo's cast: two versions of a model and a few users, each a process of its own."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

from gateway.demo.child import Child, python_module
from gateway.demo.seed import CANDIDATE, STABLE
from gateway.errors import UsageError

FIRST_PORTS = {STABLE: 9101, CANDIDATE: 9102}
LATENCIES_MS = {STABLE: 60.0, CANDIDATE: 45.0}  # the new version is a little faster
HOST = "127.0.0.1"
BACKLOG = 128
STOP_SECONDS = 2.0
REQUESTS_PER_SECOND = 5.0


class Demo:
    """Backends and traffic as children of this process; use it from the main thread.

    Order: `start_backends()`, then write `urls` into the store, then `start_traffic()` once the
    gateway listens; `stop()` at any time, any number of times, leaves no process.
    """

    def __init__(
        self, directory: Path, ports: Mapping[str, int] | None = None, seed: int = 1
    ) -> None:
        self.directory = directory.resolve()
        self.urls: dict[str, str] = {}
        self._ports = dict(FIRST_PORTS if ports is None else ports)
        self._seed = seed
        self._children: list[Child] = []

    def __repr__(self) -> str:
        running = [child.name for child in self._children if child.is_running]
        return f"<Demo: {', '.join(running) or 'not'} running>"

    def start_backends(self) -> dict[str, str]:
        """Starts one backend per version and returns their base URLs, which answer at once."""
        with self._all_or_nothing():
            for version, port in self._ports.items():
                # Listening before the child is up: whoever connects early only waits a moment.
                with _listen(port) as listener:
                    self._start_backend(version, listener)
                    # A dead backend must refuse connections: from here on it alone has the socket.
                    self.urls[version] = f"http://{HOST}:{listener.getsockname()[1]}"
        return self.urls

    def start_traffic(self, url: str, rate: float = REQUESTS_PER_SECOND) -> None:
        """Starts users who send requests to the gateway at `url`, which must be on loopback."""
        with self._all_or_nothing():
            self._start(
                "traffic",
                python_module(
                    "gateway.demo.traffic",
                    *("--url", url, "--rate", str(rate)),
                    *("--seed", str(self._seed), "--parent", str(os.getpid())),
                ),
            )

    def ended(self) -> tuple[str, ...]:
        """A sentence for each child that ended although nobody had stopped it."""
        return tuple(
            f"demo {child.name} has ended: {child.last_words() or 'it left no word'}"
            for child in self._children
            if not child.is_running
        )

    def stop(self) -> None:
        """Ends all children."""
        with contextlib.ExitStack() as endings:  # an impatient Ctrl-C skips none of them
            for child in self._children:
                endings.callback(child.stop, STOP_SECONDS)
            for child in self._children:
                child.ask_to_end()  # all at once: their endings overlap
        self._children.clear()

    def _start_backend(self, version: str, listener: socket.socket) -> None:
        descriptor = listener.fileno()
        command = python_module(
            "gateway.demo.backend",
            *("--name", version, "--fd", str(descriptor)),
            *("--latency-ms", str(LATENCIES_MS.get(version, 50.0))),
            *("--seed", str(self._seed), "--parent", str(os.getpid())),
        )
        self._start(version, command, descriptor)

    def _start(self, name: str, command: list[str], *descriptors: int) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        child = Child(name, self.directory / f"{name}.log")
        self._children.append(child)
        child.start(command, descriptors=descriptors)

    @contextlib.contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """A start that fails, or is cut short by Ctrl-C, leaves no process."""
        try:
            yield
        except OSError as error:
            self.stop()
            raise UsageError(f"the demo cannot start: {error.strerror or error}") from error
        except BaseException:
            self.stop()
            raise


def _listen(port: int) -> socket.socket:
    """A listening socket on `port`, or on a free port when that one is taken."""
    try:
        return socket.create_server((HOST, port), backlog=BACKLOG)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        return socket.create_server((HOST, 0), backlog=BACKLOG)

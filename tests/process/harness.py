"""A whole gateway in real processes, and a model behind it, for tests that pull plugs."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import msgspec

from gateway.routing.spec import RouteSpec
from tests.process.file_control import VARIABLE, Content

SECONDS = 20.0


def wait_until(condition: Callable[[], bool], what: str, seconds: float = SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"within {seconds:g} s: {what}")
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def children_of(pid: int, module: str) -> set[int]:
    """The living children that run this module."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            if int(parent) == pid and module.encode() in (folder / "cmdline").read_bytes():
                child = int(folder.name)
                found |= {child} if is_alive(child) else set()
    return found


def started_in(folder: Path) -> set[int]:
    """The living processes that have this folder for their temporary files."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"TMPDIR={folder}\0".encode() in (process / "environ").read_bytes():
                found.add(int(process.name))
    return found


class Model:
    """A model server: answers with its name, or streams until it is told to end."""

    def __init__(self, name: str) -> None:
        self.may_end = threading.Event()
        self.streaming = threading.Semaphore(0)  # released once per begun stream
        model = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body leave together, or each answer waits for an ACK

            def do_GET(self) -> None:
                if self.path != "/stream":
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(name)))
                    self.end_headers()
                    self.wfile.write(name.encode())
                    return
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Connection", "close")
                self.end_headers()
                self.close_connection = True
                self.wfile.write(b"data: first\n\n")
                self.wfile.flush()
                model.streaming.release()
                model.may_end.wait(60)
                with contextlib.suppress(OSError):
                    self.wfile.write(b"data: last\n\n")

            def log_message(self, format: str, *args: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.may_end.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Gateway:
    """Supervisor, control and workers; the store is a file that `publish` writes."""

    def __init__(
        self,
        *,
        workers: int = 2,
        drain_seconds: float = 20.0,
        control: str = "tests.process.file_control",
        worker: str = "gateway.process.worker",
        within: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """`within` is a command that runs the one behind it, with `environ` beside our own."""
        self.folder = Path(tempfile.mkdtemp(prefix="graygate-test-"))
        self.settings: dict[str, Any] = {
            "listen": {"host": "127.0.0.1", "port": 0},
            "process": {"workers": workers, "drain_seconds": drain_seconds},
            "redis": {"password": "open sesame"},
            "admin": {"port": 0},
            "access_log": {"path": ""},  # nobody reads what we write to standard output
        }
        self._modules = {"control": control, "worker": worker}
        self._within = list(within)
        self._environ = dict(environ or {})
        self.host = "127.0.0.1"
        self.port = 0
        self.admin_port = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pid in started_in(self.folder):  # also children that lost their supervisor
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if hasattr(self, "process"):
            self.process.wait()
            assert self.process.stdout is not None
            self.process.stdout.close()
        for path in sorted(self.folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        self.folder.rmdir()

    def start(
        self, *, is_ready: bool = True, stderr: int | None = None, fds: Sequence[int] = ()
    ) -> Self:
        self.configure()
        modules = (self._modules["control"], self._modules["worker"])
        command = [sys.executable, "-m", "tests.process.supervised", str(self.folder / "settings")]
        environment = {
            **os.environ,
            VARIABLE: str(self.folder / "store"),
            "TMPDIR": str(self.folder),
            **self._environ,
        }
        with (self.folder / "log").open("ab") as out:
            self.process = subprocess.Popen(
                [*self._within, *command, *modules],
                stdout=subprocess.PIPE,
                stderr=stderr or out,
                env=environment,
                pass_fds=fds,
            )
        if is_ready:
            self.wait_ready()
        return self

    def wait_ready(self) -> None:
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode()
        assert line, self.log()
        data_url, admin_url = line.split()
        self.port = int(data_url.rpartition(":")[2])
        self.admin_port = int(admin_url.rpartition(":")[2])

    def add_to_path(self) -> None:
        """Lets the processes import what lies in this gateway's folder."""
        path = os.pathsep.join(filter(None, [str(self.folder), os.environ.get("PYTHONPATH")]))
        self._environ |= {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}

    def configure(self, **sections: dict[str, object]) -> None:
        """Writes the settings file, with these settings over what was there."""
        for name, values in sections.items():
            self.settings[name] = {**self.settings.get(name, {}), **values}
        (self.folder / "settings").write_bytes(msgspec.json.encode(self.settings))

    def publish(self, sequence: int, *routes: RouteSpec, members: int = 0) -> None:
        """Puts routes into the store; whole, as a half-written file would be nonsense."""
        content = Content(sequence, list(routes), members)
        (self.folder / "next").write_bytes(msgspec.json.encode(content))
        (self.folder / "next").replace(self.folder / "store")

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, seconds: float = SECONDS) -> int:
        """The exit code of the supervisor."""
        return self.process.wait(seconds)

    @property
    def workers(self) -> set[int]:
        return children_of(self.process.pid, self._modules["worker"])

    @property
    def control(self) -> int:
        [pid] = children_of(self.process.pid, self._modules["control"])
        return pid

    @property
    def everybody(self) -> set[int]:
        if not hasattr(self, "process") or not is_alive(self.process.pid):
            return set()
        return {self.process.pid, *children_of(self.process.pid, "process")}

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def logged(self) -> list[str]:
        """The messages, one after the other."""
        return [json.loads(line)["message"] for line in self.log().splitlines()]

    def about(self) -> dict[str, Any]:
        """What control says of itself."""
        with socket.create_connection((self.host, self.admin_port), timeout=5) as admin:
            answer = b""
            while part := admin.recv(65536):
                answer += part
        found: dict[str, Any] = json.loads(answer)
        return found

    def held(self) -> dict[int, int]:
        """Which picture each connected worker holds."""
        try:
            return {pid: sequence for pid, sequence in self.about()["workers"]}
        except OSError:
            return {}

    def wait_held(self, sequence: int, workers: int = 2) -> None:
        wait_until(
            lambda: list(self.held().values()) == [sequence] * workers,
            f"{workers} workers hold {sequence}",
        )

    @contextlib.contextmanager
    def asked(self, path: str, **headers: str) -> Iterator[http.client.HTTPResponse]:
        """The response to a GET on a connection of its own."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=SECONDS)
        try:
            connection.request("GET", path, headers=headers)
            with connection.getresponse() as response:
                yield response
        finally:
            connection.close()

    def get(self, path: str = "/", **headers: str) -> tuple[int, bytes]:
        with self.asked(path, **headers) as response:
            return response.status, response.read()


def kept_request(connection: socket.socket) -> bytes:
    """The answer to a request on a connection that stays open."""
    connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    answer = b""
    while not answer.endswith(b"\r\n\r\none"):
        part = connection.recv(65536)
        assert part, answer
        answer += part
    return answer


class Caller:
    """Sends one request after the other in the background, on connections it keeps or does not."""

    def __init__(self, gateway: Gateway, *, keeps_alive: bool) -> None:
        self.answers: list[int] = []
        self.failures: list[str] = []
        self._gateway = gateway
        self._keeps_alive = keeps_alive
        self._must_stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        wait_until(lambda: len(self.answers) > 5, "requests are answered")
        return self

    def __exit__(self, *_: object) -> None:
        self._must_stop.set()
        self._thread.join()

    def _run(self) -> None:
        gateway = self._gateway
        connection = http.client.HTTPConnection(gateway.host, gateway.port, timeout=SECONDS)
        while not self._must_stop.is_set():
            try:
                connection.request("GET", "/")
                with connection.getresponse() as response:
                    response.read()
                    self.answers.append(response.status)
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                connection.close()
            if not self._keeps_alive:
                connection.close()
            self._must_stop.wait(0.002)
        connection.close()

"""Store, gateway and models, a wire between every two of them, and a client that looks closely."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from gateway.process.runfile import Running
from tests.adversity.wire import Wire
from tests.servers import Server, Valkey, wait_until
from tests.serving import served

ANSWER_BYTES = 64 * 1024
EVENTS = 20
SECONDS = 2.5  # within which every request must have come to some end


def content(name: str, path: str) -> bytes:
    """What the model of this name answers to this path."""
    if path.startswith("/stream"):
        return b"".join(b"data: %s %d\n\n" % (name.encode(), n) for n in range(EVENTS))
    seed = hashlib.sha256(f"{name} {path}".encode()).digest()
    return seed * (ANSWER_BYTES // len(seed))


class BigModel:
    """Answers that can be told apart to the byte, of known length or as a stream of events."""

    def __init__(self, name: str) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1

            def do_GET(self) -> None:
                body = content(name, self.path)
                self.send_response(200)
                if self.path.startswith("/stream"):
                    self.send_header("Content-Type", "text/event-stream")
                    self.send_header("Transfer-Encoding", "chunked")
                    self.end_headers()
                    for event in body.split(b"\n\n")[:-1]:
                        self.wfile.write(b"%x\r\n%s\n\n\r\n" % (len(event) + 2, event))
                        self.wfile.flush()
                    self.wfile.write(b"0\r\n\r\n")
                else:
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                return

            def handle(self) -> None:
                with contextlib.suppress(OSError):  # the wire broke
                    super().handle()

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self.address: tuple[str, int] = ("127.0.0.1", self._server.server_address[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@dataclass(frozen=True, slots=True)
class End:
    """What became of one request."""

    status: int  # 0 = no answer began
    body: bytes
    is_whole: bool  # as the client's library sees it
    version: str  # as the gateway names it

    @property
    def is_exact(self) -> bool:
        return self.status == 200 and self.is_whole


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything, with the wires that can be harmed."""

    running: Running
    store: Server
    to_store: Wire
    to_models: dict[str, Wire]  # by version
    to_gateway: Wire
    to_admin: Wire

    def ask(self, path: str, user: str = "alice", *, through_wire: bool = False) -> End:
        """One request on a connection of its own."""
        url = self.to_gateway.url if through_wire else self.running.data_url
        return ask(url, path, user)

    def mend(self) -> None:
        for wire in (self.to_store, self.to_gateway, self.to_admin, *self.to_models.values()):
            wire.mend()

    def gauge(self, name: str) -> float:
        """The sum of a metric over its labels."""
        with urllib.request.urlopen(f"{self.running.admin_url}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        return sum(
            float(line.rpartition(" ")[2])
            for line in lines
            if line.startswith((f"{name}{{", f"{name} "))
        )

    def wait_quiet(self) -> None:
        """Until nothing is in flight any more."""
        wait_until(lambda: self.gauge("graygate_requests_in_flight") == 0, "nothing is in flight")


def ask(url: str, path: str, user: str) -> End:
    host, port = urlsplit(url).hostname, urlsplit(url).port
    assert host is not None
    connection = HTTPConnection(host, port, timeout=SECONDS)
    status, body, is_whole, version = 0, b"", False, ""
    try:
        connection.request("GET", path, headers={"x-user-id": user})
        answer = connection.getresponse()
        status, version = answer.status, answer.headers.get("X-Graygate-Version", "")
        while piece := answer.read1(65536):
            body += piece
        # Python's client takes the end of the connection for that of a cut answer of known length.
        length = answer.headers.get("Content-Length")
        is_whole = length is None or int(length) == len(body)
    except TimeoutError as error:
        raise AssertionError(f"{path} had no end within {SECONDS:g} s: {error}") from error
    except (OSError, HTTPException):
        pass
    finally:
        connection.close()
    return End(status, body, is_whole, version)


@contextmanager
def set_up(folder: Path) -> Iterator[Scene]:
    """v1 is stable and v2 its candidate; bob is on v2, and alice on v1."""
    with ExitStack() as stack:
        models = {name: stack.enter_context(BigModel(name)) for name in ("v1", "v2")}
        store = stack.enter_context(Valkey(appendonly=True))
        to_store = stack.enter_context(Wire(("127.0.0.1", store.port)))
        to_models = {n: stack.enter_context(Wire(m.address)) for n, m in models.items()}
        for name, wire in to_models.items():
            store.cli(f"HSET gray:route:chat:versions {name} {wire.url}")
        for option in ("connect 1", "first_byte 1.5", "idle 1"):
            store.cli(f"HSET gray:route:chat timeout_{option}")
        store.cli("HSET gray:route:chat stable v1")
        store.cli("SADD gray:route:chat:whitelist:v2 bob")
        store.cli("SADD gray:routes chat")
        url = f"redis://127.0.0.1:{to_store.port}/0"
        running = stack.enter_context(served(folder, url, "redis.timeout_seconds=0.5"))
        to_gateway = stack.enter_context(Wire(_address(running.data_url)))
        to_admin = stack.enter_context(Wire(_address(running.admin_url)))
        scene = Scene(running, store, to_store, to_models, to_gateway, to_admin)
        wait_until(lambda: scene.ask("/x").is_exact, "it serves")
        yield scene


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return socket.gethostbyname(parts.hostname), parts.port

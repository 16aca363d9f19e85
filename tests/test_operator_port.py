"""The operator's port of a whole gateway: behind TLS, and out of the data port's reach."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gateway.process.runfile import Running
from tests.servers import HOST, Valkey, free_port
from tests.serving import served
from tests.tls import Authority

TOKEN = "correct-horse"


@dataclass(frozen=True, slots=True)
class Up:
    """A gateway whose admin port speaks TLS and wants a token."""

    running: Running
    folder: Path
    authority: Authority

    def ask(self, path: str, token: str = TOKEN, method: str = "GET") -> tuple[int, bytes]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = self.running.admin_url.rstrip("/") + path
        request = urllib.request.Request(url, headers=headers, method=method)
        context = ssl.create_default_context(cafile=self.authority.ca)
        try:
            with urllib.request.urlopen(request, timeout=10, context=context) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def command(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """A command typed in the folder that the gateway was started in."""
        return _graygate(self.folder, *words, GRAYGATE_ADMIN__TOKEN=TOKEN, **environ)

    def to_data_port(self, head: bytes) -> bytes:
        parts = urlsplit(self.running.data_url)
        with socket.create_connection((HOST, parts.port or 0), 10) as connection:
            connection.sendall(head + b"\r\nConnection: close\r\n\r\n")
            return b"".join(iter(lambda: connection.recv(65_536), b""))


def _graygate(folder: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway.cli", *words],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("gateway")
    cert, key = authority.issue("operator-port")
    (folder / "token").write_text(TOKEN)
    settings = [f"admin.tls_cert={cert}", f"admin.tls_key={key}"]
    settings.append(f"admin.token_file={folder / 'token'}")
    with Valkey() as store:
        store.cli("HSET gray:route:chat:versions v1 http://10.0.0.1:1")
        store.cli("HSET gray:route:chat stable v1 path /chat")
        store.cli("SADD gray:routes chat")
        with served(folder, store.url, *settings) as running:
            yield Up(running, folder, authority)


def test_where_a_gateway_behind_tls_is_told_and_commands_in_its_folder_reach_it(up: Up) -> None:
    assert up.running.admin_url.startswith("https://")
    assert up.running.data_url.startswith("http://")
    done = up.command("ready")
    assert (done.returncode, done.stdout, done.stderr) == (0, "ok\n", "")
    assert "chat" in up.command("get").stdout
    told = up.command("get", "--gateway", up.running.admin_url)
    assert (told.returncode, "is not trusted" in told.stderr) == (3, True)
    ca = {"GRAYGATE_GATEWAY_CA": up.authority.ca}
    assert up.command("get", "--gateway", up.running.admin_url, **ca).returncode == 0
    assert up.ask("/readyz", token="") == (200, b"ok\n")


def test_without_tls_the_port_says_nothing(up: Up) -> None:
    parts = urlsplit(up.running.admin_url)
    with socket.create_connection((HOST, parts.port or 0), 10) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"HTTP/" not in connection.recv(65_536)


@pytest.mark.parametrize(
    "head",
    [
        b"GET /api/v1/state HTTP/1.1\r\nHost: %b",
        b"GET /metrics HTTP/1.1\r\nHost: %b",
        b"GET /readyz?verbose HTTP/1.1\r\nHost: %b",
        b"GET /healthz HTTP/1.1\r\nHost: localhost:8081",
        b"GET //api/v1/state HTTP/1.1\r\nHost: %b",
        b"GET /%%61pi/v1/state HTTP/1.1\r\nHost: %b",
        b"GET /admin HTTP/1.1\r\nHost: %b",
        b"GET /%%61dmin HTTP/1.1\r\nHost: %b",
        b"GET http://%b/api/v1/state HTTP/1.1\r\nHost: %b",
        b"GET https://%b/metrics HTTP/1.1\r\nHost: %b",
    ],
)
def test_A03_the_data_port_never_leads_to_the_operators_port(up: Up, head: bytes) -> None:
    admin = urlsplit(up.running.admin_url).netloc.encode()
    filled = head % ((admin,) * head.count(b"%b"))
    answer = up.to_data_port(filled + b"\r\nAuthorization: Bearer " + TOKEN.encode())
    assert answer.split(b" ", 2)[1] in (b"400", b"404", b"421"), answer
    assert b"graygate_requests_total" not in answer
    assert b"table_age_seconds" not in answer


@pytest.mark.parametrize(
    "path",
    ["/debug", "/debug/pprof/", "/debug/vars", "/_debug", "/__debug__", "/status",
     "/server-status", "/actuator/env", "/docs", "/openapi.json", "/env", "/api/v1/settings",
     "/api/v1/config", "/api/v1/redis", "/.git/config", "/static/../../etc/passwd"],
)  # fmt: skip
def test_A23_there_are_no_doors_beside_the_table(up: Up, path: str) -> None:
    assert up.ask(path)[0] in (400, 404)
    assert up.ask(path, token="")[0] in (400, 401)


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "OPTIONS", "DEBUG"])
def test_A23_nothing_answers_to_a_method_that_is_not_in_the_table(up: Up, method: str) -> None:
    assert up.ask("/api/v1/state", method=method)[0] in (400, 404, 405)


def test_A21_metrics_and_probes_tell_no_settings_and_no_secret(up: Up) -> None:
    for path in ("/metrics", "/healthz", "/readyz", "/readyz?verbose", "/api/v1/state"):
        status, body = up.ask(path)
        assert status == 200
        assert TOKEN.encode() not in body
        assert b"tls_key" not in body and b"operator-port" not in body
    assert up.ask("/metrics", token="")[0] == 401
    assert up.ask("/readyz?verbose", token="")[0] == 401


def test_A02_without_a_token_no_port_is_opened_to_others(tmp_path: Path) -> None:
    port = free_port()
    done = _graygate(
        tmp_path, "serve", "--set", "admin.host=0.0.0.0", "--admin-port", str(port), "--port", "0"
    )
    assert done.returncode == 2
    assert "without a token the admin port stays on loopback" in done.stderr
    assert "Traceback" not in done.stderr
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, port), 1)


def test_A02_four_eyes_take_people_that_can_be_told_apart(tmp_path: Path) -> None:
    done = _graygate(tmp_path, "config", "check", GRAYGATE_ADMIN__FOUR_EYES="true")
    assert done.returncode == 2
    assert "needs admin.token" in done.stderr + done.stdout

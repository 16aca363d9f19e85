"""A-14: canaries go through a whole gateway, and nothing that it writes or tells holds one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.process.runfile import RUN_FILE, read_run_file
from tests.process.harness import Model
from tests.proxy.side import closed_port
from tests.servers import Server, Valkey, wait_until

# One for each place, so that a failure says which one sings.
STORE, ADMIN, OVERRIDE, JWT, UNITS = (
    f"canary-{name}-5ecret" for name in ("store", "admin", "override", "jwt", "units")
)
HEADER, COOKIE, KEY, QUERY, USER, BODY, URL = (
    f"canary-{name}-5ecret" for name in ("header", "cookie", "key", "query", "user", "body", "url")
)
CANARIES = [
    *(STORE, ADMIN, OVERRIDE, JWT, UNITS),
    *(HEADER, COOKIE, KEY, QUERY, USER, BODY, URL),
]
CREDENTIALS = {
    "authorization": f"Bearer {HEADER}",
    "proxy-authorization": f"Basic {HEADER}",
    "cookie": f"session={COOKIE}",
    "x-api-key": KEY,
    "api-key": KEY,
    "x-goog-api-key": KEY,
    "x-graygate-override": f"v2:{HEADER}",
    "x-user-id": USER,
}
PATHS = [
    f"/v1/models?key={QUERY}&access_token={QUERY}",
    f"/v1/models?%6bey={QUERY}&sig={QUERY}&a=1",
    f"/dead?token={QUERY}",
    f"/nowhere?password={QUERY}",
    "/v1/models",
]
ADMIN_PATHS = [
    *("/metrics", "/healthz", "/readyz?verbose", "/api/v1/state", "/api/v1/instances"),
    *("/api/v1/routes", "/api/v1/routes/chat", "/api/v1/routes/chat/history"),
    *("/api/v1/whoami", "/api/v1/tokens", "/api/v1/audit", "/api/v1/audit/verify"),
    *("/api/v1/routes/none", f"/api/v1/routes/chat/explain?unit=a&token={QUERY}"),
]


@dataclass(frozen=True)
class Gateway:
    """A gateway that an operator has started, and the folder that it works in."""

    data_url: str
    admin_url: str
    folder: Path

    def fetch(self, url: str, **headers: str) -> bytes:
        """Head and body of an answer, whatever it is."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(url, headers=named, data=BODY.encode())
        request.method = "POST" if url.startswith(self.data_url) else "GET"
        if request.method == "GET":
            request.data = None
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return bytes(str(answer.headers).encode() + answer.read())
        except urllib.error.HTTPError as error:
            return str(error.headers).encode() + error.read()

    def admin(self, path: str) -> bytes:
        return self.fetch(self.admin_url + path, Authorization=f"Bearer {ADMIN}")


@contextmanager
def served(folder: Path, store: Server) -> Iterator[Gateway]:
    """`graygate serve` with every secret that there is, as talkative as it gets."""
    (folder / "gateway.toml").write_text(
        '[log]\nlevel = "debug"\nformat = "json"\n[access_log]\npath = "stdout"\n'
        "[listen]\nport = 0\n[admin]\nport = 0\n[process]\nworkers = 1\n"
        f'[redis]\nurl = "{store.url}"\n'
    )
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GRAYGATE_REDIS__PASSWORD": STORE,
        "GRAYGATE_ADMIN__TOKEN": ADMIN,
        "GRAYGATE_ROUTING__OVERRIDE_KEY": OVERRIDE,
        "GRAYGATE_ROUTING__JWT_KEY": JWT,
        "GRAYGATE_ACCESS_LOG__UNITS_KEY": UNITS,
    }
    words = [sys.executable, "-m", "gateway.cli", "serve", "--config", "gateway.toml"]
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        process = subprocess.Popen(words, cwd=folder, stdout=out, stderr=err, env=environment)
    try:
        wait_until(
            lambda: read_run_file(folder / RUN_FILE) is not None or process.poll() is not None,
            "the gateway is up",
        )
        running = read_run_file(folder / RUN_FILE)
        assert running is not None, (folder / "err").read_text()
        yield Gateway(running.data_url.rstrip("/"), running.admin_url.rstrip("/"), folder)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(40)


def seed(store: Server, model: Model) -> None:
    store.cli(f"HSET gray:route:chat:versions v1 {model.url} v2 {model.url}")
    store.cli("HSET gray:route:chat stable v1 path /v1 unit query:key")
    store.cli(f"HSET gray:route:dead:versions v1 http://127.0.0.1:{closed_port()}")
    store.cli("HSET gray:route:dead stable v1 path /dead dialect openai")
    store.cli("SADD gray:routes chat dead")


def test_A14_nothing_that_a_gateway_writes_or_tells_holds_a_secret(tmp_path: Path) -> None:
    with Valkey(password=STORE) as store, Model("v1") as model:
        seed(store, model)
        told: list[bytes] = []
        with served(tmp_path, store) as gateway:
            wait_until(lambda: b'"chat"' in gateway.admin("/api/v1/routes"), "the routes are known")
            told += [gateway.fetch(gateway.data_url + path, **CREDENTIALS) for path in PATHS]
            told.append(gateway.fetch(gateway.admin_url + "/api/v1/routes", Authorization=HEADER))
            # A URL with credentials in it, typed into the store, and one more change after it.
            store.cli(f"HSET gray:route:chat:versions v2 http://user:{URL}@127.0.0.1:1")
            wait_until(
                lambda: b"credentials do not belong" in gateway.admin("/api/v1/state"),
                "it is refused",
            )
            told.append(gateway.admin("/api/v1/state"))
            told.append(gateway.admin("/metrics"))
            store.cli(f"HSET gray:route:chat:versions v2 {model.url}")
            store.cli("HSET gray:route:chat:weights v2 10")
            wait_until(
                lambda: b'"v2":10' in gateway.admin("/api/v1/routes/chat"), "the split is in force"
            )
            told += map(gateway.admin, ADMIN_PATHS)
            store.kill()  # what is said of a store that is away
            wait_until(lambda: b"graygate_redis_up 0" in gateway.admin("/metrics"), "it is noticed")
        written = {
            path: path.read_bytes()
            for path in tmp_path.rglob("*")
            if path.is_file() and path.name != "gateway.toml"
        }
    log = [json.loads(line) for line in (tmp_path / "err").read_text().splitlines()]
    lines = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    assert len(log) > 5
    assert [line["path"].partition("?")[0] for line in lines] == [
        path.partition("?")[0] for path in PATHS
    ]
    assert any("state" in str(path) for path in written)
    for canary in CANARIES:
        singing = [path for path, content in written.items() if canary.encode() in content]
        assert not singing, f"{canary} is in {singing}"
        heard = [answer for answer in told if canary.encode() in answer]
        assert not heard, f"{canary} is in {heard}"

"""A whole gateway never speaks to where no endpoint may be, however it is named."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.servers import HOST, Server, wait_until
from tests.serving import admin, ask, served


def add_version(url: str, name: str, endpoint: str) -> tuple[int, dict[str, str]]:
    body = json.dumps({"name": name, "urls": [endpoint]}).encode()
    request = urllib.request.Request(
        f"{url}/api/v1/routes/chat/versions", body, {"content-type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_A08_A09_what_is_refused_at_writing_is_refused_at_connecting_too(
    store: Server, tmp_path: Path
) -> None:
    with socket.create_server((HOST, 0)) as model:
        model.setblocking(False)
        store.cli(f"HSET gray:route:chat:versions v1 http://localhost:{model.getsockname()[1]}")
        store.cli("HSET gray:route:chat stable v1")
        store.cli("SADD gray:routes chat")
        with served(tmp_path, store.url, "upstream.denied_networks=127.0.0.0/8,::1/128") as running:
            url = running.admin_url.rstrip("/")
            wait_until(lambda: "chat" in str(admin(running, "/api/v1/state")["routes"]), "read")
            wait_until(lambda: ask(running.data_url)[0] == 502, "the workers have the route")
            status, told = add_version(url, "v2", "http://127.0.0.1:9001")
            assert (status, told["code"]) == (422, "refused")
            assert "upstream.denied_networks" in told["detail"]
            port = store.url.rpartition(":")[2].partition("/")[0]
            status, told = add_version(url, "v2", f"http://localhost:{port}")
            assert (status, "the port of the store" in told["detail"]) == (422, True)
        # A name may lead anywhere: this one led to what the settings deny, and nobody went there.
        with pytest.raises(BlockingIOError):
            model.accept()

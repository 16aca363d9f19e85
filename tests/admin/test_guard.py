from __future__ import annotations

import pytest

from tests.admin.running import Running, plant, redis_settings, revision, running
from tests.admin.table import CALLS, OPEN
from tests.servers import Server

TOKEN = "correct horse"


async def test_every_call_but_the_probes_wants_the_token(store: Server) -> None:
    plant(store)
    async with running(redis_settings(store), token=TOKEN) as side:
        await revision(side)
        for method, template in side.admin.calls:
            call = CALLS["GET" if method == "HEAD" else method, template]
            for headers in (
                {},
                {"authorization": "Bearer wrong"},
                {"authorization": f"Basic {TOKEN}"},
                {"authorization": TOKEN},
                {"authorization": "Bearer "},
            ):
                answer = await side.ask(method, call.path, call.content, **headers)
                if call.path in OPEN:
                    assert answer.status in (200, 503)
                    continue
                assert answer.status == 401, (method, call, headers)
                assert answer.headers["WWW-Authenticate"] == "Bearer"
                if method != "HEAD":
                    assert answer.json["code"] == "unauthorized"
        assert side.store.snapshot.routes["chat"].revision == 1
        for (method, _), call in CALLS.items():
            answer = await side.ask(
                method, call.path, call.content, authorization=f"Bearer {TOKEN}"
            )
            assert answer.status == call.status or call.path == "/readyz", (call, answer)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8081", "10.0.0.1", "[::", "127.1.evil"]
)
async def test_without_a_token_every_call_wants_a_local_name(side: Running, host: str) -> None:
    for (method, _), call in CALLS.items():
        answer = await side.ask(method, call.path, call.content, host=host)
        assert answer.status == 421, call
        assert answer.json["code"] == "wrong_host"


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://["])
async def test_every_call_refuses_pages_of_other_origins(side: Running, origin: str) -> None:
    for (method, _), call in CALLS.items():
        answer = await side.ask(method, call.path, call.content, origin=origin)
        assert answer.status == 403, call
        assert answer.json["code"] == "foreign_origin"
    own = await side.ask("GET", "/api/v1/state", origin=side.url)
    assert own.status == 200


@pytest.mark.parametrize(
    "header", [b"Authorization: Bearer \xff\xfe", b"Origin: http://\xff[", b"If-Match: \xff"]
)
async def test_a_header_of_strange_bytes_is_refused_as_any_other(
    store: Server, header: bytes
) -> None:
    async with running(redis_settings(store), token=TOKEN) as side:
        request = b"GET /api/v1/state HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + header
        answer = await side.raw(request + b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 401 ")

from __future__ import annotations

import logging

import pytest

from tests.admin.running import Running, plant, redis_settings, revision, running, until
from tests.admin.table import CALLS, PUT_HEAD
from tests.servers import Server


async def test_the_table_holds_every_call_there_is(side: Running) -> None:
    calls = side.admin.calls
    assert {call for call in calls if call[0] != "HEAD"} == set(CALLS)
    assert {path for method, path in calls if method == "HEAD"} == {
        path for method, path in CALLS if method == "GET"
    }


async def test_every_call_succeeds(side: Running, store: Server) -> None:
    side.workers.append(side.worker())
    for (method, _), call in CALLS.items():
        if (method, call.path) == ("DELETE", "/api/v1/routes/chat"):
            store.execute("HSET", "gray:route:chat:release", "running", "0")
        answer = await side.ask(method, call.path, call.content)
        assert answer.status == call.status, (call, answer)
        assert answer.headers["Content-Type"].partition(";")[0] == call.kind, call
        assert answer.headers["Server"] == "graygate"


async def test_what_is_not_in_the_table_is_not_found_and_the_wrong_method_says_which(
    side: Running,
) -> None:
    missing = await side.ask("GET", "/api/v2/state")
    assert (missing.status, missing.json["code"]) == (404, "not_found")
    assert missing.json["detail"] == "There is nothing at this path; the API begins at /api/v1."
    wrong = await side.ask("POST", "/api/v1/routes/chat")
    assert (wrong.status, wrong.json["code"]) == (405, "method_not_allowed")
    assert wrong.json["detail"] == "This path takes DELETE, GET, HEAD, PATCH, PUT only."
    assert set(wrong.headers["Allow"].split(",")) == {"DELETE", "GET", "HEAD", "PATCH", "PUT"}


async def test_without_a_store_reading_goes_on_and_writing_is_503(
    fresh_valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.admin.bulk.PATIENCE_SECONDS", 0.5)
    plant(fresh_valkey)
    async with running(redis_settings(fresh_valkey, timeout_seconds=0.3)) as side:
        await revision(side)
        side.workers.append(side.worker())
        fresh_valkey.kill()
        await until(lambda: not side.store.status.is_connected, "the store is missed")
        for (method, _), call in CALLS.items():
            answer = await side.ask(method, call.path, call.content)
            if not call.needs_store:
                assert answer.status == call.status, (call, answer)
                continue
            assert answer.status == 503, (call, answer)
            assert answer.json["code"] == "store_unavailable"
            assert answer.json["detail"].startswith("no connection to the store at ")
            assert answer.headers["Retry-After"] == "1"
        fresh_valkey.start()
        await until(lambda: side.store.status.is_connected, "the store is found again")
        await side.ask_until(200, "PUT", "/api/v1/routes/chat/weights", {"weights": {"v2": 5}})


async def test_a_frozen_store_is_503_as_well(fresh_valkey: Server) -> None:
    plant(fresh_valkey)
    async with running(redis_settings(fresh_valkey, timeout_seconds=0.3)) as side:
        await revision(side)
        fresh_valkey.freeze()
        try:
            put = await side.ask("PUT", "/api/v1/routes/chat/weights", {"weights": {"v2": 5}})
            assert (put.status, put.json["code"]) == (503, "store_unavailable")
            assert (await side.ask("GET", "/api/v1/state")).status == 200
        finally:
            fresh_valkey.thaw()


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /api/v1/state?\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nBad header\r\n\r\n",
        PUT_HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        PUT_HEAD + b"Content-Length: x\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_told_so_and_leaves_no_traceback(
    side: Running, request_bytes: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await side.raw(request_bytes)
    assert answer.split(b"\r\n")[0].split()[1] == b"400"
    assert not [record for record in caplog.records if record.exc_info]
    assert not [record for record in caplog.records if record.levelno > logging.INFO]

from __future__ import annotations

import asyncio

import pytest

from gateway.admin.roles import MAX_BODY_BYTES, MAX_LIST_BYTES
from tests.admin.running import Running, until
from tests.admin.table import CALLS, PUT_HEAD, WITH_BODY
from tests.servers import HOST

BAD_BODIES = {
    "nothing": b"",
    "no JSON": b"{",
    "no object": b"[]",
    "an unknown field": b'{"nonsense": 1}',
    "nested arrays": b"[" * 100_000,
    "nested objects": b'{"a":' * 100_000,
    "no UTF-8": b'{"why": "\xff"}',
    "half a character": b'{"why": "\\ud800"}',
    "the wrong type": b'{"weights": 1, "revision": "x", "add": {}, "why": 1}',
    "endless numbers": b'{"weights": {"v2": 1e400}, "revision": 1e400, "add": [1e400], "why": 1}',
    "a key twice": b'{"why": "", "why": ""}',
    "a key twice, otherwise good": (
        b'{"why": "a", "why": "b", "weights": {"v2": 1}, "revision": 1, "add": [], "name": "x"}'
    ),
    "huge numbers": b'{"revision": %s}' % (b"9" * 5000),
}


async def test_every_body_is_declared_as_json_and_sent_as_it_is(side: Running) -> None:
    for (method, _), call in WITH_BODY.items():
        for headers in (
            {"content_type": "text/plain"},
            {"content_type": "application/x-www-form-urlencoded"},
            {"content_type": "application/json", "content_encoding": "gzip"},
            {"content_type": "application/json", "content_encoding": "br"},
        ):
            answer = await side.ask(method, call.path, call.content, **headers)
            assert answer.status == 415, (call, headers)
            assert answer.json["code"] == "unsupported_media_type"


@pytest.mark.parametrize("name", BAD_BODIES)
async def test_A18_no_body_is_bad_enough_to_make_a_call_fail(side: Running, name: str) -> None:
    for (method, _), call in WITH_BODY.items():
        answer = await side.ask(method, call.path, BAD_BODIES[name])
        assert answer.status == 400, (call, answer)
        assert answer.json["code"] == "bad_body"
    assert side.store.snapshot.routes["chat"].revision == 1


async def test_A18_a_key_that_comes_twice_at_any_depth_is_named(side: Running) -> None:
    body = b'{"weights": {"v2": 1, "v\\u0032": 99}}'
    answer = await side.ask("PUT", "/api/v1/routes/chat/weights", body)
    assert (answer.status, answer.json["code"]) == (400, "bad_body")
    assert answer.json["detail"] == "The body cannot be used: 'v2' comes 2 times."


async def test_A18_a_body_without_a_length_is_cut_off_where_it_is_too_large(side: Running) -> None:
    piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    answer = await side.raw(PUT_HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + piece * 17)
    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_A18_a_body_that_is_too_large_is_refused_by_every_call(side: Running) -> None:
    for (method, template), call in WITH_BODY.items():
        is_list = "list" in template or template.endswith("{segment}")
        most = MAX_LIST_BYTES if is_list else MAX_BODY_BYTES
        answer = await side.ask(method, call.path, b" " * (most + 1))
        assert answer.status == 413, call
        assert answer.json["detail"] == "The body is too large; send it in portions."


@pytest.mark.parametrize("name", ["ghost", "%ff", "a%3Ab", "-", "x" * 65, "%3Cscript%3E"])
async def test_a_route_that_is_not_there_is_not_found(side: Running, name: str) -> None:
    for (method, template), call in CALLS.items():
        if "{route}" in template and not (call.creates and name == "ghost"):
            answer = await side.ask(method, call.path.replace("chat", name), call.content)
            assert answer.status == 404, (call, answer)
            assert answer.json["code"] == "not_found"


async def test_a_write_that_expects_another_revision_is_a_conflict(side: Running) -> None:
    for (method, _), call in CALLS.items():
        if call.is_write:
            answer = await side.ask(method, call.path, call.content, if_match='"7"')
            assert answer.status == 409, (call, answer)
            assert answer.json["code"] == "revision_conflict"
            assert "Retry-After" not in answer.headers
            unclear = await side.ask(method, call.path, call.content, if_match="W/x")
            assert unclear.status == 400, call
    assert (await side.get("/api/v1/routes/chat"))["revision"] == 1


async def test_a_caller_that_goes_while_it_sends_leaves_no_traceback(
    side: Running, caplog: pytest.LogCaptureFixture
) -> None:
    before = len(asyncio.all_tasks())
    _, writer = await asyncio.open_connection(HOST, side.port)
    writer.write(PUT_HEAD + b"Content-Length: 100\r\n\r\n{")
    await until(lambda: len(asyncio.all_tasks()) > before, "the call has begun")
    writer.close()
    await writer.wait_closed()
    await until(lambda: len(asyncio.all_tasks()) == before, "the call has ended")
    assert not [record for record in caplog.records if record.exc_info]

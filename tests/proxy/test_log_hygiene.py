"""A-13, A-14: what strangers send does not write our log, and secrets are in none of it."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from tests.proxy.conftest import Start
from tests.proxy.link import Ending
from tests.proxy.scripts import cut
from tests.proxy.side import Side, closed_port

CANARY = "canary-5ecret"
NASTY = [
    b"GET /\x1b[31m%b HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /?key=%b#x HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: %b@a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %b\x01\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nCookie: %b\r\nX-Api-Key\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX-Api-Key: %b\r\nContent-Length: x\r\n\r\n",
    b"%b GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"TRACE /%b HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%b\r\n",
    b"GET /" + b"x" * 9000 + b"%b HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX-User-Id: %b\x7f\r\n\r\n",
]


def check(caplog: pytest.LogCaptureFixture) -> None:
    assert CANARY not in caplog.text
    for record in caplog.records:
        message = record.getMessage()
        assert "\n" not in message and "\r" not in message and "\x1b" not in message
        assert len(message) < 2000
        assert record.exc_info is None


@pytest.mark.parametrize("request_bytes", NASTY)
async def test_A13_A14_a_request_that_cannot_be_read_leaves_none_of_its_bytes(
    side: Side, request_bytes: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "gateway")
    client = await side.dial()
    client.send(request_bytes.replace(b"%b", CANARY.encode()))
    answer = await client.answer()
    assert answer.status >= 400
    assert CANARY.encode() not in answer.head + answer.body
    await client.to_end(None)
    check(caplog)


@pytest.mark.parametrize("kind", ["connect", "gone", "garbled", "cut", "status"])
async def test_A14_a_failure_of_a_model_leaves_no_secret(
    side: Side, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "gateway")
    canary = CANARY.encode()
    match kind:
        case "connect":
            side.use_urls(f"http://127.0.0.1:{closed_port()}/")
        case "gone":
            side.model.answer = cut(b"", Ending.RESET)
        case "garbled":
            side.model.answer = b"HTTP/1.1 200 OK\r\nX " + canary + b": \x1b[31m\r\n\r\n"
        case "cut":
            side.model.answer = cut(
                b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" + canary, Ending.FIN
            )
        case "status":
            side.model.answer = b"HTTP/1.1 500 " + canary + b"\r\nContent-Length: 0\r\n\r\n"
    client = await side.dial()
    client.send(
        b"POST /p?token=%b&key=%b HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %b\r\n"
        b"Cookie: s=%b\r\nX-Api-Key: %b\r\napi-key: %b\r\nX-User-Id: %b\r\n"
        b"Connection: close\r\nContent-Length: 13\r\n\r\n%b" % ((canary,) * 8)
    )
    await client.to_end(None)
    check(caplog)


async def test_A13_failures_are_told_at_a_bounded_rate(
    side: Side, caplog: pytest.LogCaptureFixture
) -> None:
    side.use_urls(f"http://127.0.0.1:{closed_port()}")
    for _ in range(200):
        assert (await side.ask()).status in (502, 503)
    assert 0 < len(caplog.records) < 10


async def test_A13_requests_that_cannot_be_read_do_not_fill_the_log(
    side: Side, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(100):
        client = await side.dial()
        client.send(b"GET\x01 / HTTP/1.1\r\n\r\n")
        assert (await client.answer()).status == 400
    assert len(caplog.records) < 10


async def test_A14_the_access_log_holds_no_secret_and_one_line_for_each_request(
    start: Start, tmp_path: Path
) -> None:
    path = tmp_path / "access.log"
    side = await start(access_log={"path": str(path)})
    canary = CANARY.encode()
    lines = [
        b"GET /p?key=%b&token=%b&q=1 HTTP/1.1",
        b"GET /p?api_key=%b HTTP/1.1",
        b'GET /p?x=%%1b%%0d%%0a"\\ HTTP/1.1',
        b"GET /nowhere\x01%b HTTP/1.1",
        b"GET /#%b HTTP/1.1",
    ]
    for line in lines:
        head = line.replace(b"%b", canary).replace(b"%%", b"%") + b"\r\nHost: a\r\n"
        head += b"Authorization: Bearer %b\r\nCookie: s=%b\r\nX-Api-Key: %b\r\n" % ((canary,) * 3)
        client = await side.dial()
        client.send(head + b"X-User-Id: %b\r\nConnection: close\r\n\r\n" % canary)
        await client.answer()
        await client.to_end(None)
    await side.drain(1)
    written = path.read_bytes()
    assert canary not in written
    records = [json.loads(line) for line in written.splitlines()]
    assert len(records) == len(lines)
    for line in written.splitlines():
        assert len(line) < 4096 and all(byte >= 0x20 for byte in line)
    assert [record["status"] for record in records] == [200, 200, 200, 400, 400]
    assert all(record["request_id"] for record in records)


async def test_A13_a_long_target_is_cut_in_the_access_log(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    side = await start(access_log={"path": str(path)})
    assert (await side.ask("/" + "x" * 8000)).status == 200
    assert (await side.ask("/" + '"' * 8000)).status == 200
    await side.drain(1)
    lines = path.read_bytes().splitlines()
    assert len(lines) == 2 and all(json.loads(line) and len(line) < 4096 for line in lines)

"""C2, P-32, P-34: what the gateway says itself, in the words that a route's clients understand."""

from __future__ import annotations

import email.utils
import json

import pytest

from gateway.routing.spec import VersionSpec
from tests.proxy.message import Answer, Request
from tests.proxy.model import ModelLink
from tests.proxy.scripts import silent
from tests.proxy.side import Side, closed_port

DIALECTS = ["openai", "anthropic", "kserve", "problem"]
SECRET = "canary-of-the-test"


async def failing(side: Side, dialect: str, kind: str) -> Answer:
    """The answer of a route of this dialect to a failure of this kind."""
    versions = {"v1": VersionSpec(urls=(f"http://127.0.0.1:{closed_port()}",))}
    match kind:
        case "connect":
            side.use(side.spec(dialect=dialect, versions=versions))
        case "timeout":
            side.model.answer = silent
            side.use(side.spec(dialect=dialect, timeouts={"first_byte": 0.15}))
        case "protocol":
            side.model.answer = f"HTTP/9.9 {SECRET}\r\n\r\n".encode()
            side.use(side.spec(dialect=dialect))
        case "full":
            side.use(side.spec(dialect=dialect, max_requests=1, max_pending=0))
            side.model.answer = silent
            client = await side.dial()
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        case "large":
            side.use(side.spec(dialect=dialect, body_limit=3))
    return await side.ask(
        f"/p?key={SECRET}",
        method="POST",
        body=b"hello",
        X_Request_Id="r1",
        Authorization=f"Bearer {SECRET}",
    )


EXPECTED = {
    "connect": (502, "upstream_connect_failed"),
    "timeout": (504, "upstream_timeout"),
    "protocol": (502, "upstream_protocol_error"),
    "full": (503, "overloaded"),
    "large": (413, "body_too_large"),
}


def check_headers(answer: Answer, kind: str) -> None:
    """What is so in all dialects (P-32)."""
    assert answer.one("x-request-id") == "r1"
    date = answer.one("date")
    assert date is not None and email.utils.parsedate_to_datetime(date).tzinfo is not None
    assert answer.one("content-length") == str(len(answer.body))
    assert "transfer-encoding" not in answer.names
    assert (answer.one("retry-after") is not None) == (answer.status == 503)
    for leak in (SECRET, "127.0.0.1", "Traceback", "gateway.", "errno", "Errno"):
        assert leak not in answer.head.decode("latin-1") + answer.body.decode(), kind


@pytest.mark.parametrize("kind", EXPECTED)
async def test_C2_problem(side: Side, kind: str) -> None:
    answer = await failing(side, "problem", kind)
    status, code = EXPECTED[kind]
    assert answer.status == status
    assert answer.one("content-type") == "application/problem+json"
    found = answer.json
    assert isinstance(found.pop("detail"), str) and isinstance(found.pop("title"), str)
    assert found.pop("type") and found.pop("request_id") == "r1"
    found.pop("instance", None)
    assert found == {"status": status, "code": code}
    check_headers(answer, kind)


@pytest.mark.parametrize("kind", EXPECTED)
async def test_C2_openai(side: Side, kind: str) -> None:
    answer = await failing(side, "openai", kind)
    status, code = EXPECTED[kind]
    assert answer.status == status
    assert answer.one("content-type") == "application/json"
    found = answer.json
    error = found.pop("error")
    assert found.pop("request_id", "r1") == "r1" and not found
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["code"], error["param"]) == (code, None)
    assert isinstance(error["message"], str) and isinstance(error["type"], str)
    check_headers(answer, kind)


@pytest.mark.parametrize("kind", EXPECTED)
async def test_C2_anthropic(side: Side, kind: str) -> None:
    answer = await failing(side, "anthropic", kind)
    status, code = EXPECTED[kind]
    assert answer.status == status
    assert answer.one("content-type") == "application/json"
    found = answer.json
    error = found.pop("error")
    assert found == {"type": "error", "request_id": "r1"}
    assert error.pop("code") == code
    assert set(error) == {"type", "message"}
    known = {"connect": "api_error", "timeout": "timeout_error", "protocol": "api_error"}
    known |= {"full": "overloaded_error", "large": "request_too_large"}
    assert error["type"] == known[kind]
    check_headers(answer, kind)


@pytest.mark.parametrize("kind", EXPECTED)
async def test_C2_kserve(side: Side, kind: str) -> None:
    answer = await failing(side, "kserve", kind)
    status, code = EXPECTED[kind]
    assert answer.status == status
    assert answer.one("content-type") == "application/json"
    found = answer.json
    assert isinstance(found.pop("error"), str)
    assert found == {"code": code, "request_id": "r1"}
    check_headers(answer, kind)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503, 529])
async def test_C2_an_error_of_the_model_passes_byte_for_byte(
    side: Side, dialect: str, status: int
) -> None:
    side.use(side.spec(dialect=dialect))
    body = b'{ "error" : {"oops":true} }\n'
    side.model.answer = (
        b"HTTP/1.1 %d Because\r\nContent-Type: text/weird\r\nContent-Length: %d\r\n\r\n%b"
        % (status, len(body), body)
    )
    answer = await side.ask()
    assert (answer.status, answer.reason, answer.body) == (status, "Because", body)
    assert answer.one("content-type") == "text/weird"


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        (b"GET /<script>alert(1)</script>\x01 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: \x1b[31m\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"TRACE / HTTP/1.1\r\nHost: a\r\nX-Api-Key: canary-of-the-test\r\n\r\n", 405),
    ],
)
async def test_P32_what_belongs_to_no_route_is_a_problem(
    side: Side, request_bytes: bytes, status: int
) -> None:
    side.use(side.spec(paths=("/only",), dialect="openai"))
    answer = await side.once(request_bytes)
    assert answer.status == status and answer.code
    assert answer.json["request_id"] == answer.one("x-request-id")
    assert answer.one("date") and answer.one("content-length") == str(len(answer.body))
    for leak in (b"canary", b"script", b"\x1b", b"Traceback"):
        assert leak not in answer.body


async def test_P32_an_error_names_version_and_reason_once_they_are_decided(side: Side) -> None:
    versions = {"v1": VersionSpec(urls=(f"http://127.0.0.1:{closed_port()}",))}
    side.use(side.spec(versions=versions))
    answer = await side.ask()
    assert (answer.one("x-graygate-version"), answer.one("x-graygate-reason")) == ("v1", "stable")


async def test_P32_an_error_to_http_1_0_is_one_that_it_understands(side: Side) -> None:
    side.use(side.spec(paths=("/only",)))
    client = await side.dial()
    client.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
    answer = await client.answer()
    assert (answer.status, answer.code) == (404, "no_route")
    assert await client.to_end() == b""


async def test_P32_a_failure_of_ours_is_a_500_without_a_traceback(
    side: Side, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_route: object) -> bytes:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr("gateway.routing.table.Route.override_key", property(broken))
    client = await side.dial()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    answer = await client.answer()
    assert (answer.status, answer.code, answer.closes) == (500, "internal_error", True)
    assert b"secret" not in answer.body and "ZeroDivisionError" in caplog.text
    monkeypatch.undo()
    assert (await side.ask()).status == 200
    assert side.in_flight() == 0


async def test_P32_a_failure_of_ours_behind_the_head_cuts_the_answer(
    side: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stream(link: ModelLink, request: Request) -> None:
        await link.body(request)
        link.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        await client.when(lambda: b"abc" in client.received, "the first chunk")
        monkeypatch.setattr("gateway.proxy.delivery.Delivery.body", broken)
        link.send(b"3\r\ndef\r\n0\r\n\r\n")

    def broken(*_args: object, **_kwargs: object) -> None:
        raise ZeroDivisionError

    side.model.answer = stream
    client = await side.dial()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert not (await client.to_end(None)).endswith(b"0\r\n\r\n")


async def test_C2_the_json_of_an_error_is_valid_whatever_the_id(side: Side) -> None:
    side.use(side.spec(paths=("/only",)))
    answer = await side.ask(X_Request_Id="a/b:c@d=~.+_-")
    assert json.loads(answer.body)["request_id"] == "a/b:c@d=~.+_-"

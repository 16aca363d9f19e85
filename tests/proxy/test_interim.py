"""The simple path of a request, between a raw client and a model that records what it sees."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time

import pytest

from gateway.config.settings import Routing
from gateway.routing.override import sign_override
from gateway.routing.spec import RuleSpec, VersionSpec
from tests.proxy.raw import KEY, PLAIN_ANSWER, Model, Side, code

# What goes through.


async def test_a_request_reaches_the_model_and_its_answer_comes_back(side: Side) -> None:
    side.model.answer = (
        b"HTTP/1.1 201 Made\r\nContent-Length: 2\r\nX-CaSe: 1\r\n"
        b"Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\nok"
    )
    reader, writer = await side.connect()
    writer.write(b"PUT /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 201 Made\r\n")
    assert head.count(b"Set-Cookie: ") == 2 and b"X-CaSe: 1\r\n" in head
    assert await reader.readexactly(2) == b"ok"
    writer.close()
    assert side.model.heads[0].startswith("PUT /p HTTP/1.1\r\n")
    assert side.model.bodies == [b"hello"]


@pytest.mark.parametrize("path", ["/a//b/../%2e%2e?x=%00&y", "/v1/%7Euser?q=a+b%20c", "/?a=1&a=2"])
async def test_path_and_query_arrive_byte_for_byte(side: Side, path: str) -> None:
    await side.ask(path)
    assert side.model.heads[0].split(" ")[1] == path


async def test_the_path_of_an_endpoint_comes_first(side: Side) -> None:
    versions = {"v1": VersionSpec(urls=(f"{side.model.url}/base/",))}
    side.use(side.spec(versions=versions))
    await side.ask("/p?q=1")
    assert side.model.heads[0].startswith("GET /base/p?q=1 ")


async def test_hop_by_hop_fields_and_nominated_ones_stay_here(side: Side) -> None:
    await side.send(
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close, X-Foo, Authorization\r\nX-Foo: 1\r\n"
        b"Keep-Alive: 5\r\nTE: gzip\r\nProxy-Connection: x\r\nAuthorization: Bearer t\r\n"
        b"X-Bar: 2\r\nX-Graygate-Evil: 1\r\nX-Graygate-Version: v9\r\n\r\n"
    )
    names = [name for name, _ in side.model.fields]
    assert set(names).isdisjoint({"x-foo", "keep-alive", "te", "proxy-connection"})
    assert side.model.field("x-bar") == ["2"]
    assert side.model.field("authorization") == ["Bearer t"]
    assert side.model.field("x-graygate-evil") == []
    assert side.model.field("x-graygate-version") == ["v1"]


async def test_the_model_sees_its_own_host_and_who_asked(side: Side) -> None:
    await side.ask(X_Forwarded_For="203.0.113.9", X_Forwarded_Proto="https", Via="1.1 front")
    assert side.model.field("host") == [side.model.url.removeprefix("http://")]
    assert side.model.field("x-forwarded-for") == ["203.0.113.9, 127.0.0.1"]
    assert side.model.field("x-forwarded-proto") == ["https"]
    assert side.model.field("x-forwarded-host") == ["front.example"]
    assert side.model.field("via") == ["1.1 front", "1.1 graygate"]


async def test_nothing_is_added_that_the_client_did_not_say(side: Side) -> None:
    await side.ask()
    names = {name for name, _ in side.model.fields}
    assert names.isdisjoint({"accept", "accept-encoding", "user-agent", "content-type"})


async def test_a_good_request_id_is_kept_and_a_bad_one_is_replaced(side: Side) -> None:
    _, answer, _ = await side.ask(X_Request_Id="abc-1")
    assert answer["x-request-id"] == "abc-1" == side.model.field("x-request-id")[0]
    for bad in ("x" * 129, "a b", 'a"b'):
        _, answer, _ = await side.ask(X_Request_Id=bad)
        assert answer["x-request-id"] != bad
        assert [answer["x-request-id"]] == side.model.field("x-request-id")


async def test_the_answer_names_version_and_reason(side: Side) -> None:
    side.model.answer = (
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: X-Hop\r\nX-Hop: 1\r\n"
        b"X-Graygate-Version: forged\r\nX-Request-Id: forged\r\n\r\n"
    )
    side.use(side.spec(), v2=frozenset({b"alice"}))
    _, answer, _ = await side.ask(X_User_Id="alice", X_Request_Id="r1")
    assert answer["x-graygate-version"] == "v2"
    assert answer["x-graygate-reason"] == "whitelist"
    assert answer["x-request-id"] == "r1"
    assert "x-hop" not in answer
    assert side.plane.decisions == {("chat", "v2", "whitelist"): 1}
    assert side.plane.requests == {("chat", "v2", "200"): 1}


async def test_the_signed_override_is_read_before_it_is_stripped(side: Side) -> None:
    signed = sign_override(KEY, "chat", "v2", int(time.time()) + 60)
    _, answer, _ = await side.ask(X_Graygate_Override=signed)
    assert (answer["x-graygate-version"], answer["x-graygate-reason"]) == ("v2", "override")
    assert side.model.field("x-graygate-override") == []


async def test_head_and_bodiless_answers_keep_the_connection_in_step(side: Side) -> None:
    reader, writer = await side.connect()
    side.model.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n"
    writer.write(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    assert b"Content-Length: 5\r\n" in head
    for status in (b"204 No Content", b"304 Not Modified"):
        side.model.answer = b"HTTP/1.1 " + status + b"\r\n\r\n"
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 " + status)
    side.model.answer = PLAIN_ANSWER
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    assert await reader.readexactly(2) == b"ok"
    writer.close()


async def test_compressed_bytes_are_passed_on_as_they_are(side: Side) -> None:
    # Not gzip at all: whoever tried to unpack it would fail.
    side.model.answer = (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nABCD"
    )
    status, answer, body = await side.ask(
        method="POST", body=b"EFGH", Content_Encoding="gzip", Accept_Encoding="gzip"
    )
    assert (status, answer["content-encoding"], body) == (200, "gzip", b"ABCD")
    assert side.model.bodies == [b"EFGH"]


async def test_a_redirect_is_the_clients_business(side: Side) -> None:
    side.model.answer = (
        b"HTTP/1.1 302 Found\r\nLocation: http://other.example/\r\nContent-Length: 0\r\n\r\n"
    )
    status, answer, _ = await side.ask()
    assert (status, answer["location"]) == (302, "http://other.example/")


async def test_empty_posts_say_so(side: Side) -> None:
    status, _, _ = await side.ask(method="POST")
    assert status == 200
    assert side.model.field("content-length") == ["0"]


# Streaming.


async def test_each_event_of_a_stream_leaves_at_once(side: Side) -> None:
    events: asyncio.Queue[bytes] = asyncio.Queue()

    async def stream(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        while event := await events.get():
            writer.write(event)

    side.model.answer = stream
    reader, writer = await side.connect()
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    async with asyncio.timeout(10):
        head = await reader.readuntil(b"\r\n\r\n")  # before there is any event
        assert b"text/event-stream" in head and b"chunked" in head
        for number in range(3):
            event = b"data: %d\n\n" % number
            await events.put(event)
            assert await reader.readuntil(event + b"\r\n") == b"9\r\n" + event + b"\r\n"
        await events.put(b"")
        assert await reader.readuntil(b"0\r\n\r\n") == b"0\r\n\r\n"
    writer.close()


async def test_an_upload_is_passed_on_while_it_comes(side: Side) -> None:
    arrived: asyncio.Queue[bytes] = asyncio.Queue()

    async def read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            size = int(await reader.readuntil(b"\r\n"), 16)
            await arrived.put(await reader.readexactly(size))
            await reader.readexactly(2)
        await reader.readuntil(b"0\r\n\r\n")
        writer.write(PLAIN_ANSWER)

    side.model.answer = read
    reader, writer = await side.connect()
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    async with asyncio.timeout(10):
        for part in (b"first", b"other"):
            writer.write(b"5\r\n" + part + b"\r\n")
            assert await arrived.get() == part
        writer.write(b"0\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
    writer.close()


async def test_who_expects_100_continue_gets_it_when_the_body_is_wanted(side: Side) -> None:
    reader, writer = await side.connect()
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
    async with asyncio.timeout(10):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"hello")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
    writer.close()
    assert side.model.bodies == [b"hello"]
    assert side.model.field("expect") == []


async def test_a_client_that_goes_takes_its_request_to_the_model_with_it(side: Side) -> None:
    async def endless(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\ndata: first\n\n")
        assert await _reader.read() == b""  # until the gateway closes

    side.model.answer = endless
    reader, writer = await side.connect()
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    async with asyncio.timeout(10):
        await reader.readuntil(b"data: first\n\n")
        writer.close()
        await side.model.gone.wait()
        while not side.plane.requests:  # noqa: ASYNC110  # the plane tells nobody
            await asyncio.sleep(0.005)
    assert side.plane.requests == {("chat", "v1", "499"): 1}


@pytest.mark.parametrize(
    "cut",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\npart",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n4\r\npart\r\n",
    ],
)
async def test_an_answer_that_was_cut_off_does_not_look_complete(side: Side, cut: bytes) -> None:
    side.model.answer = cut
    reader, writer = await side.connect()
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    assert b"part" in answer
    assert not answer.endswith(b"0\r\n\r\n")


async def _reset(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\npart")
    await writer.drain()
    await asyncio.sleep(0.05)  # what comes in one piece with the reset is lost on the way
    link = writer.get_extra_info("socket")
    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def test_a_reset_is_not_the_end_of_an_answer_that_ends_with_its_connection(
    side: Side,
) -> None:
    side.model.answer = _reset
    _, _, body = await side.ask()
    assert body == b"4\r\npart\r\n"


async def test_a_client_of_http_1_0_is_reset_when_an_answer_was_cut_off(side: Side) -> None:
    side.model.answer = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n4\r\npart\r\n"
    )
    with pytest.raises(ConnectionResetError):
        await side.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")


async def test_an_upload_that_breaks_off_never_looks_complete_to_the_model(side: Side) -> None:
    part = b"4\r\npart\r\n"
    received: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def take(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        body = await reader.readexactly(len(part))
        client.close()
        received.set_result(body + await reader.read())

    side.model.answer = take
    _, client = await side.connect()
    client.write(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + part)
    assert await asyncio.wait_for(received, 10) == part


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nX-Slow: "])
async def test_l01_a_connection_that_brings_no_request_is_closed(
    model: Model, routing: Routing, said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.proxy.interim._HEAD_SECONDS", 0.05)
    side = Side(model, routing)
    await side.start()
    reader, writer = await side.connect()
    writer.write(said)
    assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.close()
    await side.plane.drain(0)


# What the gateway answers itself.


async def test_without_a_table_the_answer_is_503(side: Side) -> None:
    side.plane.table = None
    status, answer, body = await side.ask(X_Request_Id="r1")
    assert (status, code(body), answer["retry-after"]) == (503, "no_table", "1")
    assert answer["content-type"] == "application/problem+json"
    assert json.loads(body)["request_id"] == answer["x-request-id"] == "r1"


async def test_without_a_route_the_answer_is_404(side: Side) -> None:
    side.use(side.spec(paths=("/only",)))
    status, _, body = await side.ask("/other")
    assert (status, code(body)) == (404, "no_route")
    assert side.model.heads == []


async def test_a_model_that_is_not_there_is_a_502(side: Side) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    side.use(side.spec(versions={"v1": VersionSpec(urls=(url,))}))
    status, _, body = await side.ask()
    assert (status, code(body)) == (502, "upstream_connect_failed")
    assert b"127.0.0.1" not in body
    assert side.plane.requests == {("chat", "v1", "502"): 1}


@pytest.mark.parametrize(
    "nonsense",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: x\r\n\r\n",
        b"connection: close",
        b"HTTP/1.1 200 OK\r\nX-Byte: \xff\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"
        b"0\r\n\r\n",
    ],
)
async def test_a_model_that_talks_nonsense_is_a_502(side: Side, nonsense: bytes) -> None:
    side.model.answer = nonsense
    status, _, body = await side.ask()
    assert (status, code(body)) == (502, "upstream_protocol_error")


@pytest.mark.parametrize("limit", ["first_byte", "idle", "total"])
async def test_a_model_that_does_not_answer_in_time_is_a_504(side: Side, limit: str) -> None:
    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    side.model.answer = silent
    side.use(side.spec(timeouts={limit: 0.05}))
    status, _, body = await side.ask()
    assert (status, code(body)) == (504, "upstream_timeout")
    await asyncio.wait_for(side.model.gone.wait(), 10)


async def test_p08_the_length_of_a_body_is_spelled_anew(side: Side) -> None:
    await side.send(
        b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 002\r\n\r\nhi"
    )
    assert side.model.field("content-length") == ["2"]


async def test_p16_a_client_of_http_1_0_gets_no_interim_answer(side: Side) -> None:
    status, _, body = await side.send(
        b"POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi"
    )
    assert (status, body) == (200, b"ok")


async def test_a_request_that_cannot_be_read_is_one_line_in_the_log_without_its_bytes(
    side: Side, caplog: pytest.LogCaptureFixture
) -> None:
    request = b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer s3cret\x01\r\n\r\n"
    reader, writer = await side.connect()
    writer.write(request)
    assert (await reader.readline()).split()[1] == b"400"
    writer.close()
    (record,) = caplog.records
    assert record.levelname == "WARNING" and "s3cret" not in caplog.text
    assert "Traceback" not in caplog.text and "\n" not in record.getMessage()


async def test_a_failure_of_ours_is_a_500_without_a_traceback(
    side: Side, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_args: object, **_kwargs: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr("gateway.proxy.interim.decide", broken)
    status, _, body = await side.ask()
    assert (status, code(body)) == (500, "internal_error")
    assert b"secret" not in body and "ZeroDivisionError" in caplog.text


# What is read from the body, and who is believed.


async def test_the_model_field_chooses_the_route_and_the_body_is_passed_on(side: Side) -> None:
    other = side.spec(name="other", models=("gpt-x",), stable="v2")
    side.use(side.spec(), other)
    body = b'{"model": "gpt-x", "x": 1}'
    _, answer, _ = await side.ask(method="POST", body=body)
    assert answer["x-graygate-version"] == "v2"
    assert side.model.bodies == [body]
    for strange in (b"[" * 100_000, b"no json", b'{"model": 7}', b"[1]", b""):
        _, answer, _ = await side.ask(method="POST", body=strange)
        assert answer["x-graygate-version"] == "v1"
        assert side.model.bodies[-1] == strange


async def test_a_rule_on_the_model_and_a_unit_in_the_body_are_found(side: Side) -> None:
    rule = RuleSpec(when={"model": "gpt-x"}, version="v2")
    side.use(side.spec(rules=(rule,)))
    _, answer, _ = await side.ask(method="POST", body=b'{"model": "gpt-x"}')
    assert answer["x-graygate-reason"] == "rule"
    side.use(side.spec(unit=("body:user",)), v2=frozenset({b"alice"}))
    _, answer, _ = await side.ask(method="POST", body=b'{"user": "alice"}')
    assert answer["x-graygate-reason"] == "whitelist"


async def test_a_body_is_read_up_to_a_mebibyte_and_only_where_it_is_needed(side: Side) -> None:
    body = b" " * (1024 * 1024 + 1)
    status, _, _ = await side.ask(method="POST", body=body)
    assert status == 200
    side.use(side.spec(unit=("body:user",)))
    status, _, _ = await side.ask(method="POST", body=body[:-1])
    assert status == 200
    reader, writer = await side.connect()
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body))
    async with asyncio.timeout(10):
        assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
    writer.close()


async def test_a_chunked_body_over_the_limit_is_refused_as_well(side: Side) -> None:
    side.use(side.spec(unit=("body:user",)))
    reader, writer = await side.connect()
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    writer.write(b"100001\r\n" + b" " * 0x100001 + b"\r\n0\r\n\r\n")
    async with asyncio.timeout(10):
        assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
    writer.close()
    assert side.model.heads == []


class TestUntrusted:
    """Callers that are not in a trusted network."""

    @pytest.fixture
    def routing(self) -> Routing:
        return Routing(trusted_proxies=("192.0.2.0/24",))

    async def test_are_not_believed_who_they_are(self, side: Side) -> None:
        side.use(side.spec(), v2=frozenset({b"alice"}))
        _, answer, _ = await side.ask(X_User_Id="alice")
        assert answer["x-graygate-reason"] != "whitelist"

    async def test_cannot_invent_earlier_hops(self, side: Side) -> None:
        side.use(side.spec(unit=("ip",)), v2=frozenset({b"127.0.0.1"}))
        _, answer, _ = await side.ask(
            X_Forwarded_For="203.0.113.9", X_Forwarded_Proto="https", X_Forwarded_Host="evil"
        )
        assert answer["x-graygate-reason"] == "whitelist"
        assert side.model.field("x-forwarded-for") == ["127.0.0.1"]
        assert side.model.field("x-forwarded-proto") == ["http"]
        assert side.model.field("x-forwarded-host") == ["front.example"]


class TestTrustedChain:
    """The client's address is the nearest hop that is no trusted proxy."""

    @pytest.fixture
    def routing(self) -> Routing:
        return Routing(trusted_proxies=("127.0.0.0/8", "10.0.0.0/8"))

    @pytest.mark.parametrize(
        ("chain", "client"),
        [
            ("203.0.113.9", "203.0.113.9"),
            ("198.51.100.1, 203.0.113.9, 10.0.0.2, 10.0.0.1", "203.0.113.9"),
            ("10.0.0.3", "10.0.0.3"),
            ("203.0.113.9, garbage, 10.0.0.1", "10.0.0.1"),
            ("", "127.0.0.1"),
            ("203.0.113.9," + "10.0.0.1," * 1000 + "10.0.0.2", "10.0.0.1"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
        ],
    )
    async def test_finds_the_client(self, side: Side, chain: str, client: str) -> None:
        side.use(side.spec(unit=("ip",)), v2=frozenset({client.encode()}))
        _, answer, _ = await side.ask(X_Forwarded_For=chain)
        assert answer["x-graygate-reason"] == "whitelist"


# Draining.


async def test_draining_announces_the_end_and_lets_running_requests_finish(side: Side) -> None:
    may_end = asyncio.Event()

    async def slow(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nda")
        await may_end.wait()
        writer.write(b"ta")

    idle_reader, idle_writer = await side.connect()
    idle_writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await idle_reader.readuntil(b"\r\n\r\nok")
    side.model.answer = slow
    reader, writer = await side.connect()
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await reader.readuntil(b"\r\n\r\nda")
    draining = asyncio.create_task(side.plane.drain(10))
    side.model.answer = PLAIN_ANSWER
    while "draining" not in repr(side.plane):  # noqa: ASYNC110  # the plane tells nobody
        await asyncio.sleep(0)
    idle_writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    async with asyncio.timeout(10):
        answer = await idle_reader.read()
        assert answer.endswith(b"ok") and b"Connection: close\r\n" in answer
        with pytest.raises(ConnectionRefusedError):
            await side.connect()
        assert not draining.done()
        may_end.set()
        assert await reader.read() == b"ta"
        await draining
    idle_writer.close()
    writer.close()

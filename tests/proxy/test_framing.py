"""How the end of a request is found, and which requests are refused before a model sees a byte."""

from __future__ import annotations

import pytest

from gateway.routing.spec import VersionSpec
from tests.proxy.message import Request
from tests.proxy.side import GET, Feed, Side

POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
HIDDEN = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
DEAD = "http://127.0.0.1:1"


async def arrives(side: Side, feed: Feed, request: bytes) -> Request:
    """The request as the model has it, after another one has shown where it ended."""
    client = await side.dial()
    await feed(client, request + GET)
    assert (await client.answer()).status == 200
    assert (await client.answer()).status == 200
    assert side.model.targets == ["/", "/"]
    return side.model.requests[0]


# P-04 to P-07: what is refused.


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
        b"Transfer-Encoding: chunked\r\nX: y\r\ncontent-length:3\r\n",
        b"Content-Length: 3\r\nTransfer-Encoding: identity\r\n",
        b"Content-Length: 3\r\nTransfer-Encoding:\r\n",
        b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
    ],
)
async def test_P04_content_length_with_transfer_encoding_is_refused(
    side: Side, feed: Feed, fields: bytes
) -> None:
    await side.refuses(POST + fields + b"\r\n0\r\n\r\n" + HIDDEN, 400, "bad_framing", feed)


@pytest.mark.parametrize("fields", [b"", b"Connection: keep-alive\r\n"])
async def test_P05_transfer_encoding_in_http_1_0_is_refused(
    side: Side, feed: Feed, fields: bytes
) -> None:
    head = b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n" + fields + b"\r\n"
    await side.refuses(head + b"0\r\n\r\n" + HIDDEN, 400, "bad_framing", feed)


@pytest.mark.parametrize(
    "coding",
    [
        b"",
        b"identity",
        b"identity, chunked",
        b",chunked",
        b"chunked,",
        b"chunked, chunked",
        b"chunked, identity",
        b"xchunked",
        b"x chunked",
        b'"chunked"',
        b'"x, chunked',
        b"chunked;q=1",
        b"chunked\x0b",
        b"chunked\xff",
        b"chunked\x00",
        b"chun\tked",
        b"chunked\r\nTransfer-Encoding: chunked",
        b"identity\r\nTransfer-Encoding: chunked",
        b"chunked\r\n identity",
    ],
)
async def test_P06_a_coding_that_is_not_exactly_chunked_is_refused(
    side: Side, feed: Feed, coding: bytes
) -> None:
    head = POST + b"Transfer-Encoding: " + coding + b"\r\n\r\n"
    client = await side.dial()
    await feed(client, head + b"0\r\n\r\n" + HIDDEN)
    answer = await client.answer()
    assert answer.status in (400, 501) and answer.closes
    assert await client.to_end(None) == b""
    assert side.model.received == b""


@pytest.mark.parametrize("coding", [b"gzip", b"gzip, chunked", b"chunked, gzip", b"br"])
async def test_P06_a_coding_that_is_not_ours_is_a_501(
    side: Side, feed: Feed, coding: bytes
) -> None:
    head = POST + b"Transfer-Encoding: " + coding + b"\r\n\r\n"
    await side.refuses(head + b"0\r\n\r\n", 501, "bad_framing", feed)


@pytest.mark.parametrize(
    "length",
    [
        b"3,3",
        b"3, 3",
        b"3\r\nContent-Length: 3",
        b"3\r\nContent-Length: 4",
        b"+3",
        b"-3",
        b"0x3",
        b"3.0",
        b"3e0",
        b"1_0",
        b"3;3",
        b"",
        b"3 3",
        b"\xd9\xa3",
        b"3\x0b",
        b"three",
        b"99999999999999999999",
        b"9223372036854775808",
        b"18446744073709551616",
    ],
)
async def test_P07_a_length_that_is_no_plain_number_is_refused(
    side: Side, feed: Feed, length: bytes
) -> None:
    client = await side.dial()
    await feed(client, POST + b"Content-Length: " + length + b"\r\n\r\nabc" + HIDDEN)
    answer = await client.answer()
    assert (answer.status, answer.closes) == (400, True)
    assert answer.code in ("bad_framing", "bad_header")
    assert await client.to_end(None) == b""
    assert side.model.received == b""


# P-08: what is spelled anew.


@pytest.mark.parametrize(
    "field",
    [b"Content-Length: 003", b"content-length:3", b"CONTENT-LENGTH: \t 3 \t", b"Content-Length: 3"],
)
async def test_P08_the_length_is_spelled_anew(side: Side, feed: Feed, field: bytes) -> None:
    got = await arrives(side, feed, POST + field + b"\r\n\r\nabc")
    assert (got.all("content-length"), got.body) == (["3"], b"abc")
    assert "transfer-encoding" not in got.names


@pytest.mark.parametrize(
    "field",
    [
        b"Transfer-Encoding: chunked",
        b"transfer-encoding:chunked",
        b"Transfer-Encoding:\tChUnKeD",
        b"TRANSFER-ENCODING: chunked ",
    ],
)
async def test_P08_so_is_the_coding(side: Side, feed: Feed, field: bytes) -> None:
    got = await arrives(side, feed, POST + field + b"\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
    assert (got.all("transfer-encoding"), got.body) == (["chunked"], b"abc")
    assert "content-length" not in got.names


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"DELETE", b"OPTIONS"])
async def test_P08_a_body_of_any_method_is_a_body(side: Side, feed: Feed, method: bytes) -> None:
    client = await side.dial()
    body = b"Content-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN
    await feed(client, method + b" / HTTP/1.1\r\nHost: a\r\n" + body + GET)
    side.model.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    for asked in (method.decode(), "GET"):
        assert (await client.answer(asked)).status == 200
    assert side.model.targets == ["/", "/"]
    assert side.model.requests[0].body == HIDDEN


async def test_P08_an_empty_body_says_that_it_is_empty(side: Side, feed: Feed) -> None:
    got = await arrives(side, feed, POST + b"Content-Length: 0\r\n\r\n")
    assert got.all("content-length") == ["0"]


async def test_P08_a_request_without_a_body_stays_without(side: Side, feed: Feed) -> None:
    got = await arrives(side, feed, GET)
    assert got.names.isdisjoint({"content-length", "transfer-encoding"})


# P-09: what no line may hold.


@pytest.mark.parametrize(
    "line",
    [
        b"X: a\r\n b",
        b"X: a\r\n\tb",
        b"X : a",
        b"X\t: a",
        b" X: a",
        b"X y: a",
        b": a",
        b"X",
        b"X: a\rb",
        b"X: a\r\r",
        b"\rX: a",
        b"X: a\x00b",
        b"X: a\x01b",
        b"X: a\x1bb",
        b"X: a\x7fb",
        b"X\x00: a",
        b"X\x80: a",
        b"X(: a",
        b"X@y: a",
        b'X": a',
        b"X/y: a",
        b"X[: a",
        b"X{: a",
        b"X\\: a",
        b"X: a\nY: b",
        b"X: a\n",
        b"\nX: a",
    ],
)
async def test_P09_a_line_that_is_no_field_is_refused(side: Side, feed: Feed, line: bytes) -> None:
    request = b"GET / HTTP/1.1\r\nHost: a\r\n" + line + b"\r\n\r\n" + HIDDEN
    client = await side.dial()
    await feed(client, request)
    answer = await client.answer()
    assert (answer.status, answer.closes) == (400, True), answer
    assert await client.to_end(None) == b""
    assert side.model.received == b""


@pytest.mark.parametrize(
    "request_head",
    [
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"GET / HTTP/1.1\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\n",
        b"GET / HTTP/1.1\r\nHost: a\n\n",
        b"GET / HTTP/1.1\rHost: a\r\r",
        b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        b"GET / HTTP/1.1\r\n\tX: a\r\nHost: a\r\n\r\n",
        b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b" GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x00GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
async def test_P09_a_head_with_other_line_ends_is_refused(
    side: Side, feed: Feed, request_head: bytes
) -> None:
    client = await side.dial()
    await feed(client, request_head + HIDDEN)
    answer = await client.answer()
    assert (answer.status, answer.closes) == (400, True), answer
    assert await client.to_end(None) == b""
    assert side.model.received == b""


async def test_P09_one_empty_line_before_a_request_is_no_harm(side: Side, feed: Feed) -> None:
    client = await side.dial()
    for _ in range(2):
        await feed(client, b"\r\n" + GET)
        assert (await client.answer()).status == 200
    assert side.model.targets == ["/", "/"]


# Chunks.


@pytest.mark.parametrize(
    "body",
    [
        b"0x3\r\nabc\r\n0\r\n\r\n",
        b"+3\r\nabc\r\n0\r\n\r\n",
        b"-3\r\nabc\r\n0\r\n\r\n",
        b"g\r\nabc\r\n0\r\n\r\n",
        b"3_0\r\nabc\r\n0\r\n\r\n",
        b"\r\nabc\r\n0\r\n\r\n",
        b";a=b\r\nabc\r\n0\r\n\r\n",
        b" 3\r\nabc\r\n0\r\n\r\n",
        b"3\nabc\r\n0\r\n\r\n",
        b"3\rabc\r\n0\r\n\r\n",
        b"3\r\r\nabc\r\n0\r\n\r\n",
        b"3\r\nabc\n0\r\n\r\n",
        b"3\r\nabc\r0\r\n\r\n",
        b"3\r\nabcXX0\r\n\r\n",
        b"3\r\nabc0\r\n\r\n",
        b"3\r\nabc\r\n0\n\r\n",
        b"3\r\nabc\r\n0\r\n\n",
        b"3;a\x00\r\nabc\r\n0\r\n\r\n",
        b"3;a\nabc\r\n0\r\n\r\n",
        b"3;a\rabc\r\n0\r\n\r\n",
        b'3;a="\n"\r\nabc\r\n0\r\n\r\n',
        b"3;a\x80\r\nabc\r\n0\r\n\r\n",
        b"11111111111111113\r\nabc\r\n0\r\n\r\n",
        b"ffffffffffffffff\r\nabc\r\n0\r\n\r\n",
        b"0" * 5000 + b"3\r\nabc\r\n0\r\n\r\n",
        b"3\r\nabc\r\n0\r\nX: y\n\r\n",
        b"3\r\nabc\r\n0\r\nX : y\r\n\r\n",
        b"3\r\nabc\r\n0\r\nX\r\n\r\n",
        b"3\r\nabc\r\n0\r\nX: y\r\n z\r\n\r\n",
        b"3\r\nabc\r\n0\r\nX: \x00\r\n\r\n",
    ],
)
async def test_P13_chunks_that_can_be_read_in_two_ways_are_refused(
    side: Side, feed: Feed, body: bytes
) -> None:
    client = await side.dial()
    await feed(client, CHUNKED + body + HIDDEN)
    answer = await client.answer()
    # The model may have seen the beginning, but never an end, and nothing that came behind it.
    assert (answer.status, answer.closes) == (400, True), answer
    assert answer.code == "bad_framing"
    assert await client.to_end(None) == b""
    assert side.model.requests == []
    assert b"smuggled" not in side.model.received
    assert not side.model.received.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize(
    "body",
    [
        b"3\r\nabc\r\n0\r\n\r\n",
        b"0003\r\nabc\r\n000\r\n\r\n",
        b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n",
        b"3;a=b\r\nabc\r\n0;last\r\n\r\n",
        b'3;a="b;c"\r\nabc\r\n0\r\n\r\n',
        b"3;" + b"x" * 1000 + b"\r\nabc\r\n0\r\n\r\n",
    ],
)
async def test_P13_extensions_and_zeros_are_not_passed_on(
    side: Side, feed: Feed, body: bytes
) -> None:
    got = await arrives(side, feed, CHUNKED + body)  # the model refuses chunks with extensions
    assert got.body == b"abc"


async def test_P13_upper_case_sizes_are_read(side: Side, feed: Feed) -> None:
    got = await arrives(side, feed, CHUNKED + b"A\r\n0123456789\r\n0\r\n\r\n")
    assert got.body == b"0123456789"


@pytest.mark.parametrize(
    "body",
    [
        b"3;" + b"x" * 16384 + b"\r\nabc\r\n0\r\n\r\n",
        b"3\r\nabc\r\n0;" + b"x" * 16384 + b"\r\n\r\n",
        b"1;"
        + b"x" * 1000
        + b"\r\na\r\n"
        + (b"1;" + b"x" * 1000 + b"\r\na\r\n") * 16
        + b"0\r\n\r\n",
    ],
)
async def test_P13_extensions_without_end_are_refused(side: Side, body: bytes) -> None:
    client = await side.dial()
    client.send(CHUNKED + body)
    assert 400 <= (await client.answer()).status < 500
    await client.to_end(None)
    assert side.model.requests == []


# P-14: trailers.


TRAILER = (
    b"Host: evil\r\nAuthorization: Bearer evil\r\nX-User-Id: alice\r\nX-T: 1\r\n"
    b"X-Graygate-Version: v9\r\nCookie: uid=alice\r\n"
)


async def test_P14_a_trailer_is_no_part_of_the_head(side: Side, feed: Feed) -> None:
    side.use(side.spec(unit=("header:x-user-id", "cookie:uid")), v2=frozenset({b"alice"}))
    head = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: TE, close\r\n"
    head += b"Trailer: X-User-Id\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = await side.once(head + b"3\r\nabc\r\n0\r\n" + TRAILER + b"\r\n", feed=feed)
    assert answer.one("x-graygate-version") == "v1"
    [got] = side.model.requests
    assert got.body == b"abc" and b"evil" not in got.head + got.trailer
    assert {"authorization", "x-user-id", "cookie", "x-t"}.isdisjoint(got.names)


@pytest.mark.parametrize("field", [b"Content-Length: 5", b"Transfer-Encoding: chunked"])
async def test_P14_framing_in_a_trailer_frames_nothing(
    side: Side, feed: Feed, field: bytes
) -> None:
    client = await side.dial()
    await feed(client, CHUNKED + b"3\r\nabc\r\n0\r\n" + field + b"\r\n\r\n" + GET)
    answer = await client.answer()
    if answer.status == 200:
        assert (await client.answer()).status == 200
        assert side.model.targets == ["/", "/"]
    else:
        assert (answer.status, answer.closes) == (400, True)
        assert side.model.requests == []
    assert field not in side.model.received.split(b"\r\n0\r\n")[-1]


@pytest.mark.parametrize(
    "trailer", [b"X: " + b"y" * 20_000 + b"\r\n", b"X: y\r\n" * 5000], ids=["long", "many"]
)
async def test_P14_a_trailer_without_end_is_refused(side: Side, trailer: bytes) -> None:
    client = await side.dial()
    client.send(CHUNKED + b"3\r\nabc\r\n0\r\n" + trailer + b"\r\n")
    answer = await client.answer()
    assert answer.status in (400, 431) and answer.closes
    await client.to_end(None)
    assert side.model.requests == []


# P-26, P-31: the connection afterwards.


async def test_P26_after_an_error_of_the_model_the_connection_goes_on(
    side: Side, feed: Feed
) -> None:
    client = await side.dial()
    side.model.answer = b"HTTP/1.1 422 No\r\nContent-Length: 4\r\n\r\noops"
    for _ in range(2):
        await feed(client, POST + b"Content-Length: 3\r\n\r\nabc")
        answer = await client.answer()
        assert (answer.status, answer.body, answer.closes) == (422, b"oops", False)
    assert len(side.model.links) == 1


async def test_P26_after_a_route_that_is_not_there_the_connection_goes_on(side: Side) -> None:
    side.use(side.spec(paths=("/only",)))
    client = await side.dial()
    answer = await client.ask()
    assert answer.status == 404
    if not answer.closes:
        assert (await client.ask(GET.replace(b"/ ", b"/only "))).status == 200


async def test_P26_after_a_framing_error_nothing_more_is_read(side: Side, feed: Feed) -> None:
    client = await side.dial()
    assert (await client.ask()).status == 200
    seen = len(side.model.received)
    await feed(client, POST + b"Content-Length: 3,3\r\n\r\nabc" + GET + GET)
    assert (await client.answer()).status == 400
    assert await client.to_end(None) == b""
    assert len(side.model.received) == seen


async def test_P31_what_comes_after_connection_close_is_not_read(side: Side, feed: Feed) -> None:
    client = await side.dial()
    await feed(client, b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + HIDDEN)
    answer = await client.answer()
    assert (answer.status, answer.closes) == (200, True)
    assert await client.to_end(None) == b""
    assert side.model.targets == ["/last"]


async def test_P31_a_client_of_http_1_0_has_one_request(side: Side, feed: Feed) -> None:
    client = await side.dial()
    await feed(client, b"GET /last HTTP/1.0\r\nHost: a\r\n\r\n" + HIDDEN)
    answer = await client.answer()
    assert (answer.status, answer.body) == (200, b"ok")
    assert await client.to_end(None) == b""
    assert side.model.targets == ["/last"]


# A request that is refused for other reasons still has its body, which must not become the next.


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize(
    ("line", "field"),
    [
        (b"POST /%zz HTTP/1.1", b"X: y"),
        (b"POST /../x HTTP/1.1", b"X: y"),
        (b"POST / HTTP/1.1", b"Via: " + b"1.1 graygate, " * 8),
        (b"POST / HTTP/1.1", b"Expect: miracles"),
        (b"TRACE / HTTP/1.1", b"X: y"),
        (b"OPTIONS * HTTP/1.1", b"X: y"),
        (b"OPTIONS / HTTP/1.1", b"Max-Forwards: 0"),
        (b"POST /nowhere HTTP/1.1", b"X: y"),
        (b"POST /large HTTP/1.1", b"X: y"),
        (b"POST /none HTTP/1.1", b"X: y"),
    ],
)
async def test_P26_the_body_of_a_request_that_is_not_carried_is_no_request(
    side: Side, line: bytes, field: bytes, framing: str, together: bool
) -> None:
    down = side.spec(name="none", paths=("/none",), versions={"v1": VersionSpec(urls=(DEAD,))})
    large = side.spec(name="large", paths=("/large",), body_limit=10)
    side.use(side.spec(paths=("/smuggled", "/%7Ea", "/next")), down, large)
    head, body = b"Content-Length: %d\r\n" % len(HIDDEN), HIDDEN
    if framing == "chunked":
        head = b"Transfer-Encoding: chunked\r\n"
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)
    head = b"\r\n".join([line, b"Host: a", field, head, b""])
    client = await side.dial()
    # That a chunked body is too long is known when it has come.
    together = together or (framing == "chunked" and b"/large" in line)
    client.send(head + body if together else head)
    answer = await client.answer(line.split()[0].decode())
    assert answer.status != 200 or line.startswith(b"OPTIONS")
    if not together:
        client.send(body)
    client.send(b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
    if answer.closes:
        assert await client.to_end(None) == b""
    else:
        assert (await client.answer()).status == 200
    assert "/smuggled" not in side.model.targets
    assert side.model.targets in ([], ["/next"])

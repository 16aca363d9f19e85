"""Public families of request smuggling: whatever we take, two servers read as we do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

import pytest

from tests.http1.oracles import Verdict, by_h11, by_httptools, by_us
from tests.http1.wire import read

HOST = b"Host: a.example\r\n"
POST = b"POST /outer HTTP/1.1\r\n" + HOST
GET = b"GET /outer HTTP/1.1\r\n" + HOST
HIDDEN = b"GET /hidden HTTP/1.1\r\n" + HOST + b"\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
END = b"0\r\n\r\n"

# Bytes that one reader skips and another takes for a part of the name or value.
JUNK = [
    b" ",
    b"\t",
    b"\x0b",
    b"\x0c",
    b"\x00",
    b"\r",
    b"\n",
    b"\x1c",
    b"\x85",
    b"\xa0",
    b"\x7f",
    b",",
]


METHODS = {b"GET", b"POST", b"PUT", b"HEAD", b"DELETE", b"OPTIONS", b"PATCH", b"PROPFIND"}


def length(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n" % len(body)


def cl_te() -> Iterator[bytes]:
    """One reads by length, the other by chunks."""
    body = END + HIDDEN
    for fields in (length(body) + CHUNKED, CHUNKED + length(body)):
        yield POST + fields + b"\r\n" + body


def te_cl() -> Iterator[bytes]:
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)
    for fields in (b"Content-Length: 4\r\n" + CHUNKED, CHUNKED + b"Content-Length: 4\r\n"):
        yield POST + fields + b"\r\n" + body


def te_te() -> Iterator[bytes]:
    """A coding that one reader does not see."""
    names = [
        b"Transfer-Encoding",
        b"transfer_encoding",
        b"Transfer Encoding",
        b"TRANSFER-ENCODING",
        b"Transfer-Encodin",
        b"X-Transfer-Encoding",
        b"Transfer-\rEncoding",
    ]
    values = [
        b"chunked",
        b"CHUNKED",
        b"xchunked",
        b"chunked, identity",
        b"identity, chunked",
        b"chunked, chunked",
        b"gzip, chunked",
        b'"chunked"',
        b"'chunked'",
        b"chunked;q=0",
        b"cow",
        b"",
    ]
    forms = [b"%b: %b\r\n", b"%b:%b\r\n", b"%b : %b\r\n", b" %b: %b\r\n", b"%b:\r\n %b\r\n"]
    forms += [
        b"X: y\n%b: %b\r\n",
        b"X: y\r%b: %b\r\n",
        b"%b:\t%b\r\n",
        b"%b: %b\n",
        b"%b: %b\r\r\n",
    ]
    body = END + HIDDEN
    for name, value, form in product(names, values, forms):
        field = form % (name, value)
        for fields in (field, field + CHUNKED, CHUNKED + field, length(body) + field):
            yield POST + fields + b"\r\n" + body


def te_junk() -> Iterator[bytes]:
    body = END + HIDDEN
    for junk in JUNK:
        for field in (
            b"Transfer-Encoding" + junk + b": chunked",
            b"Transfer-Encoding:" + junk + b"chunked",
            b"Transfer-Encoding: chunked" + junk,
            b"Transfer-Encoding: chunk" + junk + b"ed",
            junk + b"Transfer-Encoding: chunked",
        ):
            yield POST + field + b"\r\n\r\n" + body
            yield POST + length(body) + field + b"\r\n\r\n" + body


def cl_0() -> Iterator[bytes]:
    """A body where a server expects none."""
    for method in (b"GET", b"HEAD", b"OPTIONS", b"DELETE", b"QUERY"):
        yield GET.replace(b"GET", method) + length(HIDDEN) + b"\r\n" + HIDDEN
        yield GET.replace(b"GET", method) + CHUNKED + b"\r\n" + END + HIDDEN


def zero_cl() -> Iterator[bytes]:
    """A server that takes the body for the next request: an upgrade, a tunnel, an expectation."""
    for token, option in product(
        (b"h2c", b"websocket", b"tcp", b"TLS/1.3", b"x"), (b"Upgrade", b"upgrade, close", b"x")
    ):
        fields = b"Connection: " + option + b"\r\nUpgrade: " + token + b"\r\n"
        yield POST + fields + length(HIDDEN) + b"\r\n" + HIDDEN
        yield POST + fields + CHUNKED + b"\r\n" + b"%x\r\n%b\r\n" % (len(HIDDEN), HIDDEN) + END
        yield POST.replace(b"1.1", b"1.0") + fields + length(HIDDEN) + b"\r\n" + HIDDEN
    yield b"CONNECT a:80 HTTP/1.1\r\n" + HOST + length(HIDDEN) + b"\r\n" + HIDDEN
    for value in (b"100-continue", b"x", b"100-continue, x", b"\r\n 100-continue"):
        yield POST + b"Expect: " + value + b"\r\n" + length(HIDDEN) + b"\r\n" + HIDDEN


def lengths() -> Iterator[bytes]:
    values = [
        b"5",
        b"05",
        b"+5",
        b"-5",
        b"5 ",
        b"5,5",
        b"5, 6",
        b"5;6",
        b"0x5",
        b"5e0",
        b"5.0",
        b"",
    ]
    values += [b"5 6", b"5_", b"\xb25", b"5\x00", b"5\x0b", b"18446744073709551621", b"9" * 400]
    for first, second in product(values, [None, *values]):
        fields = b"Content-Length: " + first + b"\r\n"
        if second is not None:
            fields += b"content-length:" + second + b"\r\n"
        yield POST + fields + b"\r\nabcde" + HIDDEN
    for junk in JUNK:
        yield POST + b"Content-Length" + junk + b": 5\r\n\r\nabcde" + HIDDEN
        yield POST + b"Content-Length:" + junk + b"5\r\n\r\nabcde" + HIDDEN
    yield POST + b"Content_Length: 5\r\n\r\n" + HIDDEN
    yield POST + b"Connection: Content-Length\r\nContent-Length: 5\r\n\r\nabcde" + HIDDEN
    yield POST + b"Connection: Transfer-Encoding\r\n" + CHUNKED + b"\r\n" + END + HIDDEN


def hosts() -> Iterator[bytes]:
    values = [b"a", b"b", b"a,b", b"a b", b"u@a", b"a/b", b"a:80", b"a:x", b"", b"a\x00b", b"a#b"]
    for first, second in product(values, values):
        yield b"GET /p HTTP/1.1\r\nHost: " + first + b"\r\nhost: " + second + b"\r\n\r\n"
        yield b"GET http://" + first + b"/p HTTP/1.1\r\nHost: " + second + b"\r\n\r\n"
        yield b"GET /p HTTP/1.1\r\nHost: " + first + b"\r\nH_ost: " + second + b"\r\n\r\n"


def sizes() -> Iterator[bytes]:
    head = POST + CHUNKED + b"\r\n"
    for size in [
        b"5",
        b"05",
        b"0x5",
        b"+5",
        b"-5",
        b"5_",
        b"5 ",
        b" 5",
        b"5\t",
        b"5g",
        b"5\x00",
        b"5,",
    ]:
        yield head + size + b"\r\nabcde\r\n" + END + HIDDEN
    for size in [
        b"10000000000000005",
        b"FFFFFFFFFFFFFFFF5",
        b"8000000000000005",
        b"100000005",
        b"",
    ]:
        yield head + size + b"\r\nabcde\r\n" + END + HIDDEN
    for zeros in (1, 16, 20, 5000):
        yield head + b"0" * zeros + b"5\r\nabcde\r\n" + END + HIDDEN
        yield head + b"5\r\nabcde\r\n" + b"0" * zeros + b"\r\n\r\n" + HIDDEN


def extensions() -> Iterator[bytes]:
    head = POST + CHUNKED + b"\r\n"
    texts = [
        b";",
        b";a",
        b";a=b",
        b';a="b"',
        b';a="b;c"',
        b" ;a",
        b"; a",
        b";a = b",
        b";\x80",
        b";a;",
    ]
    for text, end in product(texts, [b"\r\n", b"\n", b"\r", b"\r\r\n", b"\x0b", b"\n\r\n", b""]):
        yield head + b"5" + text + end + b"abcde\r\n" + END + HIDDEN
        yield head + b"5" + text + end + b"GET / \r\n" + END + HIDDEN
        yield head + b"0" + text + end + b"\r\n" + HIDDEN
    yield head + b'5;a="\r\n0\r\n\r\n' + HIDDEN + b'"\r\nabcde\r\n' + END
    yield head + b"2;\nxx\r\n4c\r\n0\r\n\r\n" + HIDDEN


def chunk_ends() -> Iterator[bytes]:
    head = POST + CHUNKED + b"\r\n"
    for end in [b"\r\n", b"\n", b"\r", b"XX", b"", b"\r\r\n", b"X\n", b"\rX", b"\n\n"]:
        yield head + b"5\r\nabcde" + end + END + HIDDEN
        yield head + b"5\r\nabcde" + end + b"3\r\nabc\r\n" + END + HIDDEN
        yield head + b"0" + end + b"\r\n" + HIDDEN
        yield head + b"0\r\n" + end + HIDDEN


def line_ends() -> Iterator[bytes]:
    whole = POST + b"X: y\r\n" + length(b"abcde") + b"\r\nabcde" + HIDDEN
    for at in range(len(whole)):
        if whole[at : at + 2] == b"\r\n":
            for end in (b"\n", b"\r", b"\r\r\n", b"\n\r", b" \r\n", b"\x00\r\n", b"\r\n "):
                yield whole[:at] + end + whole[at + 2 :]


def trailers() -> Iterator[bytes]:
    head = POST + CHUNKED + b"\r\n3\r\nabc\r\n0\r\n"
    for trailer in [
        b"Host: evil",
        b"Content-Length: 50",
        b"Transfer-Encoding: chunked",
        b"Connection: close",
        b"Upgrade: h2c",
        b"X: a\r\n folded",
        b"X : a",
        b"GET /hidden HTTP/1.1",
        b"X: a\nY: b",
        b"X: a\x00",
        b": a",
    ]:
        yield head + trailer + b"\r\n\r\n" + HIDDEN
        yield head + trailer + b"\r\n\r\n"


FAMILIES = [
    cl_te,
    te_cl,
    te_te,
    te_junk,
    cl_0,
    zero_cl,
    lengths,
    hosts,
    sizes,
    extensions,
    chunk_ends,
    line_ends,
    trailers,
]


def agrees(data: bytes) -> int:
    """Checks that both servers read what we send on as we do; returns how much that was."""
    ours = by_us(data)
    whole = read(data)
    for size in (1, 3):
        assert read(data, size).forwarded == whole.forwarded, f"pieces matter in {data!r}"
    wire = b"".join(whole.forwarded)
    for name, reader in (("h11", by_h11), ("httptools", by_httptools)):
        if name == "httptools" and any(mine.method not in METHODS for mine in ours.messages):
            continue  # llhttp knows a fixed list, and refuses the others
        theirs: Verdict = reader(wire)
        assert theirs.is_whole, f"{name} does not read {wire!r}: {theirs.error or 'it waits'}"
        assert len(theirs.messages) == len(ours.messages)
        for message, mine in zip(theirs.messages, ours.messages, strict=True):
            assert (message.method, message.target) == (mine.method, mine.target)
            assert message.body == mine.body
            assert [name for name, _ in message.fields].count(b"host") == 1
    return len(ours.messages)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: str(family.__name__))
def test_two_servers_read_what_we_send_on_as_we_do(family: Callable[[], Iterator[bytes]]) -> None:
    assert [agrees(data) for data in family()]


@pytest.mark.parametrize("data", [*cl_te(), *te_cl()])
def test_P04_two_framings_are_never_taken(data: bytes) -> None:
    assert read(data).heads == []
    assert read(data).status == 400


@pytest.mark.parametrize("data", list(zero_cl()))
def test_P18_the_body_of_an_upgrade_is_a_body(data: bytes) -> None:
    seen = read(data)
    assert all(head.target == b"/outer" for head in seen.heads)
    if seen.heads:
        assert seen.bodies[0].count(HIDDEN) == 1


@pytest.mark.parametrize("data", list(trailers()))
def test_P14_no_trailer_becomes_a_field(data: bytes) -> None:
    for head in read(data).heads:
        assert head.host == b"a.example" and head.kept == []


def test_the_oracles_would_notice() -> None:
    """They read hidden requests where they can be hidden: in what came, not in what we send."""
    upgrade = b"Connection: upgrade\r\nUpgrade: h2c\r\n"
    raw = POST + upgrade + length(HIDDEN) + b"\r\n" + HIDDEN
    assert by_httptools(raw).messages[0].body == b""
    assert by_httptools(b"".join(read(raw).forwarded)).messages[0].body == HIDDEN
    assert [message.target for message in by_h11(POST + b"\r\n" + HIDDEN).messages] == [
        b"/outer",
        b"/hidden",
    ]

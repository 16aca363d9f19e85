"""What llhttp takes and refuses by measurement, and what is taken and refused here.

Every row stands for bytes that servers read in different ways. `theirs` is pinned too: when a new
version of llhttp changes its mind, this is where it is noticed.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from tests.http1.oracles import by_httptools
from tests.http1.wire import read

OK = 0  # taken; otherwise the status of the refusal

HOST = b"Host: a\r\n"
GET = b"GET / HTTP/1.1\r\n" + HOST
POST = b"POST / HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


class Row(NamedTuple):
    """Bytes, the status of our refusal, and whether llhttp takes them."""

    name: str
    data: bytes
    ours: int
    theirs: bool


def field(line: bytes) -> bytes:
    return GET + line + b"\r\n\r\n"


def line(first: bytes) -> bytes:
    return first + b"\r\n" + HOST + b"\r\n"


def body(framing: bytes, data: bytes = b"abc") -> bytes:
    return POST + framing + b"\r\n\r\n" + data


def coding(value: bytes) -> bytes:
    return POST + b"Transfer-Encoding:" + value + b"\r\n\r\n0\r\n\r\n"


def chunks(data: bytes) -> bytes:
    return CHUNKED + data


def sized(size: bytes) -> bytes:
    return CHUNKED + size + b"\r\nabc\r\n0\r\n\r\n"


def trailer(text: bytes) -> bytes:
    return CHUNKED + b"0\r\n" + text + b"\r\n\r\n"


LINE_ENDS = [
    Row("bare LF after the request line", b"GET / HTTP/1.1\n" + HOST + b"\r\n", 400, False),
    Row("bare LF after a header", b"GET / HTTP/1.1\r\nHost: a\n\r\n", 400, False),
    Row("bare LF after the block", GET + b"\n", 400, False),
    Row("bare LF after a chunk size", chunks(b"3\nabc\r\n0\r\n\r\n"), 400, False),
    Row("bare LF after chunk data", chunks(b"3\r\nabc\n0\r\n\r\n"), 400, False),
    Row("bare LF after the last chunk", chunks(b"3\r\nabc\r\n0\n\r\n"), 400, False),
    Row("bare CR in a value", field(b"X: a\rb"), 400, False),
    Row("bare CR as line end", b"GET / HTTP/1.1\rHost: a\r\r\n\r\n", 400, False),
    Row("CR CR LF", field(b"X: a\r"), 400, False),
    Row("LF CR", b"GET / HTTP/1.1\n\rHost: a\n\r\n\r\n", 400, False),
]
VALUES = [
    *(Row(f"0x{byte:02x} in a value", field(b"X: a%cb" % byte), 400, False)
      for byte in (*range(0x09), *range(0x0B, 0x0D), *range(0x0E, 0x20), 0x7F)),
    *(Row(f"0x{byte:02x} in a value", field(b"X: a%cb" % byte), OK, True)
      for byte in (0x09, 0x80, 0x85, 0xA0, 0xE9, 0xFF)),
    Row("blank after a value", field(b"X: a "), OK, True),
    Row("TAB after a value", field(b"X: a\t"), OK, True),
]  # fmt: skip
NAMES = [
    *(Row(f"{chr(byte)!r} in a name", field(b"X%cY: a" % byte), 400, False)
      for byte in b'"(),/;<=>?@[\\]{}\x00\x01\x1f\x7f\x80\xff'),
    *(Row(f"{chr(byte)!r} in a name", field(b"X%cY: a" % byte), OK, True)
      for byte in b"_.!#$%&'*+^`|~"),
    Row("empty name", field(b": a"), 400, False),
    Row("no colon", field(b"X"), 400, False),
    Row("blank before the colon", field(b"X : a"), 400, False),
    Row("TAB before the colon", field(b"X\t: a"), 400, False),
    Row("blank in a name", field(b"X Y: a"), 400, False),
    Row("blank before the first header", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400, False),
    Row("obs-fold with a blank", field(b"X: a\r\n b"), 400, False),
    Row("obs-fold with a TAB", field(b"X: a\r\n\tb"), 400, False),
    Row("obs-fold on a coding", coding(b"\r\n chunked"), 400, False),
]  # fmt: skip
TARGETS = [
    *(Row(f"0x{byte:02x} in the target", line(b"GET /a%cb HTTP/1.1" % byte), 400, False)
      for byte in (0x00, 0x01, 0x09, 0x0C, 0x7F, 0x80, 0xFF)),
    *(Row(f"{chr(byte)!r} in the target", line(b"GET /a%cb HTTP/1.1" % byte), OK, True)
      for byte in b'"<>\\^`{|}'),
    Row("P24 fragment", line(b"GET /a#b HTTP/1.1"), 400, True),
    Row("P24 %00", line(b"GET /a%00b HTTP/1.1"), 400, True),
    Row("%0d%0a", line(b"GET /a%0d%0ab HTTP/1.1"), OK, True),
    Row("%zz", line(b"GET /a%zz HTTP/1.1"), OK, True),
    Row("P22 OPTIONS *", line(b"OPTIONS * HTTP/1.1"), OK, True),
    Row("P22 GET *", line(b"GET * HTTP/1.1"), 400, True),
    Row("P21 absolute target", line(b"GET http://a/p HTTP/1.1"), OK, True),
    Row("P21 absolute target of another scheme", line(b"GET ftp://a/p HTTP/1.1"), 400, True),
    Row("P21 userinfo in the target", line(b"GET http://u:p@a/p HTTP/1.1"), 400, True),
    Row("P25 target of 1 MiB", line(b"GET /" + b"a" * 2**20 + b" HTTP/1.1"), 414, True),
]  # fmt: skip
FIRST_LINES = [
    Row("TAB between the words", line(b"GET\t/\tHTTP/1.1"), 400, False),
    Row("lower case method", line(b"get / HTTP/1.1"), 400, False),
    Row("unknown method", line(b"GRAY / HTTP/1.1"), OK, False),  # RFC 9110, 9.1: extensible
    Row("lower case http", line(b"GET / http/1.1"), 400, False),
    Row("HTTP/1.10", line(b"GET / HTTP/1.10"), 400, False),
    Row("HTTP/1.2", line(b"GET / HTTP/1.2"), 505, False),
    Row("HTTP/9.9", line(b"GET / HTTP/9.9"), 505, False),
    Row("blank after the version", line(b"GET / HTTP/1.1 "), 400, False),
    Row("two blanks before the target", line(b"GET  / HTTP/1.1"), 400, True),
    Row("two blanks before the version", line(b"GET /  HTTP/1.1"), 400, True),
    Row("one empty line in front", b"\r\n" + GET + b"\r\n", OK, True),
    Row("two empty lines in front", b"\r\n\r\n" + GET + b"\r\n", 400, True),
    Row("a bare LF in front", b"\n" + GET + b"\r\n", 400, True),
    Row("P23 no version", line(b"GET /p"), 400, True),
    Row("P23 HTTP/0.9", line(b"GET / HTTP/0.9"), 505, True),
    Row("P23 HTTP/2.0", line(b"GET / HTTP/2.0"), 505, True),
    Row("P23 RTSP/1.0", line(b"OPTIONS / RTSP/1.0"), 400, True),
    Row("P23 ICE/1.0", line(b"SOURCE / ICE/1.0"), 400, True),
    Row("P23 preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, False),
    Row("P22 CONNECT", line(b"CONNECT a:443 HTTP/1.1"), 405, False),
    Row("P33 TRACE", line(b"TRACE / HTTP/1.1"), 405, True),
]
HOSTS = [
    Row("P20 no Host", b"GET / HTTP/1.1\r\n\r\n", 400, True),
    Row("P20 two Hosts", field(b"Host: b"), 400, True),
    Row("P20 empty Host", b"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400, True),
    Row("P20 a list of hosts", b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400, True),
    Row("P20 a URL for a host", b"GET / HTTP/1.1\r\nHost: u@a/b?c#d\r\n\r\n", 400, True),
    Row("no Host in HTTP/1.0", b"GET / HTTP/1.0\r\n\r\n", OK, True),
]
LENGTHS = [
    *(Row(f"P07 Content-Length {value!r}", body(b"Content-Length: " + value), 400, False)
      for value in (b"+3", b"-3", b"0x3", b"3,3", b"3;3", b"3.0", b"3e0", b"1_0", b"",
                    b"\xd9\xa3", b"18446744073709551616", b"3\x0b")),
    *(Row(f"P07 Content-Length {value!r}", body(b"Content-Length:" + value), OK, True)
      for value in (b"3", b" 003", b" 3 ", b"\t3")),
    Row("P07 Content-Length 2^63", body(b"Content-Length: 9223372036854775808"), 400, True),
    Row("P07 two equal lengths", body(b"Content-Length: 3\r\nContent-Length: 3"), 400, False),
    Row("P07 two lengths", body(b"Content-Length: 3\r\nContent-Length: 4"), 400, False),
    Row("GET with a body", GET + b"Content-Length: 3\r\n\r\nabc", OK, True),
    Row("HEAD with chunks", CHUNKED.replace(b"POST", b"HEAD") + b"0\r\n\r\n", OK, True),
    Row("P04 length and coding", body(b"Content-Length: 3\r\nTransfer-Encoding: chunked"), 400,
        False),
    Row("P04 coding and length", body(b"Transfer-Encoding: chunked\r\nContent-Length: 3"), 400,
        False),
    Row("P04 length and identity", body(b"Content-Length: 3\r\nTransfer-Encoding: identity"), 400,
        False),
    Row("P04 length and no coding", body(b"Content-Length: 3\r\nTransfer-Encoding:"), 400, False),
]  # fmt: skip
CODINGS = [
    *(Row(f"P06 Transfer-Encoding {value!r}", coding(b" " + value), 501, True)
      for value in (b"gzip, chunked", b"identity, chunked")),
    *(Row(f"P06 Transfer-Encoding {value!r}", coding(b" " + value), 400, True)
      for value in (b",chunked", b'"x, chunked')),
    *(Row(f"P06 Transfer-Encoding {value!r}", coding(b" " + value), 501, False)
      for value in (b"identity", b"gzip", b"chunked, gzip", b"xchunked", b"'chunked'")),
    *(Row(f"P06 Transfer-Encoding {value!r}", coding(b" " + value), 400, False)
      for value in (b"chunked, chunked", b"chunked,", b'"chunked"', b"chunked;q=1", b"chunked\x0b",
                    b"chunked\xff", b"")),
    *(Row(f"P06 Transfer-Encoding {value!r}", coding(value), OK, True)
      for value in (b" ChUnKeD", b" chunked ", b"\tchunked", b"chunked")),
    Row("P06 TAB after chunked", coding(b" chunked\t"), OK, False),  # a blank like any other
    Row("P06 identity, then chunked",
        coding(b" identity\r\nTransfer-Encoding: chunked"), 501, True),
    Row("P06 chunked twice", coding(b" chunked\r\nTransfer-Encoding: chunked"), 400, False),
    Row("P05 in HTTP/1.0", CHUNKED.replace(b"1.1", b"1.0") + b"0\r\n\r\n", 400, True),
    Row("P05 in HTTP/1.0 with keep-alive",
        coding(b"chunked\r\nConnection: keep-alive").replace(b"1.1", b"1.0"), 400, True),
]  # fmt: skip
SIZES = [
    *(Row(f"P13 chunk size {size!r}", sized(size), 400, False)
      for size in (b"0x3", b"+3", b"-3", b"g", b"3_0", b"", b" 3", b"3 ", b"10000000000000003",
                   b"3;a\x00", b"3;\x80", b"3;a\rb", b'3;a="\r\n"', b"3;")),
    *(Row(f"P13 chunk size {size!r}", sized(size), OK, True)
      for size in (b"3", b"0003", b"0" * 24 + b"3", b"3;a=b", b'3;a="b;c"')),
    *(Row(f"P13 chunk size {size!r}", sized(size), OK, False)
      for size in (b"3 ;a", b"3; a")),  # legal by RFC 9112, 7.1.1
    Row("P13 extension of 1 KiB", sized(b"3;" + b"a" * 1022), OK, True),
    Row("P13 extension of 16 KiB", sized(b"3;" + b"a" * 16382), 400, True),
    Row("P13 extension of 1 MiB", sized(b"3;" + b"a" * 2**20), 400, True),
    Row("P13 20 KiB of zeros", sized(b"0" * 20480 + b"3"), 400, True),
    Row("P13 data without CRLF", chunks(b"3\r\nabc0\r\n\r\n"), 400, False),
    Row("P13 data that ends with XX", chunks(b"3\r\nabcXX0\r\n\r\n"), 400, False),
]  # fmt: skip
TRAILERS = [
    Row("P14 Host", trailer(b"Host: evil"), OK, True),
    Row("P14 Authorization", trailer(b"Authorization: evil"), OK, True),
    Row("P14 Content-Length", trailer(b"Content-Length: 3"), OK, False),  # it is dropped
    Row("P14 Transfer-Encoding", trailer(b"Transfer-Encoding: chunked"), OK, False),
    Row("P14 obs-fold", trailer(b"X: a\r\n b"), 400, False),
    Row("P14 NUL", trailer(b"X: a\x00"), 400, False),
    Row("P14 no colon", trailer(b"X"), 400, False),
    Row("P14 trailer of 1 MiB", trailer(b"X: " + b"a" * 2**20), 400, True),
]
SIZES_OF_HEADS = [
    Row("P25 value of 1 MiB", field(b"X: " + b"a" * 2**20), 431, True),
    Row("P25 name of 1 MiB", field(b"X" * 2**20 + b": a"), 431, True),
    Row("P25 100,000 headers", field(b"X: a\r\n" * 99_999 + b"X: a"), 431, True),
]
CONNECTIONS = [
    Row("P31 data after Connection: close", field(b"Connection: close") + b"x", OK, False),
    Row("P18 Upgrade with a body",
        body(b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 3"), OK, False),
    Row("P15 unknown expectation", field(b"Expect: x"), 417, True),
]  # fmt: skip
TABLE = [
    *LINE_ENDS,
    *VALUES,
    *NAMES,
    *TARGETS,
    *FIRST_LINES,
    *HOSTS,
    *LENGTHS,
    *CODINGS,
    *SIZES,
    *TRAILERS,
    *SIZES_OF_HEADS,
    *CONNECTIONS,
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: str(row.name))
def test_our_verdict(row: Row) -> None:
    for size in (0, 1) if len(row.data) < 2**16 else (0, 4096):
        seen = read(row.data, size)
        assert seen.status == row.ours
        assert seen.count == (row.ours == OK)
        assert not seen.open


@pytest.mark.parametrize("row", TABLE, ids=lambda row: str(row.name))
def test_the_verdict_of_llhttp(row: Row) -> None:
    verdict = by_httptools(row.data)
    assert (not verdict.error) == row.theirs

"""Requests tampered with: what we take, others read as we do; and where we differ, and why."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.http1.fuzzing import FUZZ, fuzz, requests, tampered
from tests.http1.oracles import Verdict, by_h11, by_httptools, by_us
from tests.http1.test_smuggling import agrees

ORACLES: dict[str, Callable[[bytes], Verdict]] = {"h11": by_h11, "httptools": by_httptools}
TAKEN, WAITS, REFUSED = "taken", "waits", "refused"


class Difference(NamedTuple):
    """Bytes that an oracle takes and we do not, or the other way round."""

    oracles: str  # the one, or both
    ours: str  # TAKEN, WAITS, or words of our refusal
    theirs: str  # TAKEN, or words of their refusal
    pattern: bytes  # what is in such bytes, or among the methods that we read
    reason: str
    example: bytes


HOST = b"Host: a\r\n"
GET = b"GET / HTTP/1.1\r\n"
OLD = b"POST / HTTP/1.0\r\n" + HOST
CHUNKED = b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
BOTH = "h11 httptools"

DIFFERENCES = [
    # What we refuse and others take.
    Difference(
        "h11",
        "A header line is malformed",
        TAKEN,
        rb"\n[ \t]|[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]",
        "h11 unfolds lines, and takes most control characters in values",
        GET + HOST + b"X: a\r\n b\r\n\r\n",
    ),
    Difference(
        "h11",
        "",  # what is before the fold may be what we refuse
        TAKEN,
        rb"\n[ \t]",
        "h11 unfolds lines",
        GET + HOST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    ),
    Difference(
        BOTH,
        "Only 100-continue",
        TAKEN,
        rb"(?i)\nexpect:",
        "an expectation is a matter of the program behind their parser",
        GET + HOST + b"Expect: x\r\n\r\n",
    ),
    Difference(
        BOTH,
        "Only HTTP/1.1 and HTTP/1.0",
        TAKEN,
        rb"HTTP/[0-9]\.[0-9]",
        "they take versions that they do not speak",
        b"GET / HTTP/0.9\r\n" + HOST + b"\r\n",
    ),
    Difference(
        "httptools",
        "does not end with a version",
        TAKEN,
        rb"(RTSP|ICE)/1\.0",
        "llhttp speaks other protocols, too",
        b"SOURCE / ICE/1.0\r\n" + HOST + b"\r\n",
    ),
    Difference(
        BOTH,
        "The method of the request is none",
        TAKEN,
        rb"[^ \n]*[a-z\r][^ \n]* \S+ HTTP/1|\A\r",
        "h11 takes lower case, which others may read as a method they know; llhttp skips a CR",
        b"head / HTTP/1.1\r\n" + HOST + b"\r\n",
    ),
    Difference(
        BOTH,
        "is not served here",
        TAKEN,
        rb"(TRACE|CONNECT) ",
        "methods that a gateway does not serve",
        b"TRACE / HTTP/1.1\r\n" + HOST + b"\r\n",
    ),
    Difference(
        BOTH,
        "exactly one Host, and it must name one host",
        TAKEN,
        rb"(?i)\nhost:",
        "h11 and llhttp do not look into a Host; llhttp takes two",
        GET + b"Host: u@a/b\r\n\r\n",
    ),
    Difference(
        "httptools",
        "exactly one Host.",
        TAKEN,
        rb"HTTP/1\.1",
        "llhttp needs no Host",
        GET + b"\r\n",
    ),
    Difference(
        BOTH,
        "name different hosts, or one is missing",
        TAKEN,
        rb"://",
        "they do not compare the target with the Host",
        b"GET http://b/ HTTP/1.1\r\n" + HOST + b"\r\n",
    ),
    Difference(
        BOTH,
        "The target of the request must be",
        TAKEN,
        rb"\S+ +(?!/[!-~]* )[^\n]* HTTP/1|#|%00",
        "they take any target: fragments, %00, an asterisk for GET, no path at all",
        b"GET /#f HTTP/1.1\r\n" + HOST + b"\r\n",
    ),
    Difference(
        BOTH,
        "The target of the request names no host",
        TAKEN,
        rb"://",
        "they do not look into the authority of a target",
        b"GET http://u@b/ HTTP/1.1\r\n" + HOST + b"\r\n",
    ),
    Difference(
        BOTH,
        "This is no HTTP request",
        TAKEN,
        rb"(?<!\r)\n|\A[\r\n]|\A[a-z]|\n\Z|\n\r\n\r\n|[a-z][^ \n]* \S+ HTTP/1",
        "h11 takes a bare LF, llhttp any number of empty lines in front",
        b"\r\n\r\n" + GET + HOST + b"\r\n",
    ),
    Difference(
        "httptools",
        "starts with a method, a target and a version",
        TAKEN,
        rb" {2}|\S+ \S+\r\n",
        "llhttp takes more than one space, and HTTP/0.9",
        b"GET /p\r\n" + HOST + b"\r\n",
    ),
    Difference(
        BOTH,
        "cannot be used in HTTP/1.0",
        TAKEN,
        rb"HTTP/1\.0",
        "RFC 9112, 6.1: faulty framing, whoever takes it",
        OLD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    Difference(
        "h11",
        "says in more than one way how long it is",
        TAKEN,
        rb"(?i)\ncontent-length:[^\n]*\n(.|\n)*content-length:|\ntransfer-encoding:",
        "h11 takes a length that is said twice, and a length beside chunks",
        GET + HOST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
    ),
    Difference(
        "h11",
        "is no number, or one too large",
        TAKEN,
        rb"(?i)\ncontent-length:",
        "h11 takes a list of equal lengths, and up to twenty digits",
        GET + HOST + b"Content-Length: 1, 1\r\n\r\na",
    ),
    Difference(
        "httptools",
        "The Transfer-Encoding is malformed",
        TAKEN,
        rb"(?i)\ntransfer-encoding:",
        "llhttp looks at the last coding only",
        CHUNKED.replace(b"chunked", b",chunked") + b"0\r\n\r\n",
    ),
    Difference(
        "httptools",
        "The only Transfer-Encoding that is served here",
        TAKEN,
        rb"(?i)\ntransfer-encoding:",
        "llhttp looks at the last coding only",
        CHUNKED.replace(b"chunked", b"gzip, chunked") + b"0\r\n\r\n",
    ),
    Difference(
        BOTH,
        "a chunk does not start with a size",
        TAKEN,
        rb"[;\n]|\A",
        "h11 takes any extension and a bare LF, llhttp some that the grammar does not have",
        CHUNKED + b"0;a=\r\n\r\n",
    ),
    Difference(
        "h11",
        "a trailer",
        TAKEN,
        rb"(?<!\r)\n|\n[ \t]|[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]",
        "h11 takes in trailers what it takes in headers",
        CHUNKED + b"0\r\nX: a\n\r\n",
    ),
    # What we take and others refuse.
    Difference(
        BOTH,
        TAKEN,
        "Got data when expecting EOF|Data after `Connection: close`",
        rb"(?i)HTTP/1\.0|connection:",
        "what follows the last request is not read here, and no fault of that request (P-31)",
        OLD + b"\r\nx",
    ),
    Difference(
        "httptools",
        TAKEN,
        "",
        rb"(?is)HTTP/1\.0.*connection:.*(close.*keep-alive|keep-alive.*close)",
        "of keep-alive and close we obey close, llhttp in HTTP/1.0 keep-alive",
        OLD + b"Connection: close\r\nConnection: keep-alive\r\n\r\n" + GET + HOST + b"\r\n",
    ),
    Difference(
        "h11",
        TAKEN,
        "no request line received",
        rb"\A\r\n|\r\n\r\n|\r\n\Z",
        "one empty line in front of a request is no harm (RFC 9112, 2.2)",
        GET + HOST + b"\r\n\r\n",
    ),
    Difference(
        "h11",
        TAKEN,
        "bad Content-Length",
        rb"(?i)content-length:[ \t]*0[0-9]{20}",
        "h11 counts the leading zeros of a length",
        GET + HOST + b"Content-Length: " + b"0" * 30 + b"\r\n\r\n",
    ),
    Difference(
        "h11",
        TAKEN,
        "illegal chunk header",
        rb"[0-9a-fA-F][ \t]+;|0{20}",
        "blanks around ; and = are legal, and dropped; h11 takes no size of more than 20 digits",
        CHUNKED + b"0 ;a\r\n\r\n",
    ),
    Difference(
        "httptools",
        TAKEN,
        "Invalid character in chunk",
        rb"[0-9a-fA-F;=\"][ \t]+[;=]|[;=][ \t]+|\"",
        "blanks around ; and = are legal, and dropped; so is any text in quotes",
        CHUNKED + b"0 ;a\r\n\r\n",
    ),
    Difference(
        "h11",
        TAKEN,
        "Transfer-Encoding|Content-Length",
        rb"\r\n0+[^\r]*\r\n(.|\n)*(?i:transfer-encoding|content-length)",
        "in a trailer it says nothing, and is dropped (P-14)",
        CHUNKED + b"0\r\nContent-Length: x\r\n\r\n",
    ),
    Difference(
        "httptools",
        TAKEN,
        "Transfer-Encoding|Content-Length",
        rb"\r\n0+[^\r]*\r\n(.|\n)*(?i:transfer-encoding|content-length)",
        "in a trailer it says nothing, and is dropped (P-14)",
        CHUNKED + b"0\r\nContent-Length: 3\r\n\r\n",
    ),
    Difference(
        "httptools",
        TAKEN,
        "Invalid method|Expected space after method|Expected HTTP/|Expected SOURCE method",
        rb"\x00method (?!(GET|POST|PUT|HEAD|OPTIONS|DELETE|PATCH)\x00)",
        "llhttp knows a fixed list of methods",
        b"GRAY / HTTP/1.1\r\n" + HOST + b"\r\n",
    ),
    Difference(
        "httptools",
        "",  # whatever comes later: it has lost track
        "upgrade",
        rb"(?i)\nupgrade:",
        "llhttp loses the body of an upgrade; we pass it on, and without the Upgrade (P-18)",
        GET + HOST + b"Connection: upgrade\r\nUpgrade: h2c\r\n\r\n",
    ),
    # What the one has taken while the other waits for more.
    Difference(
        "httptools",
        WAITS,
        TAKEN,
        rb"\r\Z",
        "a CR may begin the empty line in front of the next request",
        GET + HOST + b"\r\n\r",
    ),
]


def state(verdict: Verdict) -> str:
    return REFUSED if verdict.error else WAITS if verdict.is_open else TAKEN


def is_explained(oracle: str, data: bytes, ours: Verdict, theirs: Verdict) -> bool:
    """Whether one of the differences covers this one."""
    methods = b"".join(b"\x00method %b\x00" % message.method for message in ours.messages)
    return any(
        oracle in difference.oracles.split()
        and difference.ours in (ours.error or state(ours))
        and re.search(difference.theirs, theirs.error or state(theirs))
        and (re.search(difference.pattern, data) or re.search(difference.pattern, methods))
        for difference in DIFFERENCES
    )


def differs(ours: Verdict, theirs: Verdict) -> bool:
    """Whether they read other messages, or only one of them is content."""
    both = min(len(ours.messages), len(theirs.messages))
    if ours.bodies[:both] != theirs.bodies[:both]:
        return True
    if TAKEN not in (state(ours), state(theirs)):
        return False
    return state(ours) != state(theirs) or len(ours.messages) != len(theirs.messages)


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda one: str(one.reason[:50]))
def test_every_difference_is_one(difference: Difference) -> None:
    data = difference.example
    ours = by_us(data)
    assert difference.ours in (ours.error or state(ours))
    verdicts = {name: ORACLES[name](data) for name in difference.oracles.split()}
    found = [name for name, theirs in verdicts.items() if differs(ours, theirs)]
    assert found
    for name in found:
        assert is_explained(name, data, ours, verdicts[name])


@fuzz
@FUZZ
@given(tampered(requests()))
def test_others_read_a_request_as_we_do_or_the_difference_has_a_name(data: bytes) -> None:
    ours = by_us(data)
    for name, oracle in ORACLES.items():
        theirs = oracle(data)
        assert not differs(ours, theirs) or is_explained(name, data, ours, theirs), (
            f"{name} and we differ in {data!r}: "
            f"{theirs.error or state(theirs)}, {ours.error or state(ours)}"
        )


@fuzz
@FUZZ
@given(tampered(requests()))
def test_it_does_not_matter_how_a_request_comes(data: bytes) -> None:
    whole = by_us(data)
    for size in (1, 2, 7):
        pieces = by_us(data, size)
        assert (pieces.bodies, bool(pieces.error)) == (whole.bodies, bool(whole.error))


@fuzz
@FUZZ
@given(st.lists(tampered(requests()), min_size=1, max_size=3))
def test_two_servers_read_what_we_send_on_as_we_do(messages: list[bytes]) -> None:
    agrees(b"".join(messages))

"""Section 2 of the duties: however a stream of requests is spelled, the model sees just those.

Each case sends one stream on one connection. Whatever reached the model is then read by this
suite's strict reader, by h11 and by httptools: all three must find the same requests, and among
them never one that was hidden in another.
"""

from __future__ import annotations

import random
from itertools import product

import pytest

from tests.proxy.link import until
from tests.proxy.oracles import Seen, by_h11, by_httptools
from tests.proxy.side import Feed, Side

HIDDEN = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
SIZE = b"%x" % len(HIDDEN)
IN_A_CHUNK = SIZE + b"\r\n" + HIDDEN + b"\r\n0\r\n\r\n"
LENGTH = b"Content-Length: %d" % len(HIDDEN)
EVIL = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nevil!"
LAST = b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def agreed(side: Side) -> list[Seen]:
    """The requests that the model got, complete ones, as all three readers see them."""
    found: list[Seen] = []
    for link in side.model.links:
        data = bytes(link.received)
        heard = by_h11(data)
        assert heard == by_httptools(data), data
        found += heard
    strict = [(one.method, one.target, one.body) for one in side.model.requests]
    assert sorted(found) == sorted(strict)
    return found


async def after(side: Side, feed: Feed, stream: bytes) -> list[Seen]:
    """What the model got of this stream once the gateway has ended the connection."""
    client = await side.dial()
    await feed(client, stream + LAST)
    await client.to_end(None)
    await until(lambda: side.in_flight() == 0, "all is over")
    return agreed(side)


def post(*fields: bytes, line: bytes = b"POST /outer HTTP/1.1") -> bytes:
    return b"\r\n".join([line, b"Host: a", *fields, b"", b""])


# Streams that may be refused or understood, but only in one way: the hidden request is a body.

CODINGS = [
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding:chunked",
    b"Transfer-Encoding: Chunked",
    b"Transfer-Encoding:  chunked ",
    b"Transfer-Encoding:\tchunked",
    b"Transfer-Encoding : chunked",
    b" Transfer-Encoding: chunked",
    b"Transfer-Encoding\t: chunked",
    b"Transfer-Encoding:\x0bchunked",
    b"Transfer-Encoding: \x00chunked",
    b"Transfer-Encoding: chunked\x00",
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding: chunkedx",
    b'Transfer-Encoding: "chunked"',
    b"Transfer-Encoding: 'chunked'",
    b"Transfer-Encoding: chunked, identity",
    b"Transfer-Encoding: identity, chunked",
    b"Transfer-Encoding: chunked;q=0",
    b"Transfer-Encoding:\r\n chunked",
    b"Transfer-Encoding\r\n: chunked",
    b"X: y\nTransfer-Encoding: chunked",
    b"X: y\rTransfer-Encoding: chunked",
    b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-encoding: x",
    b"Transfer-Encod\xc4\xb1ng: chunked",
    b"transfer-\xe5ncoding: chunked",
    b"TRANSFER-ENCODING: CHUNKED",
]
LENGTHS = [
    LENGTH,
    b"Content-Length: 0",
    LENGTH + b"\r\nContent-Length: 0",
    b"Content-Length: 0\r\n" + LENGTH,
    LENGTH + b", 0",
    b"Content-Length: +%d" % len(HIDDEN),
    b"Content-Length : %d" % len(HIDDEN),
    b"Content-Length:\x0b%d" % len(HIDDEN),
    b"Content-Length: 0x%x" % len(HIDDEN),
    b"Content-Length: 0%d" % len(HIDDEN),
    b"Content_Length: %d" % len(HIDDEN),
    b"Content-Length: %d\r\n 0" % len(HIDDEN),
    b"X: y\nContent-Length: %d" % len(HIDDEN),
    b"Content-Length: %d" % (2**64 + len(HIDDEN)),
    b"\x00Content-Length: %d" % len(HIDDEN),
]


def never_smuggled(found: list[Seen]) -> None:
    targets = [target for _, target, _ in found]
    assert set(targets) <= {"/outer", "/last"}, found
    assert targets.count("/outer") <= 1 and targets.count("/last") <= 1


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("length", [b"X: y", LENGTH, b"Content-Length: 4"])
@pytest.mark.parametrize("is_first", [True, False])
async def test_P04_P06_mutated_codings_hide_nothing(
    side: Side, feed: Feed, coding: bytes, length: bytes, is_first: bool
) -> None:
    fields = (coding, length) if is_first else (length, coding)
    never_smuggled(await after(side, feed, post(*fields) + IN_A_CHUNK))


@pytest.mark.parametrize("length", LENGTHS)
async def test_P07_mutated_lengths_hide_nothing(side: Side, feed: Feed, length: bytes) -> None:
    found = await after(side, feed, post(length) + HIDDEN)
    is_none = length.startswith((b"Content_Length", b"Content-Length: 0"))
    if is_none and length not in (b"Content-Length: 0%d" % len(HIDDEN), LENGTHS[3], LENGTHS[8]):
        assert [target for _, target, _ in found] == ["/outer", "/smuggled", "/last"]
    else:
        never_smuggled(found)


@pytest.mark.parametrize(
    "line",
    [
        b"GET /outer HTTP/1.1",
        b"HEAD /outer HTTP/1.1",
        b"DELETE /outer HTTP/1.1",
        b"OPTIONS /outer HTTP/1.1",
        b"CONNECT a:1 HTTP/1.1",
        b"TRACE /outer HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"GET http://a/outer HTTP/1.1",
        b"POST /outer HTTP/1.0",
    ],
)
@pytest.mark.parametrize(
    "fields",
    [
        (b"X: y",),
        (b"Connection: Upgrade", b"Upgrade: h2c"),
        (b"Connection: Upgrade", b"Upgrade: websocket"),
        (b"Connection: Content-Length, Transfer-Encoding",),
        (b"Expect: 100-continue",),
        (b"Max-Forwards: 0",),
        (b"Connection: keep-alive",),
    ],
)
@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_P18_P22_a_body_is_a_body_in_whatever_request(
    side: Side, line: bytes, fields: tuple[bytes, ...], framing: str
) -> None:
    is_chunked = framing == "chunked"
    frame = b"Transfer-Encoding: chunked" if is_chunked else LENGTH
    side.model.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    client = await side.dial()
    client.send(post(*fields, frame, line=line) + (IN_A_CHUNK if is_chunked else HIDDEN) + LAST)
    await client.to_end(None)
    await until(lambda: side.in_flight() == 0, "all is over")
    never_smuggled(agreed(side))


CHUNKS = [
    b"0\r\n" + HIDDEN,
    b"0\r\n\r\n",
    b"0\r\nX: y\r\n" + HIDDEN,
    b"5\r\nabcde" + HIDDEN + b"0\r\n\r\n",
    b"5\r\nabcde\n0\r\n\r\n" + HIDDEN,
    b"5 \r\nabcde\r\n0\r\n\r\n" + HIDDEN,
    b"5;\nabcde\r\n0\r\n\r\n" + HIDDEN,
    b"5;a\rb\r\nabcde\r\n0\r\n\r\n" + HIDDEN,
    b'5;a="\r\n"\r\nabcde\r\n0\r\n\r\n' + HIDDEN,
    b"2;\r\nxx\r\n%b\r\n%b\r\n0\r\n\r\n" % (SIZE, HIDDEN),
    b"1;" + b"x" * 5000 + b"\r\na\r\n0\r\n\r\n" + HIDDEN,
    b"0x5\r\nabcde\r\n0\r\n\r\n" + HIDDEN,
    b"5_0\r\nabcde\r\n0\r\n\r\n" + HIDDEN,
    b"\xd9\xa5\r\nabcde\r\n0\r\n\r\n" + HIDDEN,
    b"10000000000000005\r\nabcde\r\n0\r\n\r\n" + HIDDEN,
    b"fffffffffffffffff\r\nabcde\r\n0\r\n\r\n" + HIDDEN,
    b"-5\r\nabcde\r\n0\r\n\r\n" + HIDDEN,
    b"5\r\nabcdeXX0\r\n\r\n" + HIDDEN,
    b"5\r\nabcde\r\n00000000000000000000\r\n\r\n",
    b"0;%b\r\n\r\n" % HIDDEN.replace(b"\r\n", b""),
    b"0\r\nContent-Length: 40\r\n\r\n",
    b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"0\r\nHost: evil\r\nConnection: close\r\n\r\n",
    b"\r\n0\r\n\r\n" + HIDDEN,
    b"0\n\n" + HIDDEN,
    b"0\r\n\n" + HIDDEN,
    b"0\r\r\n\r\n" + HIDDEN,
]


@pytest.mark.parametrize("body", CHUNKS)
async def test_P13_P14_mutated_chunks_hide_nothing(side: Side, feed: Feed, body: bytes) -> None:
    found = await after(side, feed, post(b"Transfer-Encoding: chunked") + body)
    ends = body.endswith((b"0\r\n\r\n", b"00\r\n\r\n")) or b"0\r\n\r\n" not in body
    if body.startswith(b"0\r\nX: y") or body.startswith(b"0\r\nGET"):
        never_smuggled(found)  # the request line of the hidden one is no trailer
    elif ends or b"abcde" in body or body.startswith((b"\r\n", b"0\n", b"0\r")):
        never_smuggled(found)
    else:
        assert {target for _, target, _ in found} <= {"/outer", "/last", "/smuggled"}


@pytest.mark.parametrize(
    "head",
    [
        b"POST /outer HTTP/1.1\r\nHost: a\r\nHost: b\r\n",
        b"POST /outer HTTP/1.1\nHost: a\n",
        b"POST /outer HTTP/1.1\r\nHost: a\n\n",
        b"POST /outer\r\nHost: a\r\n",
        b"POST /outer HTTP/1.1 \r\nHost: a\r\n",
        b"POST /outer HTTP/1.1\r\n Host: a\r\n",
        b"POST /outer HTTP/1.1\r\n\r\nHost: a\r\n",
        b"POST /outer HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 70_000 + b"\r\n",
        b"POST /outer\x00 HTTP/1.1\r\nHost: a\r\n",
        b"POST /outer HTTP/1.1\r\x0aHost: a\x0d\x0d\x0a",
    ],
)
async def test_P09_P20_P23_mutated_heads_hide_nothing(side: Side, head: bytes) -> None:
    client = await side.dial()
    client.send(head + LENGTH + b"\r\n\r\n" + HIDDEN + LAST)
    await client.to_end(None)
    assert agreed(side) == [] and side.model.received == b""


# Streams of lawful requests in every spelling: exactly those arrive, whatever is in their bodies.


def lawful(dice: random.Random, number: int) -> tuple[bytes, Seen]:
    """A request, and what the model must see of it."""
    method = dice.choice(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
    target = f"/{number}" + dice.choice(["", "?q=%20", "//x", ";a=b"])
    fields = [dice.choice([b"Host: a", b"host:a", b"HOST:\ta "])]
    fields += dice.sample(
        [
            b"X-A: 1",
            b"Connection: keep-alive",
            b"Connection: Upgrade\r\nUpgrade: h2c",
            b"X-B:\xff\xfe",
            b"Accept:",
            b"TE: trailers\r\nConnection: TE",
            b"Cookie: a=b; c=d",
            b"Expect: 100-continue",
        ],
        dice.randrange(4),
    )
    body = b"".join(
        dice.choices([HIDDEN, b"0\r\n\r\n", b"x", b"\r\n", b"\x00"], k=dice.randrange(5))
    )
    framing = dice.choice(["none", "length", "chunked"])
    if framing == "none":
        wire, body = b"", b""
    elif framing == "length":
        zeros = b"0" * dice.randrange(3)
        name = dice.choice([b"Content-Length: ", b"content-length:"])
        fields.append(name + zeros + b"%d" % len(body))
        wire = body
    else:
        fields.append(dice.choice([b"Transfer-Encoding: chunked", b"transfer-encoding:CHUNKED "]))
        wire = chunked(dice, body)
    dice.shuffle(fields)
    head = b"\r\n".join([f"{method} {target} HTTP/1.1".encode(), *fields, b"", b""])
    return head + wire, (method, target, body)


def chunked(dice: random.Random, body: bytes) -> bytes:
    """The body in chunks of random sizes and spellings."""
    wire = b""
    while body:
        size = dice.randrange(1, len(body) + 1)
        spelled = dice.choice([b"%x", b"%X", b"0%x", b"%x;a=b", b'%x;a="b;c"']) % size
        wire += spelled + b"\r\n" + body[:size] + b"\r\n"
        body = body[size:]
    return wire + dice.choice([b"0\r\n\r\n", b"00\r\n\r\n", b"0;x\r\n\r\n", b"0\r\nX-T: y\r\n\r\n"])


@pytest.mark.parametrize("seed", range(12))
async def test_every_lawful_stream_arrives_as_it_was_meant(
    side: Side, feed: Feed, seed: int
) -> None:
    dice = random.Random(seed)
    pairs = [lawful(dice, number) for number in range(12)]
    client = await side.dial()
    await feed(client, b"".join(data for data, _ in pairs))
    for _ in pairs:
        answer = await client.answer()
        assert (answer.status, answer.closes) == (200, False), answer
    assert agreed(side) == [seen for _, seen in pairs]


@pytest.mark.parametrize("seed", range(6))
async def test_so_do_the_streams_of_many_clients_on_the_same_connections(
    side: Side, seed: int
) -> None:
    dice = random.Random(1000 + seed)
    clients = [await side.dial() for _ in range(6)]
    expected = []
    for number, client in product(range(5), clients):
        data, seen = lawful(dice, number)
        expected.append(seen)
        client.send(data)
    for _, client in product(range(5), clients):
        assert (await client.answer()).status == 200
    assert sorted(agreed(side)) == sorted(expected)


# Answers: what a model smuggles into one reaches nobody as an answer of its own.


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nX: a\r\n\r\n" + EVIL,
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" + EVIL,
        b"HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\n" + EVIL,
        b"HTTP/1.1 200 OK\r\nX: a\r" + EVIL,
        b"HTTP/1.1 200 OK\r\nX: a\n\n" + EVIL,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\nevil!",
    ],
)
async def test_P09_P17_a_second_answer_is_never_somebodys(side: Side, answer: bytes) -> None:
    side.model.answer = answer
    client = await side.dial()
    client.send(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n")
    head = await client.through(b"\r\n\r\n")
    assert b"evil" not in head
    other = await side.dial()
    side.model.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    assert (await other.ask()).body == b"ok"


def test_the_oracles_find_what_is_there() -> None:
    stream = post(LENGTH) + HIDDEN + post(b"Transfer-Encoding: chunked") + IN_A_CHUNK + HIDDEN
    expected = [("POST", "/outer", HIDDEN), ("POST", "/outer", HIDDEN), ("GET", "/smuggled", b"")]
    assert by_h11(stream) == by_httptools(stream) == expected

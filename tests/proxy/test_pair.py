"""What is told of two answers to one request: noted piece by piece, and on real sockets."""

from __future__ import annotations

import asyncio
import gzip
import json
from itertools import cycle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xxhash import xxh3_64_intdigest

from gateway.errors import ConnectFailed, UpstreamProtocolError
from gateway.http1.chunks import ChunkScanner, chunk
from gateway.http1.limits import Limits
from gateway.http1.lines import LineMemo
from gateway.http1.response import ResponseHead, parse_response
from gateway.proxy.pair import Capture, Chunks
from gateway.routing.bucket import bucket
from tests.proxy.conftest import Start
from tests.proxy.link import Ending, until
from tests.proxy.message import Request
from tests.proxy.mirrored import lost, mirror, pairs_of, settled, the_pair
from tests.proxy.model import OK, Model, ModelLink, Script
from tests.proxy.scripts import EVENTS, cut, silent
from tests.proxy.side import GET, Side, closed_port

JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
BODY = json.dumps({"choices": [{"text": "hello"}]}).encode()
TEXT = b"".join(b"data: %d\n\n" % number for number in range(5)) + b"data: [DONE]\n\n"


def head_of(*lines: bytes) -> ResponseHead:
    raw = b"\r\n".join((b"HTTP/1.1 200 OK", *lines))
    return parse_response(raw, LineMemo(), Limits())


def whole(head: bytes, body: bytes) -> bytes:
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def streaming(*pieces: bytes, head: bytes = EVENTS) -> Script:
    """Each piece in a chunk and a segment of its own."""

    async def script(link: ModelLink, request: Request) -> None:
        await link.body(request)
        link.send(head)
        for piece in pieces:
            await link.flush()
            await asyncio.sleep(0)
            link.send(chunk(piece))
        link.send(b"0\r\n\r\n")

    return script


def bytes_of(text: bytes) -> list[bytes]:
    return [text[at : at + 1] for at in range(len(text))]


# Taking notes.


def test_an_answer_is_counted_hashed_and_its_beginning_kept() -> None:
    capture = Capture("v2", 5)
    capture.sent(10.0)
    capture.answered(head_of(b"content-TYPE:  text/plain ", b"Content-Length: 10"), 10.5)
    for byte in bytes_of(b"0123456789"):
        capture.feed(byte)
    assert repr(capture) == "<Capture of v2: open, 10 bytes>"
    capture.complete(12.0)
    half = capture.half()
    assert (half.version, half.status, half.failure) == ("v2", 200, "")
    assert (half.content_type, half.content_encoding) == ("text/plain", "")
    assert (half.first_byte_seconds, half.seconds) == (0.5, 2.0)
    assert (half.size_bytes, half.beginning, half.is_truncated) == (10, b"01234", True)
    assert half.digest == xxh3_64_intdigest(b"0123456789")


@pytest.mark.parametrize("most", [0, 10, 11])
def test_what_fits_is_not_truncated(most: int) -> None:
    capture = Capture("v2", most)
    capture.answered(head_of(), 0.0)
    capture.feed(b"0123456789")
    capture.complete(0.0)
    assert capture.half().is_truncated is (most < 10)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 19, 1000])
@pytest.mark.parametrize("end", [b"0\r\n\r\n", b"00;x=y\r\nTrailing: 1\r\n\r\n"])
def test_chunks_are_taken_off_however_they_came(size: int, end: bytes) -> None:
    data = chunk(b"hello") + b"5;x\r\n\r\n0\r\n\r\n" + chunk(b"w" * 300) + end
    scanner = ChunkScanner(Limits(), keep_trailers=True)  # who passes it on reads it first
    capture = Capture("v1", 1000)
    capture.answered(head_of(), 0.0, is_chunked=True)
    for at in range(0, len(data), size):
        if passed := scanner.feed(data[at : at + size]):
            capture.feed(passed)
    assert scanner.is_done
    capture.complete(1.0)
    half = capture.half()
    assert (half.failure, half.beginning) == ("", b"hello\r\n0\r\n" + b"w" * 300)
    assert half.digest == xxh3_64_intdigest(half.beginning)


@settings(max_examples=300)
@given(st.lists(st.binary(min_size=1, max_size=40)), st.lists(st.integers(1, 60), min_size=1))
def test_the_content_of_chunks_is_what_was_put_into_them(
    pieces: list[bytes], cuts: list[int]
) -> None:
    data = b"".join(map(chunk, pieces)) + b"0\r\n\r\n"
    scanner, chunks, content, at = ChunkScanner(Limits()), Chunks(), b"", 0
    for cut_off in cycle(cuts):
        content += chunks.take_off(scanner.feed(data[at : at + cut_off]))
        at += cut_off
        if at >= len(data):
            break
    assert content == b"".join(pieces)


def test_what_cannot_be_read_ends_the_notes_and_nothing_else() -> None:
    capture = Capture("v1", 100)
    capture.answered(head_of(), 0.0, is_chunked=True)
    capture.feed(b"no chunk\r\n")
    capture.feed(b"2\r\nok\r\n")
    capture.complete(1.0)
    assert (capture.half().failure, capture.half().size_bytes) == ("protocol", 0)


def test_an_answer_that_never_began_is_no_answer() -> None:
    capture = Capture("v2", 100)
    capture.sent(1.0)
    capture.failed(ConnectFailed("no"))
    capture.give_up(3.0)
    half = capture.half()
    assert (half.status, half.failure, half.first_byte_seconds) == (0, "connect", None)
    assert (half.seconds, half.size_bytes, half.content_type) == (2.0, 0, "")
    assert repr(capture) == "<Capture of v2: connect, 0 bytes>"


def test_an_answer_that_breaks_off_is_cut_and_one_that_stops_has_run_out_of_time() -> None:
    broken, stopped = Capture("v2", 100), Capture("v2", 100)
    for capture in (broken, stopped):
        capture.answered(head_of(), 0.0)
        capture.feed(b"part")
    broken.failed(UpstreamProtocolError("cut"))
    for capture in (broken, stopped):
        capture.give_up(1.0)
    assert (broken.half().status, broken.half().failure) == (200, "stream_cut")
    assert (stopped.half().status, stopped.half().failure) == (200, "timeout")


def test_a_second_attempt_makes_good_for_the_first() -> None:
    capture = Capture("v1", 100)
    capture.sent(0.0)
    capture.failed(ConnectFailed("stale"))
    capture.sent(5.0)
    capture.answered(head_of(), 6.0)
    capture.complete(7.0)
    capture.give_up(9.0)  # the request is over
    half = capture.half()
    assert (half.failure, half.first_byte_seconds, half.seconds) == ("", 1.0, 2.0)


def test_an_answer_before_the_end_of_the_request_took_no_time() -> None:
    capture = Capture("v1", 100)
    capture.answered(head_of(), 4.0)
    capture.sent(5.0)
    capture.complete(7.0)
    assert (capture.half().first_byte_seconds, capture.half().seconds) == (0.0, 2.0)


def test_notes_that_nobody_wants_take_no_room() -> None:
    capture = Capture("v1", 100)
    capture.answered(head_of(), 0.0)
    capture.feed(b"one")
    capture.drop()
    capture.feed(b"two")
    assert (capture.half().beginning, capture.half().size_bytes) == (b"", 3)


# On real sockets.


async def test_a_pair_has_both_answers(side: Side, other: Model) -> None:
    mirror(side, other.url)
    pairs = pairs_of(side)
    side.model.answer = whole(JSON, BODY)
    other.answer = whole(JSON.replace(b"200 OK", b"422 No"), b'{"error":1}')
    answer = await side.ask(body=b"{}", method="POST", X_User_Id="alice")
    assert (answer.status, answer.body) == (200, BODY)
    pair = await the_pair(pairs)
    assert (pair.route, pair.request_id) == ("chat", answer.one("x-request-id"))
    assert pair.unit == bucket(b"chat:mirror", b"alice")
    one, two = pair.primary, pair.copy
    assert (one.version, one.status, one.failure) == ("v1", 200, "")
    assert (two.version, two.status, two.failure) == ("v2", 422, "")
    assert one.content_type == two.content_type == "application/json"
    assert (one.beginning, two.beginning) == (BODY, b'{"error":1}')
    assert (one.size_bytes, two.size_bytes) == (len(BODY), 11)
    assert (one.digest, two.digest) == tuple(map(xxh3_64_intdigest, (BODY, b'{"error":1}')))
    for half in (one, two):
        assert half.first_byte_seconds is not None
        assert 0 < half.first_byte_seconds <= half.seconds < 10
        assert not half.is_truncated


async def test_who_is_nobody_has_no_place(side: Side, other: Model) -> None:
    mirror(side, other.url)
    pairs = pairs_of(side)
    await side.ask()
    assert (await the_pair(pairs)).unit is None


@pytest.mark.parametrize("minor", [0, 1])
async def test_streams_are_compared_by_their_content(side: Side, other: Model, minor: int) -> None:
    mirror(side, other.url)
    pairs = pairs_of(side)
    side.model.answer = streaming(*bytes_of(TEXT))
    other.answer = streaming(TEXT[:11], TEXT[11:])
    client = await side.dial()
    client.send(b"GET / HTTP/1.%d\r\nHost: a\r\nConnection: close\r\n\r\n" % minor)
    received = await client.to_end()
    assert received.endswith(b"0\r\n\r\n") if minor else received.endswith(TEXT)
    pair = await the_pair(pairs)
    for half in (pair.primary, pair.copy):
        assert (half.beginning, half.size_bytes) == (TEXT, len(TEXT))
        assert (half.status, half.failure, half.content_type) == (200, "", "text/event-stream")
    assert pair.primary.digest == pair.copy.digest == xxh3_64_intdigest(TEXT)


@pytest.mark.parametrize("framed", ["length", "chunked", "until_close"])
async def test_framing_makes_no_difference(side: Side, other: Model, framed: str) -> None:
    async def until_close(link: ModelLink, request: Request) -> None:
        await link.body(request)
        link.send(JSON + b"\r\n" + BODY)
        await link.flush()
        link.close()

    answers: dict[str, bytes | Script] = {
        "length": whole(JSON, BODY),
        "chunked": JSON + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(BODY) + b"0\r\n\r\n",
        "until_close": until_close,
    }
    mirror(side, other.url)
    pairs = pairs_of(side)
    for primary, copy in ((framed, "length"), ("length", framed)):
        side.model.answer, other.answer = answers[primary], answers[copy]
        assert (await side.ask()).body == BODY
        await until(lambda: bool(pairs), "the pair")
        pair = pairs.pop()
        assert pair.primary.digest == pair.copy.digest == xxh3_64_intdigest(BODY)
        assert (pair.primary.failure, pair.copy.failure) == ("", "")


async def test_coded_content_is_told_as_it_came(side: Side, other: Model) -> None:
    mirror(side, other.url)
    pairs = pairs_of(side)
    packed = gzip.compress(BODY)
    side.model.answer = whole(JSON + b"Content-Encoding: gzip\r\n", packed)
    other.answer = whole(JSON, BODY)
    assert (await side.ask(Accept_Encoding="gzip")).body == packed
    pair = await the_pair(pairs)
    assert (pair.primary.content_encoding, pair.copy.content_encoding) == ("gzip", "")
    assert gzip.decompress(pair.primary.beginning) == pair.copy.beginning == BODY


async def test_large_answers_are_kept_in_part_and_hashed_whole(start: Start, other: Model) -> None:
    side = await start(limits={"mirror_answer_bytes": 1000})
    mirror(side, other.url)
    pairs = pairs_of(side)
    large = b"0123456789" * 200_000
    side.model.answer = whole(JSON, large)
    other.answer = whole(JSON, large[:-1] + b"x")
    assert (await side.ask()).body == large
    pair = await the_pair(pairs)
    assert pair.primary.beginning == pair.copy.beginning == large[:1000]
    assert pair.primary.is_truncated and pair.copy.is_truncated
    assert pair.primary.size_bytes == pair.copy.size_bytes == len(large)
    assert pair.primary.digest == xxh3_64_intdigest(large) != pair.copy.digest


@pytest.mark.parametrize("method", ["HEAD", "GET"])
async def test_answers_without_body_make_a_pair(side: Side, other: Model, method: str) -> None:
    mirror(side, other.url)
    pairs = pairs_of(side)
    status = b"204 No Content" if method == "GET" else b"200 OK"
    side.model.answer = other.answer = b"HTTP/1.1 " + status + b"\r\n\r\n"
    await side.ask(method=method)
    pair = await the_pair(pairs)
    assert pair.primary.size_bytes == pair.copy.size_bytes == 0
    assert pair.primary.failure == pair.copy.failure == ""


async def test_what_came_before_the_answer_is_passed_on_and_not_compared(
    side: Side, other: Model
) -> None:
    mirror(side, other.url)
    pairs = pairs_of(side)
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    side.model.answer = other.answer = hints + OK
    answer = await side.ask()
    assert [early.status for early in answer.interim] == [103]
    pair = await the_pair(pairs)
    assert pair.primary.status == pair.copy.status == 200


async def test_a_pair_is_told_when_the_later_answer_has_ended(side: Side, other: Model) -> None:
    mirror(side, other.url)
    pairs = pairs_of(side)
    may_end = asyncio.Event()

    async def slow(link: ModelLink, request: Request) -> None:
        await link.body(request)
        link.send(EVENTS + chunk(b"one"))
        await may_end.wait()
        link.send(chunk(b"two") + b"0\r\n\r\n")

    side.model.answer = slow
    client = await side.dial()
    client.send(GET)
    await client.through(b"one")
    await until(lambda: bool(other.requests), "the copy is answered")
    assert pairs == []
    may_end.set()
    await client.through(b"0\r\n\r\n")
    pair = await the_pair(pairs)
    assert (pair.primary.beginning, pair.copy.beginning) == (b"onetwo", b"ok")


# Failures.


async def test_a_copy_that_fails_makes_a_pair_too(side: Side, other: Model) -> None:
    pairs = pairs_of(side)
    mirror(side, f"http://127.0.0.1:{closed_port()}")
    assert (await side.ask()).status == 200
    pair = await the_pair(pairs)
    assert (pair.copy.status, pair.copy.failure) == (0, "connect")
    assert (pair.primary.status, pair.primary.beginning) == (200, b"ok")


@pytest.mark.parametrize(
    ("said", "status", "failure"),
    [(b"", 0, "connect"), (b"HTTP/2 yes\r\n\r\n", 0, "protocol"),
     (EVENTS + chunk(b"part"), 200, "stream_cut")],
)  # fmt: skip
async def test_what_fails_says_how(
    side: Side, other: Model, said: bytes, status: int, failure: str
) -> None:
    mirror(side, other.url)
    pairs = pairs_of(side)
    for broken, sound in ((other, side.model), (side.model, other)):
        broken.answer, sound.answer = cut(said, Ending.RESET), OK
        client = await side.dial()
        client.send(GET)
        await until(lambda: bool(pairs), "the pair")
        pair = pairs.pop()
        one, two = (pair.primary, pair.copy) if broken is side.model else (pair.copy, pair.primary)
        assert (one.status, one.failure) == (status, failure)
        assert (two.status, two.failure, two.beginning) == (200, "", b"ok")
        assert one.beginning == (b"part" if status else b"")
        client.close()


@pytest.mark.parametrize("said", [b"", EVENTS + chunk(b"part")])
async def test_what_stops_has_run_out_of_time(side: Side, other: Model, said: bytes) -> None:
    async def stopping(link: ModelLink, request: Request) -> None:
        link.send(said)
        await silent(link, request)

    timeouts = {"first_byte": 0.2, "idle": 0.2, "total": 1.0}
    mirror(side, other.url, timeouts=timeouts)
    pairs = pairs_of(side)
    side.model.answer = other.answer = stopping
    client = await side.dial()
    client.send(GET)
    pair = await the_pair(pairs)
    for half in (pair.primary, pair.copy):
        assert (half.status, half.failure) == (200 if said else 0, "timeout")
    assert lost(side) == {"timeout": 1}


async def test_a_primary_that_is_refused_in_the_middle_makes_no_pair(
    side: Side, other: Model
) -> None:
    mirror(side, other.url)
    pairs = pairs_of(side)
    client = await side.dial()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n")
    await until(lambda: b"ok" in side.model.received, "the beginning")
    client.send(b"garbage\r\n")
    assert (await client.answer()).status == 400
    await settled(side)
    assert (pairs, lost(side), other.links) == ([], {"incomplete": 1}, [])

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http1 import chunks as module
from gateway.http1.chunks import LAST_CHUNK, ChunkDecoder, ChunkError, ChunkScanner, chunk
from gateway.http1.limits import Limits
from tests.http1.wire import cut

LIMITS = Limits()
SIZES = [0, 1, 2, 3, 5]
# What is passed on of two chunks and the end, and what is in them.
BODY, CONTENT = b"3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n", b"abc0123456789"


def scan(
    data: bytes, size: int = 0, limits: Limits = LIMITS, keep_trailers: bool = False
) -> tuple[bytes, ChunkScanner]:
    """What is passed on of a body that comes in pieces of one size, until its end."""
    scanner = ChunkScanner(limits, keep_trailers)
    passed = b""
    for piece in cut(data, size):
        if scanner.is_done:
            break
        passed += scanner.feed(piece)
    return passed, scanner


def decode(data: bytes, size: int = 0, limits: Limits = LIMITS) -> tuple[bytes, ChunkDecoder]:
    decoder = ChunkDecoder(limits)
    content = b""
    for piece in cut(data, size):
        if decoder.is_done:
            break
        content += decoder.feed(piece)
    return content, decoder


def is_refused(data: bytes, limits: Limits = LIMITS) -> bool:
    """Whether all ways of reading refuse it; they must agree."""
    verdicts = set()
    for size in SIZES:
        for read in (scan, decode):
            try:
                read(data, size, limits)
                verdicts.add(False)
            except ChunkError:
                verdicts.add(True)
    assert len(verdicts) == 1, f"reading {data!r} depends on how it comes"
    return verdicts.pop()


# -- what passes -----------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_a_body_in_canonical_form_passes_as_it_came(size: int) -> None:
    passed, scanner = scan(BODY, size)
    assert passed == BODY
    assert (scanner.is_done, scanner.rest, scanner.payload_bytes) == (True, b"", len(CONTENT))
    content, decoder = decode(BODY, size)
    assert content == CONTENT
    assert (decoder.is_done, decoder.rest, decoder.payload_bytes) == (True, b"", len(CONTENT))


@pytest.mark.parametrize(
    "data",
    [
        chunk(b"data: x\n\n"),
        chunk(b"a") * 50,
        chunk(b"a" * 5000),
        b"AbC\r\n" + b"a" * 0xABC + b"\r\n",
        BODY,
        LAST_CHUNK,
        chunk(b"a" * 70_000) + LAST_CHUNK,
    ],
)
def test_whole_chunks_are_the_same_object_again(data: bytes) -> None:
    scanner = ChunkScanner(LIMITS)
    assert scanner.feed(data) is data


def test_pieces_of_large_chunks_are_the_same_objects_again() -> None:
    scanner = ChunkScanner(LIMITS)
    first, middle, last = b"3\r\nabc\r\n186A0\r\n" + b"a" * 100, b"b" * 50_000, b"c" * 49_900
    for piece in (first, middle, last + b"\r", b"\n0\r\n\r\n"):
        assert scanner.feed(piece) is piece
    assert scanner.is_done
    assert scanner.payload_bytes == 100_003


def test_content_of_one_piece_is_not_copied_together() -> None:
    decoder = ChunkDecoder(LIMITS)
    assert decoder.feed(b"5\r\n") == b""
    assert decoder.feed(b"hello") == b"hello"
    assert decoder.feed(b"\r\n1\r\na\r\n1\r\nb\r\n") == b"ab"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("rest", [b"", b"GET / HTTP/1.1\r\n", b"0\r\n\r\n", b"\r\n"])
def test_what_follows_the_body_is_kept_apart(size: int, rest: bytes) -> None:
    for end in (b"0\r\n\r\n", b"00\r\nX: 1\r\n\r\n"):
        passed, scanner = scan(b"3\r\nabc\r\n" + end + rest, size)
        assert passed == b"3\r\nabc\r\n0\r\n\r\n"
        assert scanner.is_done
        assert rest.startswith(scanner.rest)
        assert scanner.rest == rest or size
        content, decoder = decode(b"3\r\nabc\r\n" + end + rest, size)
        assert (content, decoder.rest) == (b"abc", scanner.rest)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("line", "canonical"),
    [
        (b"003", b"3"),
        (b"0" * 40 + b"3", b"3"),
        (b"3;a", b"3"),
        (b"3;a=b;c=d", b"3"),
        (b'3;a="b;c\\"\\\\ \xe9\t"', b"3"),
        (b"3 ; a\t=\tb ;c", b"3"),
        (b"0003;a=1", b"3"),
        (b"03", b"3"),
    ],
)
def test_P13_extensions_and_zeros_are_not_passed_on(
    size: int, line: bytes, canonical: bytes
) -> None:
    data = b"2\r\nab\r\n%b\r\nabc\r\n%b\r\ndef\r\n00;x\r\n\r\n" % (line, line)
    passed, scanner = scan(data, size)
    assert passed == b"2\r\nab\r\n%b\r\nabc\r\n%b\r\ndef\r\n0\r\n\r\n" % (canonical, canonical)
    assert scanner.is_done


@pytest.mark.parametrize("cut_at", range(1, len(BODY)))
def test_P29_a_body_that_is_cut_off_never_seems_whole(cut_at: int) -> None:
    passed, scanner = scan(BODY[:cut_at])
    assert not scanner.is_done
    assert BODY.startswith(passed)
    assert not passed.endswith(b"0\r\n")
    content, decoder = decode(BODY[:cut_at])
    assert CONTENT.startswith(content) and not decoder.is_done


def test_size_lines_are_passed_on_whole() -> None:
    scanner = ChunkScanner(LIMITS)
    assert [scanner.feed(piece) for piece in (b"1", b"0", b"\r", b"\n", b"a")] == [
        b"",
        b"",
        b"",
        b"10\r\n",
        b"a",
    ]


def test_a_scanner_counts_content_only() -> None:
    for size in SIZES:
        assert scan(b"3;a=b\r\nabc\r\n0\r\nX: 1\r\n\r\n", size)[1].payload_bytes == 3


# -- trailers --------------------------------------------------------------------

TRAILERS = b"0\r\nServer-Timing: a\r\nHost: evil\r\nContent-Length: 5\r\nETag:  b \r\n\r\n"


@pytest.mark.parametrize("size", SIZES)
def test_P14_trailers_are_dropped(size: int) -> None:
    passed, scanner = scan(b"1\r\na\r\n" + TRAILERS, size)
    assert passed == b"1\r\na\r\n0\r\n\r\n"
    assert scanner.is_done
    assert decode(b"1\r\na\r\n" + TRAILERS, size)[0] == b"a"


@pytest.mark.parametrize("size", SIZES)
def test_P14_trailers_that_are_asked_for_pass_but_for_what_frames_or_identifies(size: int) -> None:
    passed, _ = scan(b"1\r\na\r\n" + TRAILERS, size, keep_trailers=True)
    assert passed == b"1\r\na\r\n0\r\nServer-Timing: a\r\nETag: b\r\n\r\n"


@pytest.mark.parametrize(
    "trailer",
    [
        b"X",
        b"X : a",
        b" X: a",
        b"X: a\r\n folded",
        b": a",
        b"X: \x00",
        b"X: a\rb",
        b"X: a\nY: b",
        b"X\xe9: a",
        b"GET / HTTP/1.1",
    ],
)
def test_P14_a_trailer_that_is_no_field_is_refused(trailer: bytes) -> None:
    assert is_refused(b"1\r\na\r\n0\r\n" + trailer + b"\r\n\r\n")


def test_P14_trailers_may_be_as_large_as_their_limit() -> None:
    limits = Limits(trailer_bytes=20)
    assert not is_refused(b"0\r\nX: 4567\r\nX: 4567\r\n\r\n", limits)  # 2 x 9, and 2 to spare
    assert not is_refused(b"0\r\nX: 456789012345678\r\n\r\n", limits)
    assert is_refused(b"0\r\nX: 4567890123456789\r\n\r\n", limits)
    assert is_refused(b"0\r\nX: 4567890\r\nX: 45678\r\n\r\n", limits)
    assert is_refused(b"0\r\nX: " + b"a" * 30, limits)


# -- what is refused -------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b" 3",
        b"3 ",
        b"\t3",
        b"3\t",
        b"0x3",
        b"0X3",
        b"+3",
        b"-3",
        b"3_0",
        b"g",
        b"3g",
        b"3,",
        b"3.0",
        b"\xd9\xa3",
        b"3\x00",
        b"3\xa0",
        b"3\r",
        b"3\x0b",
        b"10000000000000000",  # 17 digits
        b"8000000000000000",  # over 2^63 - 1
        b"ffffffffffffffff",
        b"3;",
        b"3; ",
        b"3;;a",
        b"3;a;",
        b"3;a ",
        b"3;a=",
        b"3;=b",
        b"3;a b",
        b"3;a=b c",
        b'3;a="b',
        b'3;a="b"c',
        b'3;a="\x00"',
        b'3;a="\x7f"',
        b'3;a="\\',
        b"3;a\x00",
        b"3;\x80",
        b"3;a=\x80",
        b"3;a\r",
        b"3;a=\rb",
        b'3;a="\r"',
        b";a",
        b"3 a",
    ],
)
def test_P13_a_size_that_can_be_read_in_two_ways_is_refused(line: bytes) -> None:
    body = b"\r\nabc\r\n0\r\n\r\n"
    assert is_refused(line + body)
    assert is_refused(b"1\r\na\r\n" + line + body)


@pytest.mark.parametrize(
    "data",
    [
        b"3\nabc\r\n0\r\n\r\n",
        b"3;a\nabc\r\n0\r\n\r\n",
        b'3;a="\n"\r\nabc\r\n0\r\n\r\n',
        b'3;a="\r\n"\r\nabc\r\n0\r\n\r\n',
        b"3;a=b\n0\r\n\r\n",
        b"0\n\r\n",
        b"0\r\n\n",
        b"0\n\n",
        b"1\r\na\n0\r\n\r\n",
        b"\r\n3\r\nabc\r\n0\r\n\r\n",
        b"\n3\r\nabc\r\n0\r\n\r\n",
    ],
)
def test_P13_a_bare_line_feed_is_refused(data: bytes) -> None:
    assert is_refused(data)


@pytest.mark.parametrize(
    "data",
    [
        b"3\r\nabcXX0\r\n\r\n",
        b"3\r\nabc\rX0\r\n\r\n",
        b"3\r\nabc\n0\r\n\r\n",
        b"3\r\nabcd\r\n0\r\n\r\n",
        b"3\r\nab\r\n0\r\n\r\n",
        b"3\r\nabc0\r\n\r\n",
        b"3\r\nabc\r\r\n0\r\n\r\n",
        b"186A0\r\n" + b"a" * 100_000 + b"XX",
    ],
)
def test_P13_data_that_does_not_end_where_it_should_is_refused(data: bytes) -> None:
    assert is_refused(data)


def test_P13_the_largest_size_is_that_of_a_length() -> None:
    scanner = ChunkScanner(LIMITS)
    assert scanner.feed(b"7fffffffffffffff\r\na") == b"7fffffffffffffff\r\na"
    assert scan(b"0000" + b"7fffffffffffffff;a\r\na")[0] == b"7fffffffffffffff\r\na"


def test_P13_the_frame_of_one_chunk_is_bounded() -> None:
    limits = Limits(chunk_line_bytes=20)
    good = b"3;" + b"a" * 18
    assert not is_refused(good + b"\r\nabc\r\n", limits)
    assert is_refused(good + b"a\r\nabc\r\n", limits)
    assert is_refused(b"0" * 23, limits)


def test_P13_what_is_dropped_of_one_body_is_bounded() -> None:
    limits = Limits(extension_bytes=20)
    assert not is_refused(b"1;aaaa\r\na\r\n" * 4 + LAST_CHUNK, limits)
    assert is_refused(b"1;aaaa\r\na\r\n" * 4 + b"1;\r\na\r\n", limits)
    assert is_refused(b"1;aaaa\r\na\r\n" * 5, limits)
    assert is_refused(b"00000000001\r\na\r\n" * 3, limits)


def test_P13_the_defaults_take_1_kib_of_extensions_and_not_16() -> None:
    assert not is_refused(b"1;" + b"a" * 1022 + b"\r\na\r\n0\r\n\r\n")
    assert is_refused(b"1;" + b"a" * 16_382 + b"\r\na\r\n0\r\n\r\n")
    assert is_refused((b"1;" + b"a" * 1022 + b"\r\na\r\n") * 16)
    assert is_refused(b"0" * 20_000 + b"1\r\na\r\n")


# -- encoding --------------------------------------------------------------------


def test_a_chunk_of_nothing_would_be_the_end() -> None:
    assert chunk(b"") == b""
    assert chunk(b"hello") == b"5\r\nhello\r\n"
    assert chunk(b"a" * 26) == b"1a\r\n" + b"a" * 26 + b"\r\n"


@given(st.lists(st.binary(max_size=5000), max_size=8), st.integers(0, 9))
def test_what_is_chunked_here_is_read_here(parts: list[bytes], size: int) -> None:
    data = b"".join(map(chunk, parts)) + LAST_CHUNK
    passed, scanner = scan(data, size)
    assert passed == data and scanner.is_done
    assert decode(data, size)[0] == b"".join(parts)


# -- cost ------------------------------------------------------------------------


class Pattern:
    """Counts the bytes that are given to the full pattern."""

    def __init__(self) -> None:
        self.bytes = 0
        self._pattern = module._SIZE_LINE

    def fullmatch(self, line: bytes) -> object:
        self.bytes += len(line)
        return self._pattern.fullmatch(line)


def test_L06_every_size_line_is_matched_once_whatever_the_pieces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = b"1;" + b"a" * 4000 + b"\r\na\r\n" + b"01\r\na\r\n" * 90
    for size in SIZES:
        monkeypatch.undo()
        pattern = Pattern()
        monkeypatch.setattr(module, "_SIZE_LINE", pattern)
        scan(data, size)
        assert pattern.bytes <= len(data)


def test_scanners_say_how_far_they_are() -> None:
    assert repr(scan(b"5\r\nab")[1]) == "<ChunkScanner at data, 2 bytes of content>"
    assert repr(scan(b"2\r\nab\r")[1]) == "<ChunkScanner at data_end, 2 bytes of content>"
    assert repr(scan(BODY)[1]) == "<ChunkScanner at done, 13 bytes of content>"
    found = repr(decode(b"0\r\nX")[1])
    assert found == "<ChunkDecoder of <ChunkScanner at trailer, 0 bytes of content>>"

"""Chunked bodies tampered with, fed to the scanner in pieces of all sizes."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from gateway.http1.chunks import ChunkDecoder, ChunkError, ChunkScanner
from gateway.http1.limits import Limits
from tests.http1.fuzzing import FUZZ, chunked, fuzz, tampered
from tests.http1.oracles import Verdict, by_h11, by_httptools

# Small, so that examples reach them.
LIMITS = Limits(chunk_line_bytes=60, extension_bytes=80, trailer_bytes=80)
HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
CUTS = st.lists(st.integers(1, 12), max_size=30)


def pieces(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    """The bytes in pieces of these sizes, and then what is left."""
    for size in cuts:
        yield data[:size]
        data = data[size:]
    yield data


def outcome(
    reader: ChunkScanner | ChunkDecoder, parts: Iterator[bytes]
) -> tuple[str, bytes, int, bytes]:
    """(how it ended, what came out, bytes of content, what follows the body)."""
    out = b""
    for part in parts:
        if reader.is_done:
            return "done", out, reader.payload_bytes, reader.rest + part + b"".join(parts)
        try:
            out += reader.feed(part)
        except ChunkError:
            return "refused", out, 0, b""
    return "done" if reader.is_done else "open", out, reader.payload_bytes, reader.rest


@fuzz
@FUZZ
@given(tampered(chunked()), CUTS)
def test_it_does_not_matter_how_a_body_comes(data: bytes, cuts: list[int]) -> None:
    for make in (lambda: ChunkScanner(LIMITS), lambda: ChunkDecoder(LIMITS)):
        whole = outcome(make(), iter([data]))
        cut = outcome(make(), pieces(data, cuts))
        if whole[0] == "refused":
            # How much was passed on before the fault was seen may differ, the verdict may not.
            assert cut[0] == "refused"
        else:
            assert cut == whole


@fuzz
@FUZZ
@given(tampered(chunked()), CUTS)
def test_what_is_passed_on_is_canonical_and_has_the_same_content(
    data: bytes, cuts: list[int]
) -> None:
    end, passed, size, rest = outcome(ChunkScanner(LIMITS), pieces(data, cuts))
    _, content, decoded_size, decoded_rest = outcome(ChunkDecoder(LIMITS), iter([data]))
    if end == "refused":
        return
    assert (decoded_size, decoded_rest) == (size, rest)
    again = ChunkScanner(Limits(extension_bytes=0, trailer_bytes=2))
    assert outcome(again, iter([passed])) == (end, passed, size, b"")
    if end != "done":
        return
    for oracle in (by_h11, by_httptools):
        verdict: Verdict = oracle(HEAD + passed)
        assert verdict.is_whole
        assert [message.body for message in verdict.messages] == [content]


@fuzz
@FUZZ
@given(tampered(chunked()), CUTS)
def test_trailers_that_are_kept_are_fields_of_no_weight(data: bytes, cuts: list[int]) -> None:
    end, passed, _, _ = outcome(ChunkScanner(LIMITS, keep_trailers=True), pieces(data, cuts))
    if end != "done":
        return
    dropped = outcome(ChunkScanner(LIMITS), iter([data]))
    assert outcome(ChunkScanner(LIMITS), iter([passed]))[1:3] == dropped[1:3]
    for oracle in (by_h11, by_httptools):
        assert oracle(HEAD + passed).is_whole


@fuzz
@FUZZ
@given(st.binary(max_size=60), CUTS)
def test_noise_ends_in_a_verdict(data: bytes, cuts: list[int]) -> None:
    end, passed, _, _ = outcome(ChunkScanner(LIMITS), pieces(data, cuts))
    assert end in ("done", "open", "refused")
    assert passed in data or end == "done"

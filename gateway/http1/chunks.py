"""Bodies in chunks (RFC 9112, 7.1): checked strictly, and passed on in one form only.

    body = *( size [extensions] CRLF data CRLF )  1*"0" [extensions] CRLF  *( trailer CRLF )  CRLF

In canonical form there are no extensions, no leading zeros and no trailers. Nearly all bodies come
in that form, and then the very bytes that came are passed on. Size lines and the end of the body
are held back until they are complete, so that a body that is cut off never seems to be whole.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

from gateway.http1.limits import Limits
from gateway.http1.lines import BadLine
from gateway.http1.trailers import passable
from gateway.http1.values import LARGEST_LENGTH

LAST_CHUNK: Final = b"0\r\n\r\n"

# Sizes of small chunks, as the pieces of an answer of a model are: twice as fast as the pattern.
_SMALL: Final = {b"%x" % size: size for size in range(1, 4096)}
# Whole chunks of at most 15 bytes. A body may consist of nothing else, and then each of them must
# not cost a turn of a loop (L-06): a run of them is found in one go, and counted in another.
_TINY: Final = b"|".join(
    b"[%b]\r\n.{%d}\r\n" % (b"%x" % size if size < 10 else b"%x%X" % (size, size), size)
    for size in range(1, 16)
)
_TINY_CHUNK: Final = re.compile(rb"(?s:" + _TINY + rb")")
_TINY_CHUNKS: Final = re.compile(rb"(?s:" + _TINY + rb")*+")
_TINY_FRAME: Final = 5  # bytes of a tiny chunk that are not its data
# Any size in canonical form that is not too large.
_PLAIN_SIZE: Final = re.compile(rb"([1-9A-Fa-f][0-9A-Fa-f]{0,14}+)\r\n")

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_QUOTED: Final = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*+"'
_VALUE: Final = rb"(?:" + _TOKEN + rb"|" + _QUOTED + rb")"
# Blanks around ";" and "=" are legal, at the end of the line they are not.
_SIZE_LINE = re.compile(
    rb"(0*+)([0-9A-Fa-f]{0,16}+)"
    rb"(?:[ \t]*+;[ \t]*+" + _TOKEN + rb"(?:[ \t]*+=[ \t]*+" + _VALUE + rb")?+)*+\r\n"
)


class ChunkError(ValueError):
    """These bytes are no chunked body."""


class _At(Enum):
    """What comes next."""

    SIZE = "size"
    DATA = "data"
    DATA_END = "data_end"  # the CRLF after a chunk's data
    TRAILER = "trailer"
    DONE = "done"


_SIZE: Final = _At.SIZE
_DATA: Final = _At.DATA
_DATA_END: Final = _At.DATA_END


def chunk(data: bytes) -> bytes:
    """One chunk; of no data none, since that would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


class ChunkScanner:
    """Checks a chunked body and gives back what is to be passed on."""

    __slots__ = (
        *("_at", "_left", "_limits", "_line", "_surplus", "_trailer_bytes", "_trailers"),
        *("is_done", "payload_bytes", "rest"),
    )

    def __init__(self, limits: Limits, keep_trailers: bool = False) -> None:
        self.is_done = False
        self.rest = b""  # what came after the body
        self.payload_bytes = 0
        self._at = _SIZE
        self._left = 0  # of a chunk's data, or of the CRLF after it
        self._surplus = 0  # bytes of all size lines that say nothing
        self._trailer_bytes = 0
        self._limits = limits
        self._line = bytearray()  # an unfinished line
        self._trailers: list[bytes] | None = [] if keep_trailers else None

    def __repr__(self) -> str:
        return f"<ChunkScanner at {self._at.value}, {self.payload_bytes} bytes of content>"

    def feed(self, data: bytes) -> bytes:
        """What may be passed on now; the same object when nothing is to be changed.

        Raises ChunkError, and nothing may be fed after that or after the end.
        """
        position = 0
        if self._at is _SIZE and not self._line:
            line_end = data.find(b"\r\n", 0, 17)
            length = _SMALL.get(data[:line_end], 0) if line_end > 0 else 0
            if length and line_end + 4 + length == len(data) and data.endswith(b"\r\n"):
                self.payload_bytes += length  # one chunk, as a model has written its event: mostly
                return data
            position = self._whole_chunks(data, 0)
            if position == len(data):
                return data
            if position + 5 == len(data) and data.endswith(LAST_CHUNK):
                self._finish()
                return data
        elif self._left > len(data) and self._at is _DATA:
            self._left -= len(data)
            self.payload_bytes += len(data)
            return data
        return self._walk(data, position, None)

    def _whole_chunks(self, data: bytes, position: int) -> int:
        """Where the whole chunks in canonical form that begin here end."""
        size = len(data)
        while position < size:
            line_end = data.find(b"\r\n", position, position + 17)
            if line_end < 0:
                break
            length = _SMALL.get(data[position:line_end])
            if length is None:
                found = _PLAIN_SIZE.match(data, position)
                if found is None:
                    break
                length = int(found[1], 16)
                line_end = found.end(1)
            end = line_end + 4 + length
            if end > size:
                break
            if data[end - 2 : end] != b"\r\n":
                raise ChunkError("a chunk does not end where its size says")
            self.payload_bytes += length
            position = end
            if length < 16:
                position = self._tiny_chunks(data, position)
        return position

    def _tiny_chunks(self, data: bytes, position: int) -> int:
        """Where the run of tiny chunks that begins here ends."""
        end = _TINY_CHUNKS.match(data, position).end()  # type: ignore[union-attr]  # none is a run
        if end > position:
            count = _TINY_CHUNK.subn(b"", data[position:end])[1]
            self.payload_bytes += end - position - _TINY_FRAME * count
        return end

    def read(self, data: bytes, content: list[bytes]) -> None:
        """As `feed`, for whoever wants the content and passes nothing on."""
        self._walk(data, 0, content)

    def _walk(self, data: bytes, position: int, content: list[bytes] | None) -> bytes:
        """Goes on from a position; what is before it is passed on as it is."""
        passed: list[bytes] = []
        run = 0  # from here on nothing had to be changed
        size = len(data)
        while position < size and not self.is_done:
            if self._at is _DATA:
                end = min(position + self._left, size)
                if content is not None:
                    content.append(data[position:end])
                self._pass_data(end - position)
                position = end
            elif self._at is _DATA_END:
                position = self._pass_data_end(data, position)
            elif self._at is _SIZE and not self._line and data.startswith(LAST_CHUNK, position):
                position += len(LAST_CHUNK)
                self._finish()
            else:
                if content is None and self._at is _SIZE and not self._line:
                    after = self._whole_chunks(data, position)
                    if after > position:
                        position = after
                        continue
                line_end = data.find(b"\n", position) + 1
                written = self._take_line(data[position : line_end or size])
                if written is not None:
                    passed += data[run:position], written
                    run = line_end or size
                position = line_end or size
        if self.is_done:
            self.rest = data[position:]
        if run == 0 and position == size:
            return data
        return b"".join((*passed, data[run:position]))

    def _pass_data(self, count: int) -> None:
        self.payload_bytes += count
        self._left -= count
        if self._left == 0:
            self._at = _DATA_END
            self._left = 2

    def _pass_data_end(self, data: bytes, position: int) -> int:
        if data[position] != b"\r\n"[2 - self._left]:
            raise ChunkError("a chunk does not end where its size says")
        self._left -= 1
        if self._left == 0:
            self._at = _SIZE
        return position + 1

    def _take_line(self, piece: bytes) -> bytes | None:
        """A line or a piece of one; returns what goes on in its place, None = the piece itself."""
        was_held = bool(self._line)
        self._line += piece
        is_size = self._at is _SIZE
        limit = self._limits.chunk_line_bytes if is_size else self._limits.trailer_bytes
        if len(self._line) > limit + 2 - self._trailer_bytes:
            raise ChunkError("the frame of a chunked body is too large")
        if not piece.endswith(b"\n"):
            return b""
        line = bytes(self._line)
        self._line.clear()
        if not is_size:
            return self._pass_trailer(line)
        length, is_canonical = self._length(line)
        if length == 0:
            self._at = _At.TRAILER
            return b""
        self._at = _DATA
        self._left = length
        if is_canonical:
            return line if was_held else None
        return b"%x\r\n" % length

    def _length(self, line: bytes) -> tuple[int, bool]:
        """What a size line says, and whether it says nothing else."""
        found = _SIZE_LINE.fullmatch(line)
        zeros, digits = found.groups() if found else (b"", b"")
        if not zeros and not digits:
            raise ChunkError("a chunk does not start with a size that can be trusted")
        length = int(digits or b"0", 16)
        if length > LARGEST_LENGTH:
            raise ChunkError("a chunk is too large")
        surplus = len(line) - 2 - (len(digits) or 1)
        self._surplus += surplus
        if self._surplus > self._limits.extension_bytes:
            raise ChunkError("the chunks have too many extensions")
        return length, surplus == 0

    def _pass_trailer(self, line: bytes) -> bytes:
        self._trailer_bytes += len(line)
        if not line.endswith(b"\r\n"):
            raise ChunkError("a trailer does not end with CR and LF")
        if line != b"\r\n":
            try:
                kept = passable(line[:-2])
            except BadLine:
                raise ChunkError("a trailer is malformed") from None
            if kept and self._trailers is not None:
                self._trailers.append(kept + b"\r\n")
            return b""
        self._finish()
        return b"".join((b"0\r\n", *(self._trailers or ()), b"\r\n"))

    def _finish(self) -> None:
        self._at = _At.DONE
        self.is_done = True


class ChunkDecoder:
    """Checks a chunked body and gives back its content."""

    __slots__ = ("_scanner",)

    def __init__(self, limits: Limits) -> None:
        self._scanner = ChunkScanner(limits)

    def __repr__(self) -> str:
        return f"<ChunkDecoder of {self._scanner!r}>"

    @property
    def is_done(self) -> bool:
        return self._scanner.is_done

    @property
    def payload_bytes(self) -> int:
        return self._scanner.payload_bytes

    @property
    def rest(self) -> bytes:
        """What came after the body."""
        return self._scanner.rest

    def feed(self, data: bytes) -> bytes:
        """The content in these bytes; raises ChunkError, and nothing may be fed after that."""
        content: list[bytes] = []
        self._scanner.read(data, content)
        return content[0] if len(content) == 1 else b"".join(content)

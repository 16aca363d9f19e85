"""Ids as a stream of text, one a line: taken apart piece by piece, in bounded memory. Pure."""

from __future__ import annotations

from gateway.errors import UsageError

MOST_BYTES_OF_AN_ID = 256
# Blanks and a carriage return around an id are no part of it; so many may be there.
_MOST_BYTES_OF_A_LINE = MOST_BYTES_OF_AN_ID + 64
_BLANKS = b" \t\r"
_BLANK_BYTES = (b" ", b"\t", b"\r")
_CONTROLS = bytes([*range(32), 127])
_CONTROLS_IN_LINES = _CONTROLS.replace(b"\n", b"")
_MARK = b"\xef\xbb\xbf"


def wrong_with(unit: bytes) -> str:
    """What keeps an id from standing on a line of its own and being read as the same id again."""
    if unit.translate(None, _CONTROLS) != unit:
        return "holds a line end or another control character"
    if unit.strip(_BLANKS) != unit:
        return "begins or ends with a blank"
    if unit.startswith(_MARK):
        return "begins with a byte order mark"
    return ""


class IdLines:
    """Takes pieces of any size and gives out the ids that are complete; empty lines are none."""

    def __init__(self, name: str) -> None:
        """`name` is what the stream is called in a complaint."""
        self._name = name
        self._rest = b""
        self.lines = 0

    def __repr__(self) -> str:
        return f"<IdLines of {self._name} after line {self.lines}>"

    def feed(self, piece: bytes) -> list[bytes]:
        """The ids that are complete now; UsageError names the line of one that cannot be."""
        whole, end, self._rest = (self._rest + piece).rpartition(b"\n")
        lines = whole.split(b"\n") if end else []
        if len(self._rest) > _MOST_BYTES_OF_A_LINE:
            lines.append(self._rest)
        if self.lines and lines and _is_plain(whole, lines):
            self.lines += len(lines)
            return [unit for unit in lines if unit]
        return [unit for line in lines if (unit := self._judged(line))]

    def finish(self) -> list[bytes]:
        """The last id, when no line end follows it."""
        rest, self._rest = self._rest, b""
        return [unit] if rest and (unit := self._judged(rest)) else []

    def _judged(self, line: bytes) -> bytes:
        self.lines += 1
        if self.lines == 1:
            line = line.removeprefix(_MARK)
        unit = line.strip(_BLANKS)
        if len(unit) > MOST_BYTES_OF_AN_ID:
            raise UsageError(
                f"{self._name} line {self.lines} has {len(unit)} bytes; "
                f"an id has 1 to {MOST_BYTES_OF_AN_ID}."
            )
        try:
            unit.decode()
        except UnicodeDecodeError:
            raise UsageError(f"{self._name} line {self.lines} is not valid UTF-8 text.") from None
        if wrong := wrong_with(unit):
            raise UsageError(f"{self._name} line {self.lines} {wrong}; no id does.")
        return unit


def _is_plain(whole: bytes, lines: list[bytes]) -> bool:
    """Whether each line is an id as it stands: asked of all of them at once, six times as quick."""
    if max(map(len, lines)) > MOST_BYTES_OF_AN_ID or any(blank in whole for blank in _BLANK_BYTES):
        return False
    if len(whole.translate(None, _CONTROLS_IN_LINES)) != len(whole) or _MARK in whole:
        return False
    try:
        whole.decode()
    except UnicodeDecodeError:
        return False
    return True

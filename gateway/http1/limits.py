"""How much of a message's frame is taken in before it is refused."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Counted in bytes as they came; exactly so many are fine, one more is refused."""

    line_bytes: int = 8192  # the first line, without its end
    head_bytes: int = 65_536  # all lines and their ends, without the blank line
    head_lines: int = 100  # header lines
    chunk_line_bytes: int = 4096  # one chunk's size and extensions
    extension_bytes: int = 4096  # what is dropped from all size lines of one message
    trailer_bytes: int = 8192  # all trailer lines and their ends

"""An answer as comparators read it."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final

import msgspec

MAX_INFLATED_BYTES: Final = 4 * 1024 * 1024


class Unreadable(Exception):
    """Nothing can be said of this answer; the text says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One version's answer to a request that another version has answered as well."""

    status: int  # 0 = none began
    failure: str  # "" = it is whole
    content_type: str
    content_encoding: str
    size_bytes: int
    digest: int
    body: bytes  # as it came
    is_truncated: bool  # there was more of it than `body`

    @property
    def is_good(self) -> bool:
        return not self.failure and 200 <= self.status < 300

    @property
    def media_type(self) -> str:
        return self.content_type.partition(";")[0].strip().lower()

    def content(self) -> bytes:
        """The body without its coding. Raises Unreadable."""
        if self.is_truncated:
            raise Unreadable("longer than what is kept of answers")
        coding = self.content_encoding.strip().lower()
        if coding in ("", "identity"):
            return self.body
        if coding not in ("gzip", "x-gzip", "deflate"):
            raise Unreadable(f"content coding {coding[:20]!a} is not read")
        inflater = zlib.decompressobj(47 if "gzip" in coding else 15)
        try:
            inflated = inflater.decompress(self.body, MAX_INFLATED_BYTES)
        except zlib.error:
            raise Unreadable(f"the body is no whole {coding}") from None
        if inflater.unconsumed_tail:
            raise Unreadable("longer than what is kept of answers")
        if not inflater.eof:
            raise Unreadable(f"the body is no whole {coding}")
        return inflated

    def document(self) -> object:
        """The body as JSON. Raises Unreadable."""
        try:
            return msgspec.json.decode(self.content())
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            raise Unreadable("the body is no JSON") from None


@dataclass(frozen=True, slots=True)
class Comparison:
    """One bit, and why."""

    differs: bool
    reason: str = ""  # a few fixed words: what kind of difference
    where: str = ""  # path in a document
    score: float = 0.0  # how far apart, in the comparator's own measure

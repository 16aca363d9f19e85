"""What single header values mean; nothing here trusts a byte that it has not looked at."""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

LARGEST_LENGTH: Final = 2**63 - 1  # what others hold in a signed 64-bit number
_LARGEST_DIGITS: Final = 19
_LARGEST_PORT: Final = 65_535

# A name or IPv4 address, or an IPv6 address in brackets; RFC 3986 allows more than any host needs.
_HOST: Final = re.compile(
    rb"(?:[A-Za-z0-9._-]{1,255}+|\[[0-9A-Fa-f:.]{2,45}+\])(?::([0-9]{0,5}+))?+"
)
_TOKENS: Final = re.compile(
    rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++(?:[ \t]*+,[ \t]*+[!#$%&'*+\-.^_`|~0-9A-Za-z]++)*+"
)


class Coding(Enum):
    """What a Transfer-Encoding says."""

    CHUNKED = "chunked"
    UNKNOWN = "unknown"  # well said, but not spoken here
    WRONG = "wrong"


def length_of(value: bytes) -> int:
    """A Content-Length; -1 when it is no number, more than one, or too large for anyone."""
    if not value.isdigit():  # ASCII digits only; int() would take signs, "_" and blanks
        return -1
    digits = value.lstrip(b"0") or b"0"
    if len(digits) > _LARGEST_DIGITS:
        return -1
    length = int(digits)
    return length if length <= LARGEST_LENGTH else -1


def coding_of(value: bytes) -> Coding:
    """Exactly `chunked`, something else that is well-formed, or nonsense."""
    lowered = value.lower()
    if lowered == b"chunked":
        return Coding.CHUNKED
    if not _TOKENS.fullmatch(lowered) or members(lowered).count(b"chunked") > 1:
        return Coding.WRONG
    return Coding.UNKNOWN


def is_host(value: bytes) -> bool:
    """Whether this is one host with at most one port."""
    found = _HOST.fullmatch(value)
    return found is not None and int(found[1] or b"0") <= _LARGEST_PORT


def members(value: bytes) -> list[bytes]:
    """The elements of a list, lower case, without the empty ones (RFC 9110, 5.6.1)."""
    return [one for part in value.lower().split(b",") if (one := part.strip(b" \t"))]

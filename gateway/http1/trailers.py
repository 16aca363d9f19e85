"""Fields after a chunked body. They never become headers (RFC 9110, 6.5)."""

from __future__ import annotations

from typing import Final

from gateway.http1.lines import is_ordinary, split_line

# Fields that frame a message, choose its way, say who asks, or tell how content is to be read must
# not come late: who merges trailers into headers would take them for the real ones.
_NEVER_LATE: Final = (
    b"authentication-info",
    b"authorization",
    b"cache-control",
    b"content-",
    b"cookie",
    b"expect",
    b"if-",
    b"max-forwards",
    b"pragma",
    b"range",
    b"set-cookie",
    b"www-authenticate",
    b"x-",
)


def passable(line: bytes) -> bytes:
    """The line as it may be passed on, empty if it must not be; raises BadLine."""
    name, value = split_line(line)
    dashed = name.lower().replace(b"_", b"-")
    if not is_ordinary(dashed) or dashed.startswith(_NEVER_LATE):
        return b""
    return b"%b: %b" % (name, value)

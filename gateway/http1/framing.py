"""Where the body of an answer ends (RFC 9112, 6.3)."""

from __future__ import annotations

from enum import Enum

from gateway.http1.response import ResponseHead


class Framing(Enum):
    """How a body is delimited."""

    NONE = "none"
    LENGTH = "length"
    CHUNKED = "chunked"
    UNTIL_CLOSE = "until_close"


def body_of(head: ResponseHead, method: str) -> Framing:
    """How the body of an answer to a request of this method is delimited.

    A Content-Length of an answer that has no body (to HEAD, 304) is a statement, not a framing.
    """
    if method == "HEAD" or head.status < 200 or head.status in (204, 304):
        return Framing.NONE
    if head.chunked:
        return Framing.CHUNKED
    if head.length >= 0:
        return Framing.LENGTH if head.length else Framing.NONE
    return Framing.UNTIL_CLOSE

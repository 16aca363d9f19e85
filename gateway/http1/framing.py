"""How the body of an answer is delimited."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gateway.http1.response import ResponseHead


class Framing(Enum):
    """How a body is delimited."""

    NONE = "none"
    LENGTH = "length"
    CHUNKED = "chunked"
    UNTIL_CLOSE = "until_close"


_NONE: Final = Framing.NONE


def body_of(head: ResponseHead, method: str) -> Framing:
    """How the body of an answer to a request of this method is delimited.

    A Content-Length of an answer that has no body (to HEAD, 304) is a statement, not a framing.
    """
    return _NONE if method == "HEAD" else head.framing

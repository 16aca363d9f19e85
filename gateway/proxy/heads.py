"""The heads that the gateway sends: requests to models, answers to clients. Bytes in, bytes out."""

from __future__ import annotations

from typing import Final

from gateway.http1.framing import Framing
from gateway.http1.request import RequestHead
from gateway.http1.response import ResponseHead
from gateway.http1.start import RequestLine
from gateway.upstream.address import Target

_NONE: Final = Framing.NONE
_LENGTH: Final = Framing.LENGTH

# What a request says of its body where it says no length.
NO_BODY: Final = -1
CHUNKED: Final = -2

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_UPGRADE: Final = b"Connection: Upgrade\r\nUpgrade: websocket"


def request_head(
    line: RequestLine,
    head: RequestHead,
    target: Target,
    kept: list[bytes],
    ours: tuple[bytes, ...],
    length: int,
    is_upgrade: bool,
    asks_continue: bool,
    body: bytes = b"",
) -> bytes:
    """What the model gets: framing and host in our own words, everything else as it came.

    `length` is that of the body as it will be sent, CHUNKED or NO_BODY; `body` goes along at once.
    """
    lines = [line.verb + target.path + line.rest + target.authority, *kept, *ours]
    if length >= 0:
        lines.append(b"Content-Length: %d" % length)
    elif length == CHUNKED:
        lines.append(b"Transfer-Encoding: chunked")
    if is_upgrade:
        lines.append(_UPGRADE)
    elif head.te_trailers:
        lines.append(b"TE: trailers\r\nConnection: TE")
    if asks_continue:
        lines.append(b"Expect: 100-continue")
    lines += (b"", body)
    return b"\r\n".join(lines)


def answer_lines(
    head: ResponseHead,
    framing: Framing,
    ours: tuple[bytes, ...],
    date_line: bytes,
    minor: int,
    keep: bool,
) -> list[bytes]:
    """The lines of an answer's head; framing in our own words, everything else as it came."""
    lines = [head.block, *ours]
    if not head.has_date:
        lines.append(date_line)
    if framing is _LENGTH or framing is _NONE:
        if head.length_line:
            lines.append(head.length_line)
    elif minor == 1:
        lines.append(b"Transfer-Encoding: chunked")
    if not keep:
        lines.append(b"Connection: close")
    elif minor == 0:
        lines.append(b"Connection: keep-alive")
    return lines


def interim_head(head: ResponseHead) -> bytes:
    return b"\r\n".join([head.block, b"", b""])


def upgrade_head(head: ResponseHead, ours: tuple[bytes, ...]) -> bytes:
    return b"\r\n".join([head.block, *ours, _UPGRADE, b"", b""])

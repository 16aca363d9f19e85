"""What the gateway does not carry, and how it says so.

The parser lets through what other servers read in another way, or not at all (HTTP/0.9, codings
that are not ours, hosts that are none). All of it ends here, before a model sees a byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from aiohttp import HttpVersion10, HttpVersion11, web

PSEUDONYM = "graygate"  # in Via
_LARGEST_LENGTH = 2**63 - 1
_LARGEST_PORT = 65535
_MOST_ROUNDS = 8  # gateways may stand in a chain, but not in a circle
_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{0,5}))?")


class Refusal(Exception):
    """The gateway's own answer: status, a code that clients may switch on, and one sentence."""

    def __init__(self, status: int, code: str, text: str, *, must_close: bool = False) -> None:
        super().__init__(text)
        self.status = status
        self.code = code
        self.must_close = must_close


def check(request: web.BaseRequest) -> None:
    """Refuses what this path cannot carry."""
    _check_framing(request)
    if request.method in ("CONNECT", "TRACE"):
        text = f"{request.method} is not served here."
        raise Refusal(405, "bad_method", text, must_close=True)
    if request.headers.get("Expect", "100-continue").lower() != "100-continue":
        raise Refusal(417, "bad_expectation", "Only 100-continue can be expected.")
    if request.headers.get("Upgrade", "").lower() in ("websocket", "tcp"):
        raise Refusal(501, "no_upgrade", "Upgrades are not served here.", must_close=True)
    if not request.raw_path.startswith("/"):
        raise Refusal(400, "bad_path", "The request must name a path.", must_close=True)
    if not is_utf8(request.raw_headers):
        raise Refusal(400, "bad_header", "The value of a header is not UTF-8.", must_close=True)


def _check_framing(request: web.BaseRequest) -> None:
    """Refuses what the parser lets through although others would read it in another way."""
    if request.version not in (HttpVersion10, HttpVersion11):
        text = "Only HTTP/1.1 and HTTP/1.0 are served here."
        raise Refusal(505, "bad_version", text, must_close=True)
    coding = request.headers.get("Transfer-Encoding")
    if coding is not None and request.version < HttpVersion11:
        text = "Transfer-Encoding cannot be used in HTTP/1.0."
        raise Refusal(400, "bad_framing", text, must_close=True)
    if coding is not None and coding.lower() != "chunked":
        text = "The only Transfer-Encoding that is served here is chunked."
        raise Refusal(501, "bad_framing", text, must_close=True)
    if (request.content_length or 0) > _LARGEST_LENGTH:
        raise Refusal(400, "bad_framing", "The Content-Length is too large.", must_close=True)
    host = request.headers.get("Host", "")
    found = _HOST.fullmatch(host)
    is_good = int(found[1] or 0) <= _LARGEST_PORT if found else not host
    if not is_good or (not host and request.version == HttpVersion11):
        raise Refusal(400, "bad_host", "The Host of the request is none.", must_close=True)
    passed = ",".join(request.headers.getall("Via", ())).split(",")
    if sum(hop.split()[1:2] == [PSEUDONYM] for hop in passed) >= _MOST_ROUNDS:
        text = "The request goes round in a circle: a version's URL leads back to a gateway."
        raise Refusal(508, "loop_detected", text)


def is_utf8(fields: Iterable[tuple[bytes, bytes]]) -> bool:
    """aiohttp would leave out the other bytes without a word."""
    try:
        for _, value in fields:
            value.isascii() or value.decode()
    except UnicodeDecodeError:
        return False
    return True

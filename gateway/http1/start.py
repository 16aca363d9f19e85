"""The first line of a message: `POST /v1/chat HTTP/1.1` or `HTTP/1.1 200 OK`."""

from __future__ import annotations

import re
from typing import Final

from gateway.errors import DownstreamError, UpstreamProtocolError
from gateway.http1.limits import Limits
from gateway.http1.values import is_host

_METHODS: Final = {
    name.encode(): name for name in ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")
}
# Without lower case: who reads `head` as HEAD would not agree with us on where the answer ends.
_METHOD: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Z]++")
_VERSION: Final = re.compile(rb"HTTP/[0-9]\.[0-9]")

# Printable ASCII but "#", which no client may send, and %00, which ends a string in C. What a URL
# may not hold but many clients send raw ("<>\^`{|}) passes as it came.
_PATH: Final = rb"/[!\"$&-~]*+(?:%(?!00)[!\"$&-~]*+)*+"
_ORIGIN: Final = re.compile(_PATH)
_ABSOLUTE: Final = re.compile(rb"(https?)://([^/?]++)(/?+)", re.IGNORECASE)
_DEFAULT_PORTS: Final = {b"http": b":80", b"https": b":443"}

_STATUS: Final = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: ([\t\x20-\x7e\x80-\xff]*+))?+")


class RequestLine:
    """What a request's first line says; made once per line, never changed."""

    __slots__ = (
        *("authority", "default_port", "method", "minor", "path", "query", "rest", "target"),
        *("text", "verb"),
    )

    def __init__(self, method: str, target: bytes, minor: int) -> None:
        self.method = method
        self.target = target  # as it is sent on: origin-form, or "*"
        self.text = target.decode("ascii")
        self.path, _, self.query = target.partition(b"?")
        self.minor = minor
        # As it is sent on: between these comes what stands before all paths of an endpoint, and
        # behind them its authority.
        self.verb = method.encode() + b" "
        self.rest = target + b" HTTP/1.1\r\nHost: "
        self.authority = b""  # of an absolute target: it counts, not the Host field
        self.default_port = b""  # of its scheme, with the colon

    def agrees_with(self, host: bytes) -> bool:
        """Whether a Host field names the authority of the target."""
        port = self.default_port
        return host.lower().removesuffix(port) == self.authority.lower().removesuffix(port)

    def __repr__(self) -> str:
        return f"<RequestLine {self.method} {self.target!r} HTTP/1.{self.minor}>"


class StatusLine:
    """What an answer's first line says; `line` is what is sent on."""

    __slots__ = ("line", "minor", "status")

    def __init__(self, status: int, minor: int, line: bytes) -> None:
        self.status = status
        self.minor = minor
        self.line = line

    def __repr__(self) -> str:
        return f"<StatusLine {self.line!r}>"


def parse_request_line(line: bytes, limits: Limits) -> RequestLine:
    """Raises DownstreamError."""
    if len(line) > limits.line_bytes:
        text = f"The first line of the request is longer than {limits.line_bytes} bytes."
        raise DownstreamError(414, "line_too_long", text)
    words = line.split(b" ")
    if len(words) != 3:
        text = "A request starts with a method, a target and a version, with one space between."
        raise DownstreamError(400, "bad_request", text)
    minor = _minor(words[2])
    method = _METHODS.get(words[0]) or _method(words[0])
    target = words[1]
    if _ORIGIN.fullmatch(target):
        return RequestLine(method, target, minor)
    if target == b"*" and method == "OPTIONS":
        return RequestLine(method, target, minor)
    return _absolute(method, target, minor)


def _minor(version: bytes) -> int:
    if version == b"HTTP/1.1":
        return 1
    if version == b"HTTP/1.0":
        return 0
    if _VERSION.fullmatch(version):
        text = "Only HTTP/1.1 and HTTP/1.0 are served here."
        raise DownstreamError(505, "bad_version", text)
    raise DownstreamError(400, "bad_version", "The first line does not end with a version.")


def _method(name: bytes) -> str:
    if name in (b"CONNECT", b"TRACE"):
        raise DownstreamError(405, "bad_method", f"{name.decode()} is not served here.")
    if not _METHOD.fullmatch(name):
        raise DownstreamError(400, "bad_method", "The method of the request is none.")
    return name.decode("ascii")


def _absolute(method: str, target: bytes, minor: int) -> RequestLine:
    found = _ABSOLUTE.match(target)
    if found is None:
        text = "The target of the request must be a path of printable ASCII without # and %00."
        raise DownstreamError(400, "bad_path", text)
    if not is_host(found[2]):
        raise DownstreamError(400, "bad_host", "The target of the request names no host.")
    rest = target[found.end(2) :]
    if method == "OPTIONS" and not rest:
        path = b"*"  # RFC 9112, 3.2.4
    else:
        path = rest if found[3] else b"/" + rest
        if not _ORIGIN.fullmatch(path):
            text = "The target of the request must be printable ASCII without # and %00."
            raise DownstreamError(400, "bad_path", text)
    line = RequestLine(method, path, minor)
    line.authority = found[2]
    line.default_port = _DEFAULT_PORTS[found[1].lower()]
    return line


def parse_status_line(line: bytes, limits: Limits) -> StatusLine:
    """Raises UpstreamProtocolError."""
    found = _STATUS.fullmatch(line) if len(line) <= limits.line_bytes else None
    if found is None:
        raise UpstreamProtocolError(
            "The model's answer does not start like one of HTTP/1.1.", repr(line[:100])
        )
    reason = found[3] or b""
    return StatusLine(int(found[2]), int(found[1]), b"HTTP/1.1 %b %b" % (found[2], reason))

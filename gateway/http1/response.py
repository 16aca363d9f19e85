"""The head of an answer: its status, which of its lines go on, how its body is framed."""

from __future__ import annotations

from typing import Final

from gateway.errors import UpstreamProtocolError
from gateway.http1.framing import Framing
from gateway.http1.limits import Limits
from gateway.http1.lines import (
    CODING,
    CONNECTION,
    DATE,
    DROPPED,
    IDENTITY,
    LENGTH,
    OURS,
    PLAIN_FIELD,
    SERVER,
    TE,
    UPGRADE,
    BadLine,
    Field,
    LineMemo,
    merged,
    without,
)
from gateway.http1.start import StatusLine, parse_status_line
from gateway.http1.values import Coding

_NOT_PASSED: Final = frozenset({b"x-request-id"})


class ResponseHead:
    """An answer that may be passed on."""

    __slots__ = (
        *("block", "chunked", "framing", "has_date", "has_server", "keep_alive", "kept", "length"),
        *("length_line", "minor", "status", "status_line", "upgrade"),
    )

    def __init__(self, line: StatusLine) -> None:
        self.status = line.status
        self.status_line = line.line  # says HTTP/1.1, which is what we speak
        self.minor = line.minor  # what the model speaks
        self.keep_alive = line.minor == 1
        self.length = -1  # -1 = no Content-Length
        self.chunked = False
        self.upgrade = b""  # only of a 101
        self.has_date = False
        self.has_server = False
        self.kept: list[bytes] = []  # lines that may go on as they are, in order
        self.block = b""  # the status line and `kept`
        self.framing = Framing.UNTIL_CLOSE  # of the body, unless the request was HEAD
        self.length_line = b""  # what says the length in our own words, if anything is to say it

    def __repr__(self) -> str:
        return f"<ResponseHead {self.status} HTTP/1.{self.minor}>"


def parse_response(head: bytes, memo: LineMemo, limits: Limits) -> ResponseHead:
    """What a head says, without its blank line; raises UpstreamProtocolError.

    Nobody may change what is returned: the next one who gets the same head gets it, too.
    """
    known = memo.response_heads.get(head)
    if known is not None:
        return known
    lines = head.split(b"\r\n")
    first = lines.pop(0)
    learned = memo.learned
    start = memo.status_lines.get(first)
    if start is None:
        learned = -1  # this head must be read again the next time
        start = parse_status_line(first, limits)
        memo.remember_status_line(first, start)
    if len(head) > limits.head_bytes or len(lines) > limits.head_lines:
        raise UpstreamProtocolError("The headers of the model's answer are too large.")
    response = ResponseHead(start)
    try:
        connection = _read_lines(lines, memo, response)
    except BadLine:
        text = "The model's answer has a malformed header line."
        raise UpstreamProtocolError(text) from None
    if connection is not None:
        _obey(response, connection)
    if response.status == 101:
        if not response.upgrade or response.minor == 0:
            raise UpstreamProtocolError("The model switched protocols without saying to which.")
    elif response.upgrade:
        response.upgrade = b""
    _frame(response)
    if memo.learned == learned:
        memo.remember_response(head, response)
    return response


def _frame(response: ResponseHead) -> None:
    """Where the body of the answer ends (RFC 9112, 6.3), and what of the head goes on."""
    length, status = response.length, response.status
    if length >= 0 and status != 204:  # to 304 it tells of a body that is not there
        response.length_line = b"Content-Length: %d" % length
    if status < 200 or status == 204 or status == 304 or length == 0:
        response.framing = Framing.NONE
    elif response.chunked:
        response.framing = Framing.CHUNKED
    elif length > 0:
        response.framing = Framing.LENGTH
    response.block = b"\r\n".join((response.status_line, *response.kept))


def _read_lines(lines: list[bytes], memo: LineMemo, response: ResponseHead) -> Field | None:
    """Sorts the lines; returns what Connection says."""
    known, learn, keep, plain = memo.known.get, memo.learn, response.kept.append, PLAIN_FIELD
    connection = None
    more: list[Field] = []
    for line in lines:
        field = known(line) or learn(line)
        if field is plain:
            keep(line)
            continue
        kind = field.kind
        if kind == DATE:
            response.has_date = True
            keep(field.line)
        elif kind == SERVER:
            response.has_server = True
            keep(field.line)
        elif kind == LENGTH:
            _set_length(response, field)
        elif kind == CODING:
            _set_coding(response, field)
        elif kind == CONNECTION:
            if connection is None:
                connection = field
            else:
                more.append(field)
        elif kind == UPGRADE:
            response.upgrade = field.value
        elif kind == IDENTITY:
            if field.name not in _NOT_PASSED and not field.name.startswith(OURS):
                keep(field.line)
        elif kind not in (DROPPED, TE):
            keep(field.line)
    return merged([connection, *more]) if connection and more else connection


def _set_length(response: ResponseHead, field: Field) -> None:
    if field.length < 0 or response.length >= 0 or response.chunked:
        raise _untrusted()
    response.length = field.length


def _set_coding(response: ResponseHead, field: Field) -> None:
    # A coding inside of chunked would reach the client without its name.
    if field.coding is not Coding.CHUNKED or response.length >= 0 or response.chunked:
        raise _untrusted()
    if response.minor == 0:  # faulty framing by RFC 9112, 6.1
        raise _untrusted()
    response.chunked = True


def _untrusted() -> UpstreamProtocolError:
    return UpstreamProtocolError("It cannot be trusted where the model's answer ends.")


def _obey(response: ResponseHead, connection: Field) -> None:
    """Does what Connection says, as far as it may."""
    if b"close" in connection.options:
        response.keep_alive = False
    elif b"keep-alive" in connection.options:
        response.keep_alive = True
    if connection.nominated:
        response.kept = without(response.kept, connection.nominated)

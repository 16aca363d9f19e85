"""The head of a request: what it asks, which of its lines go on, how its body is framed."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from gateway.errors import DownstreamError
from gateway.http1.limits import Limits
from gateway.http1.lines import (
    CODING,
    CONNECTION,
    DROPPED,
    EXPECT,
    HOST,
    IDENTITY,
    LENGTH,
    PLAIN_FIELD,
    TE,
    UPGRADE,
    WANTED,
    BadLine,
    Field,
    LineMemo,
    merged,
    without,
)
from gateway.http1.start import RequestLine, parse_request_line
from gateway.http1.values import Coding, members

__all__ = ["RequestHead", "parse_request", "without"]

_NOTHING: Mapping[bytes, bytes] = MappingProxyType({})
_NO_NAMES: frozenset[bytes] = frozenset()


class RequestHead:
    """A request that may be served; what cannot be understood in one way only is none."""

    __slots__ = (
        *("chunked", "expect", "host", "keep_alive", "kept", "length", "line", "method", "minor"),
        *("path", "query", "single", "special", "target", "te_trailers", "twice", "upgrade"),
    )

    def __init__(self, line: RequestLine) -> None:
        self.line = line
        self.method = line.method
        self.target = line.target  # as it is to be sent on
        self.path = line.path  # as it came; matching looks at its canonical form
        self.query = line.query
        self.minor = line.minor
        self.keep_alive = line.minor == 1
        self.host = b""  # empty only in HTTP/1.0
        self.length = -1  # -1 = no Content-Length
        self.chunked = False
        self.expect = False  # 100-continue
        self.upgrade = b""
        self.te_trailers = False
        self.kept: list[bytes] = []  # lines that may go on as they are, in order
        self.single: Mapping[bytes, bytes] = _NOTHING  # wanted fields that came once
        self.twice: frozenset[bytes] = _NO_NAMES  # wanted fields that came more than once
        # (name, value, line) of those that tell who asks or which way it came; not in `kept`
        self.special: list[tuple[bytes, bytes, bytes]] | None = None

    @property
    def has_body(self) -> bool:
        return self.chunked or self.length > 0

    def __repr__(self) -> str:
        return f"<RequestHead {self.method} {self.path!r} HTTP/1.{self.minor}>"


def parse_request(head: bytes, memo: LineMemo, limits: Limits) -> RequestHead:
    """What a head says, without its blank line; raises DownstreamError.

    Nobody may change what is returned: the next one who sends the same head gets it, too.
    """
    request = memo.request_heads.get(head)
    if request is not None:
        return request
    lines = head.split(b"\r\n")
    first = lines.pop(0)
    if not first and lines:  # one empty line in front is tolerated (RFC 9112, 2.2)
        first = lines.pop(0)
    learned = memo.learned
    start = memo.request_lines.get(first)
    if start is None:
        learned = -1  # this head must be read again the next time
        start = parse_request_line(first, limits)
        memo.remember_request_line(first, start)
    if len(head) > limits.head_bytes or len(lines) > limits.head_lines:
        raise DownstreamError(431, "head_too_large", "The headers of the request are too large.")
    request = RequestHead(start)
    try:
        connection = _read_lines(lines, memo, request)
    except BadLine:
        text = "A header line is malformed: a name, a colon and printable text are expected."
        raise DownstreamError(400, "bad_header", text) from None
    if start.authority:
        _obey_authority(request, start)
    elif not request.host and request.minor:
        raise DownstreamError(400, "bad_host", "The request must have exactly one Host.")
    if connection is not None:
        _obey(request, connection)
    elif request.upgrade:  # not said to be for us
        request.upgrade = b""
    if memo.wanted_apart:
        _add_wanted(lines, memo, request)
    if memo.learned == learned:
        memo.remember_request(head, request)
    return request


def _read_lines(lines: list[bytes], memo: LineMemo, request: RequestHead) -> Field | None:
    """Sorts the lines; returns what Connection says."""
    known, learn, keep, plain = memo.known.get, memo.learn, request.kept.append, PLAIN_FIELD
    connection = None
    more: list[Field] = []
    wanted: list[Field] = []
    for line in lines:
        field = known(line) or learn(line)
        if field is plain:
            keep(line)
            continue
        kind = field.kind
        if kind == HOST:
            if request.host or not field.is_good:
                text = "The request must have exactly one Host, and it must name one host."
                raise DownstreamError(400, "bad_host", text)
            request.host = field.value
        elif kind == LENGTH:
            if field.length < 0 or request.length >= 0 or request.chunked:
                raise _wrong_length(field)
            request.length = field.length
        elif kind == CONNECTION:
            if connection is None:
                connection = field
            else:
                more.append(field)
        elif kind == WANTED:
            keep(field.line)
            wanted.append(field)
        elif kind == IDENTITY:
            if request.special is None:
                request.special = []
            request.special.append((field.name, field.value, field.line))
        elif kind == CODING:
            _set_coding(request, field)
        elif kind == EXPECT:
            _set_expect(request, field)
        elif kind == TE:
            request.te_trailers |= b"trailers" in field.options
        elif kind == UPGRADE:
            request.upgrade = _joined(request.upgrade, field)
        elif kind != DROPPED:  # rewritten, or special in answers only
            keep(field.line)
    if len(wanted) == 1:
        request.single = {wanted[0].name: wanted[0].value}
    elif wanted:
        _look_at(wanted, request)
    return merged([connection, *more]) if connection and more else connection


def _look_at(wanted: list[Field], request: RequestHead) -> None:
    """Takes the values of fields that came once: of two nobody can tell which counts (A-10)."""
    single, twice = dict(request.single), set(request.twice)
    for field in wanted:
        name = field.name
        if name in twice:
            continue
        if name not in single:
            single[name] = field.value
        elif name == b"cookie":
            single[name] += b"; " + field.value
        else:
            del single[name]
            twice.add(name)
    request.single = single
    if twice:
        request.twice = frozenset(twice)


def _wrong_length(field: Field) -> DownstreamError:
    if field.length < 0:
        return _bad_framing("The Content-Length is no number, or one too large.")
    return _bad_framing("The request says in more than one way how long it is.")


def _set_coding(request: RequestHead, field: Field) -> None:
    if request.length >= 0 or request.chunked:
        raise _bad_framing("The request says in more than one way how long it is.")
    if request.minor == 0:
        raise _bad_framing("Transfer-Encoding cannot be used in HTTP/1.0.")
    if field.coding is Coding.WRONG:
        raise _bad_framing("The Transfer-Encoding is malformed.")
    if field.coding is Coding.UNKNOWN:
        text = "The only Transfer-Encoding that is served here is chunked."
        raise DownstreamError(501, "bad_framing", text)
    request.chunked = True


def _bad_framing(text: str) -> DownstreamError:
    return DownstreamError(400, "bad_framing", text)


def _set_expect(request: RequestHead, field: Field) -> None:
    if field.value.lower() != b"100-continue":
        raise DownstreamError(417, "bad_expectation", "Only 100-continue can be expected.")
    request.expect = request.minor == 1  # to be ignored in HTTP/1.0 (RFC 9110, 10.1.1)


def _joined(before: bytes, field: Field) -> bytes:
    """Without h2c: we do not speak it upstream, and whoever tried would lose the body."""
    if b"h2c" not in field.value.lower():
        offered = field.value
    else:
        offered = b", ".join(one for one in members(field.value) if one != b"h2c")
    return before + b", " + offered if before and offered else before or offered


def _obey_authority(request: RequestHead, start: RequestLine) -> None:
    """The host of an absolute target counts, and a Host beside it must say the same."""
    if (request.host or request.minor) and not start.agrees_with(request.host):
        text = "The target and the Host of the request name different hosts, or one is missing."
        raise DownstreamError(400, "bad_host", text)
    request.host = start.authority


def _obey(request: RequestHead, connection: Field) -> None:
    """Does what Connection says, as far as it may."""
    options = connection.options
    if b"close" in options:
        request.keep_alive = False
    elif b"keep-alive" in options:
        request.keep_alive = True
    if request.upgrade and (b"upgrade" not in options or request.minor == 0):
        request.upgrade = b""
    if connection.nominated:
        request.kept = without(request.kept, connection.nominated)


def _add_wanted(lines: list[bytes], memo: LineMemo, request: RequestHead) -> None:
    """Values of wanted fields that are more than plain ones to us, such as Host."""
    fields = (
        memo.known.get(line) or memo.learn(line)
        for line in lines
        # By the name as it is spelled: with "_" for "-" it is not wanted.
        if line.partition(b":")[0].lower() in memo.wanted_apart
    )
    _look_at(list(fields), request)

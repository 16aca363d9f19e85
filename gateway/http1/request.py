"""The head of a request: what it asks, which of its lines go on, how its body is framed."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.errors import DownstreamError
from gateway.http1.limits import Limits
from gateway.http1.lines import (
    CODING,
    CONNECTION,
    DATE,
    EXPECT,
    HOST,
    IDENTITY,
    LENGTH,
    PLAIN_FIELD,
    REWRITTEN,
    SERVER,
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

# In answers the last two are more than that.
_PASSING: Final = frozenset({REWRITTEN, WANTED, DATE, SERVER})
_LEAST_LINES: Final = 4  # fewer are as well looked up one by one
_LONGEST_START: Final = 2048  # bytes

_NOTHING: Mapping[bytes, bytes] = MappingProxyType({})
_NO_NAMES: frozenset[bytes] = frozenset()


class RequestHead:
    """A request that may be served; what cannot be understood in one way only is none."""

    __slots__ = (
        *("chunked", "expect", "host", "keep_alive", "kept", "length", "line", "method", "minor"),
        *("path", "query", "single", "special", "start", "target", "te_trailers", "twice"),
        "upgrade",
    )

    def __init__(self, line: RequestLine, kept: list[bytes]) -> None:
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
        self.kept = kept  # lines that may go on as they are, in order
        self.single: Mapping[bytes, bytes] = _NOTHING  # wanted fields that came once
        self.twice: frozenset[bytes] = _NO_NAMES  # wanted fields that came more than once
        # (name, value, line) of those that tell who asks or which way it came; not in `kept`
        self.special: list[tuple[bytes, bytes, bytes]] | None = None
        self.start: Start | None = None  # for the next head of the same connection

    @property
    def has_body(self) -> bool:
        return self.chunked or self.length > 0

    def __repr__(self) -> str:
        return f"<RequestHead {self.method} {self.path!r} HTTP/1.{self.minor}>"


class Start:
    """The header lines that the heads of one connection begin with, sorted once for all of them.

    They are lines that the memo remembers, so none of them is secret.
    """

    __slots__ = ("bytes", "count", "fields", "kept", "wanted")

    def __init__(self, raw: bytes, lines: list[bytes], memo: LineMemo) -> None:
        self.bytes = raw  # with the end of the last line
        self.count = len(lines)
        self.kept: list[bytes] = []
        self.fields: list[Field] = []
        self.wanted = memo.wanted  # who wants other fields sorts the same lines differently
        _sort(lines, memo, self.kept, self.fields)

    def __repr__(self) -> str:
        return f"<Start of {self.count} lines>"


def parse_request(
    head: bytes, memo: LineMemo, limits: Limits, start: Start | None = None
) -> RequestHead:
    """What a head says, without its blank line; raises DownstreamError.

    `start` is that of the head before on the same connection. Nobody may change what is returned:
    the next one who sends the same head gets it, too.
    """
    if start is not None and start.wanted is not memo.wanted:
        start = None
    if start is None:
        known = memo.request_heads.get(head)
        if known is not None:
            return known
    first, line_end, rest = head.partition(b"\r\n")
    if not first and line_end:  # one empty line in front is tolerated (RFC 9112, 2.2)
        first, line_end, rest = rest.partition(b"\r\n")
    learned = memo.learned
    line = memo.request_lines.get(first)
    if line is None:
        learned = -1  # this head must be read again the next time
        line = parse_request_line(first, limits)
        memo.remember_request_line(first, line)
    if start is not None and rest.startswith(start.bytes):
        lines = rest[len(start.bytes) :].split(b"\r\n")
        kept, fields = start.kept.copy(), start.fields.copy()
        count = start.count + len(lines)
    else:
        lines = rest.split(b"\r\n") if line_end else []
        kept, fields = [], []
        count = len(lines)
    if len(head) > limits.head_bytes or count > limits.head_lines:
        raise DownstreamError(431, "head_too_large", "The headers of the request are too large.")
    try:
        _sort(lines, memo, kept, fields)
    except BadLine:
        text = "A header line is malformed: a name, a colon and printable text are expected."
        raise DownstreamError(400, "bad_header", text) from None
    request = RequestHead(line, kept)
    connection = _understand(fields, request)
    if line.authority:
        _obey_authority(request, line)
    elif not request.host and request.minor:
        raise DownstreamError(400, "bad_host", "The request must have exactly one Host.")
    if connection is not None:
        _obey(request, connection)
    elif request.upgrade:  # not said to be for us
        request.upgrade = b""
    if memo.wanted_apart:
        _add_wanted(lines, memo, request)
    elif memo.learned == learned:
        memo.remember_request(head, request)
    else:
        request.start = start or _start_of(rest, lines, memo)
    return request


def _start_of(rest: bytes, lines: list[bytes], memo: LineMemo) -> Start | None:
    """The start of a head that is fine; mostly it is known from another connection."""
    known, size, count = memo.known, 0, 0
    for line in lines[:-1]:
        if line not in known:
            break
        size += len(line) + 2
        count += 1
    if count < _LEAST_LINES or size > _LONGEST_START:
        return None
    raw = rest[:size]
    start = memo.starts.get(raw)
    if start is None:
        start = Start(raw, lines[:count], memo)
        memo.remember_start(raw, start)
    return start


def _sort(lines: list[bytes], memo: LineMemo, kept: list[bytes], fields: list[Field]) -> None:
    """Parts the lines that go on as they are from those that say something to us, or both."""
    known, learn, keep, plain = memo.known.get, memo.learn, kept.append, PLAIN_FIELD
    for line in lines:
        field = known(line) or learn(line)
        if field is plain:
            keep(line)
        else:
            if field.kind in _PASSING:
                keep(field.line)
            fields.append(field)


def _understand(fields: list[Field], request: RequestHead) -> Field | None:
    """What the fields say; returns what Connection does."""
    connections: list[Field] = []
    wanted: list[Field] = []
    for field in fields:
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
            connections.append(field)
        elif kind == WANTED:
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
    if len(wanted) == 1:
        request.single = {wanted[0].name: wanted[0].value}
    elif wanted:
        _look_at(wanted, request)
    if len(connections) > 1:
        return merged(connections)
    return connections[0] if connections else None


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

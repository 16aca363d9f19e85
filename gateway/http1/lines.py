"""Header lines: each is checked once, understood once, and remembered.

Most lines of a client come again with its next request. The memo maps a line, as the bytes that
came, to what it means; a line that is found there needs no second check. It is bounded: lines go
into a young generation, and when that is full it becomes the old one and the old one is forgotten;
a line found in the old one moves to the young one. A line is remembered from the second time that
its name comes. A stranger who sends ever new lines thus costs no more than those lines.

A head of which every line is remembered is remembered as a whole: who polls, or asks without a
secret, and models whose answers begin alike are read by one look. And most heads of a connection
begin with the same lines, up to the first that is secret or new: those are sorted once for all.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from gateway.http1.start import RequestLine, StatusLine
from gateway.http1.values import Coding, coding_of, is_host, length_of, members

if TYPE_CHECKING:
    from gateway.http1.request import RequestHead, Start
    from gateway.http1.response import ResponseHead

_LONGEST_REMEMBERED: Final = 256
_LONGEST_HEAD: Final = 1024
_MOST_HEADS: Final = 2048
_MOST_STARTS: Final = 256
_LONGEST_NAME: Final = 64
_MOST_NAMES: Final = 1024

# Checked is everything: a name of token characters, no blank before the colon, no control
# characters (so no bare CR or LF, and no folding: a folded line starts with a blank). 0x80-0xFF are
# allowed in values and stay as they are. Deleting bytes and comparing costs half of a pattern.
_CONTROL: Final = bytes((*range(0x09), *range(0x0A, 0x20), 0x7F))
_TOKEN: Final = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

# What a line is for us. Plain numbers: they are compared on the hot path.
PLAIN: Final = 0  # passes as it came
REWRITTEN: Final = 1  # passes without its superfluous blanks
WANTED: Final = 2  # passes, and its value is looked at
DROPPED: Final = 3  # does not pass
HOST: Final = 4
LENGTH: Final = 5
CODING: Final = 6
CONNECTION: Final = 7
IDENTITY: Final = 8  # says who asks, or which way it came
EXPECT: Final = 9
UPGRADE: Final = 10
TE: Final = 11
DATE: Final = 12
SERVER: Final = 13

HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"http2-settings",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
IDENTITY_NAMES: Final = frozenset(
    {
        b"forwarded",
        b"max-forwards",
        b"traceparent",
        b"tracestate",
        b"via",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-proto",
        b"x-real-ip",
        b"x-request-id",
    }
)
OURS: Final = b"x-graygate-"

_KINDS: Final = {
    **dict.fromkeys(HOP_BY_HOP, DROPPED),
    **dict.fromkeys(IDENTITY_NAMES, IDENTITY),
    b"host": HOST,
    b"content-length": LENGTH,
    b"transfer-encoding": CODING,
    b"connection": CONNECTION,
    b"expect": EXPECT,
    b"upgrade": UPGRADE,
    b"te": TE,
    b"date": DATE,
    b"server": SERVER,
}
# Nobody can have these removed by naming them in Connection.
_NOT_NOMINABLE: Final = frozenset({b"host", b"content-length", b"authorization", b"cookie"})
_ORDINARY_OPTIONS: Final = frozenset({b"close"})

# Secrets must not stay in memory, and what never comes again need not.
_FLEETING: Final = re.compile(
    rb"auth|cookie|credential|key|password|secret|session|signature|token"
    rb"|correlation|request-id|span|trace"
)

_NO_NAMES: Final[frozenset[bytes]] = frozenset()


class BadLine(ValueError):
    """These bytes are no header line."""


class Field:
    """What one header line means; made once per line, never changed."""

    __slots__ = (
        "coding",
        "is_good",
        "kind",
        "length",
        "line",
        "name",
        "nominated",
        "options",
        "value",
    )

    def __init__(self, kind: int, name: bytes, value: bytes, line: bytes) -> None:
        self.kind = kind
        self.name = name  # lower case, with "-" for "_" where it is an identity's
        self.value = value  # without blanks around it
        self.line = line  # in the form that may be sent on
        self.length = -1  # of LENGTH; -1 = not a length
        self.coding = Coding.WRONG  # of CODING
        self.is_good = False  # of HOST
        self.options = _NO_NAMES  # of CONNECTION, TE: lower case
        self.nominated = _NO_NAMES  # of CONNECTION: what it removes

    def __repr__(self) -> str:
        return f"<Field {self.name!r} kind {self.kind}>"


PLAIN_FIELD: Final = Field(PLAIN, b"", b"", b"")


class _Name:
    """What the name of a field says; made once per spelling."""

    __slots__ = ("is_fleeting", "kind", "name")

    def __init__(self, kind: int, name: bytes) -> None:
        self.kind = kind
        self.name = name
        self.is_fleeting: bool | None = None  # looked at when the name comes again


class LineMemo:
    """What the lines seen lately mean. One per worker and side; `wanted` names are lower case."""

    __slots__ = (
        "_capacity",
        "_kinds",
        "_names",
        "_older",
        "_standing",
        "known",
        "learned",
        "request_heads",
        "request_lines",
        "response_heads",
        "starts",
        "status_lines",
        "wanted",
        "wanted_apart",
    )

    def __init__(self, wanted: frozenset[bytes] = frozenset(), entries: int = 4096) -> None:
        self.known: dict[bytes, Field] = {}  # another one after `learn`
        self.request_lines: dict[bytes, RequestLine] = {}
        self.status_lines: dict[bytes, StatusLine] = {}
        self.request_heads: dict[bytes, RequestHead] = {}
        self.starts: dict[bytes, Start] = {}  # of requests
        self.response_heads: dict[bytes, ResponseHead] = {}
        self.learned = 0  # how often a line was not in `known`
        self.wanted = wanted
        # Wanted, but more than that to us, so that their kind does not say it.
        self.wanted_apart = frozenset(one for one in wanted if not is_ordinary(_dashed(one)))
        self._older: dict[bytes, Field] = {}
        self._names: dict[bytes, _Name] = {}
        self._capacity = max(1, entries // 2)
        self._standing = frozenset({*_NOT_NOMINABLE, *_ORDINARY_OPTIONS, *_KINDS, *wanted})
        # Of names that differ in "-" and "_" only the wanted one passes; see `_name`.
        plainly = wanted - self.wanted_apart
        self._kinds = {
            **dict.fromkeys(map(_dashed, plainly), DROPPED),
            **dict.fromkeys(plainly, WANTED),
            **_KINDS,
        }

    def __repr__(self) -> str:
        return f"<LineMemo {len(self.known)}+{len(self._older)} of {2 * self._capacity} lines>"

    def learn(self, line: bytes) -> Field:
        """What a line means that is not in `known`; raises BadLine."""
        self.learned += 1
        field = self._older.get(line)
        if field is None:
            spelled, _, value = line.partition(b": ")
            name = self._names.get(spelled)
            if name is None or value.translate(None, _CONTROL) != value.strip(b" \t") or not value:
                return self._learn_fully(line)
            field = self._field(name, value, line)
            if name.is_fleeting is None:
                name.is_fleeting = _FLEETING.search(name.name) is not None
            if name.is_fleeting or len(line) > _LONGEST_REMEMBERED:
                return field
        if len(self.known) >= self._capacity:
            self._older = self.known
            self.known = {}
        self.known[line] = field
        return field

    def remember_request_line(self, line: bytes, meaning: RequestLine) -> None:
        """For a line that is checked. What is asked for in a query may be secret."""
        if len(line) <= _LONGEST_REMEMBERED and not meaning.query:
            if len(self.request_lines) >= self._capacity:
                self.request_lines.clear()
            self.request_lines[line] = meaning

    def remember_status_line(self, line: bytes, meaning: StatusLine) -> None:
        """For a line that is checked."""
        if len(line) <= _LONGEST_REMEMBERED:
            if len(self.status_lines) >= self._capacity:
                self.status_lines.clear()
            self.status_lines[line] = meaning

    def remember_request(self, head: bytes, meaning: RequestHead) -> None:
        """For a head whose first line and header lines were all remembered: it has no secret."""
        if len(head) <= _LONGEST_HEAD:
            if len(self.request_heads) >= _MOST_HEADS:
                self.request_heads.clear()
            self.request_heads[head] = meaning

    def remember_start(self, raw: bytes, start: Start) -> None:
        """For header lines that are all remembered: they have no secret."""
        if len(self.starts) >= _MOST_STARTS:
            self.starts.clear()
        self.starts[raw] = start

    def remember_response(self, head: bytes, meaning: ResponseHead) -> None:
        """For a head whose first line and header lines were all remembered: it has no secret."""
        if len(head) <= _LONGEST_HEAD:
            if len(self.response_heads) >= _MOST_HEADS:
                self.response_heads.clear()
            self.response_heads[head] = meaning

    def _learn_fully(self, line: bytes) -> Field:
        """A line of a new name, or one that is not in the usual form; it is not remembered."""
        spelled, value = split_line(line)
        name = self._names.get(spelled)
        if name is None:
            name = self._name(spelled.lower())
            if len(spelled) <= _LONGEST_NAME:
                if len(self._names) >= _MOST_NAMES:
                    self._names.clear()
                self._names[spelled] = name
        text = line[len(spelled) + 1 :]
        if text == value or (value and text == b" " + value):
            return self._field(name, value, line)
        line = b": ".join((spelled, value)) if value else spelled + b":"
        field = self._field(name, value, line)
        return Field(REWRITTEN, b"", b"", line) if field is PLAIN_FIELD else field

    def _name(self, name: bytes) -> _Name:
        kind = self._kinds.get(name)
        if kind is not None:
            return _Name(kind, name)
        if b"_" in name:
            # Servers behind us may read "_" as "-", and see what nobody here has judged.
            dashed = _dashed(name)
            is_doubted = dashed in self._kinds or dashed.startswith(OURS)
            return _Name(DROPPED if is_doubted else PLAIN, name)
        return _Name(IDENTITY if name.startswith(OURS) else PLAIN, name)

    def _field(self, name: _Name, value: bytes, line: bytes) -> Field:
        kind = name.kind
        if kind == PLAIN:
            return PLAIN_FIELD
        field = Field(kind, name.name, value, line)
        if kind == LENGTH:
            field.length = length_of(value)
        elif kind == CODING:
            field.coding = coding_of(value)
        elif kind == HOST:
            field.is_good = is_host(value)
        elif kind in (CONNECTION, TE):
            field.options = frozenset(members(value))
            field.nominated = field.options - self._standing
        return field


def split_line(line: bytes) -> tuple[bytes, bytes]:
    """(name as it is spelled, value without blanks around it) of any line; raises BadLine."""
    name, colon, text = line.partition(b":")
    if (
        not name
        or not colon
        or name.translate(None, _TOKEN)
        or text.translate(None, _CONTROL) != text
    ):
        raise BadLine
    return name, text.strip(b" \t")  # not the blanks of str: 0x85 and 0xA0 are data


def merged(connections: list[Field]) -> Field:
    """What several Connection fields say together."""
    field = Field(CONNECTION, b"connection", b"", b"")
    field.options = frozenset().union(*(one.options for one in connections))
    field.nominated = frozenset().union(*(one.nominated for one in connections))
    return field


def without(lines: list[bytes], names: frozenset[bytes]) -> list[bytes]:
    """The lines whose names are not among these (lower case)."""
    return [line for line in lines if line[: line.index(b":")].lower() not in names]


def _dashed(name: bytes) -> bytes:
    return name.replace(b"_", b"-")


def is_ordinary(name: bytes) -> bool:
    """Whether a field of this name (lower case) means nothing to a proxy."""
    return name not in _KINDS and not name.startswith(OURS)

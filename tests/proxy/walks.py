"""What may happen to a plane between its clients and models, drawn at random and as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from hypothesis import strategies as st

from tests.http1 import fuzzing
from tests.http1.test_smuggling import FAMILIES

ATTACKS = [attack for family in FAMILIES for attack in family()]
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: h\r\n\r\n"
ENDPOINTS = 3  # of models that listen
DEAD = ENDPOINTS  # the number of one that does not


class Framed(Enum):
    """How the model frames an answer."""

    LENGTH = "length"
    CHUNKS = "chunks"
    CLOSE = "close"
    OLD = "old"  # HTTP/1.0
    TWICE = "twice"  # which nobody may pass on
    GARBAGE = "garbage"
    SWITCHED = "switched"  # 101, asked for or not


class End(Enum):
    """What one side does with its connection when it has sent all that it will."""

    STAY = "stay"
    CLOSE = "close"
    HALF = "half"
    RESET = "reset"


@dataclass(frozen=True)
class Reply:
    """What a model does with one request."""

    framed: Framed = Framed.LENGTH
    sizes: tuple[int, ...] = (10,)  # of the body, as it is sent
    status: int = 200
    end: End = End.STAY
    cut: int = 100  # percent of its bytes that are sent
    is_early: bool = False  # sent before the request is read
    says_close: bool = False
    interim: tuple[int, ...] = ()
    extra: bytes = b""  # behind its end
    pauses: int = 0  # turns of the loop between two pieces


@dataclass(frozen=True)
class Caller:
    """What a client sends on one connection, and how."""

    requests: tuple[bytes, ...]
    cuts: tuple[int, ...] = (1 << 20,)  # sizes of the pieces, again and again
    pauses: int = 0
    starts: int = 0  # after so many turns of the loop
    end: End = End.STAY  # then it waits for all answers
    sent: int = 100  # percent of its bytes, if it does not stay
    leaves: int = -1  # it resets after so many bytes of answers; -1 = it does not
    holds: int = 0  # it begins to read so many turns of the loop after it has sent all


@dataclass(frozen=True)
class Shape:
    """The routes at one time."""

    after: int = 0  # turns of the loop
    weight: float = 0.0
    stable: tuple[int, ...] = (0, 1)
    candidate: tuple[int, ...] = (2,)  # none = there is no such version
    has_first: bool = True  # of two routes
    places: int = 1024


@dataclass(frozen=True)
class Walk:
    """One example."""

    callers: tuple[Caller, ...]
    replies: tuple[Reply, ...] = (Reply(),)  # in the order in which the requests come, and again
    shapes: tuple[Shape, ...] = (Shape(),)


# -- clients ---------------------------------------------------------------------

_BODIES = [b"", b"a", b'{"user":"u"}', HIDDEN, b"x" * 3000, b"y" * 200_000]
_OLD = b"\r\nConnection: keep-alive"


@st.composite
def _valid(draw: st.DrawFn) -> bytes:
    """A request that is right; {} is for its number."""
    path = draw(st.sampled_from([b"/a/{}", b"/a/{}", b"/b/{}?x=1"]))
    method = draw(st.sampled_from([b"GET", b"GET", b"POST", b"POST", b"HEAD", b"PUT", b"DELETE"]))
    minor = draw(st.sampled_from([1, 1, 1, 1, 0]))
    head = b"%b %b HTTP/1.%d\r\nHost: front" % (method, path, minor)
    if minor == 0:
        head += draw(st.sampled_from([b"", _OLD]))
    elif draw(st.integers(0, 7)) == 0:
        head += b"\r\nConnection: close"
    kind = draw(st.sampled_from(["length", "chunks"] if minor else ["length"]))
    if method not in (b"POST", b"PUT"):
        return head + b"\r\n\r\n"
    if draw(st.integers(0, 3)) == 0:
        head += b"\r\nExpect: 100-continue"
    if kind == "chunks":
        return head + b"\r\nTransfer-Encoding: chunked\r\n\r\n" + draw(fuzzing.chunked())
    body = draw(st.sampled_from(_BODIES))
    return head + b"\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


_UPGRADES = [
    b"%b HTTP/1.1\r\nHost: front\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n%b\r\nhello%b"
    % (line, fields, HIDDEN)
    for line in (b"GET /a/{}", b"GET /b/{}", b"POST /a/{}")
    for fields in (b"", b"Content-Length: 5\r\n")
]
_REQUESTS = st.one_of(
    _valid(),
    _valid(),
    _valid(),
    _valid(),
    st.sampled_from(_UPGRADES),
    st.sampled_from(ATTACKS),
    fuzzing.tampered(_valid()),
    fuzzing.tampered(fuzzing.requests()),
    st.binary(max_size=30),
)
_TURNS = st.sampled_from([0, 0, 0, 1, 2, 3, 5, 8, 20])
_CUTS = st.lists(st.sampled_from([1, 2, 3, 17, 60, 150, 1000, 70_000, 1 << 20]), max_size=4)


@st.composite
def callers(draw: st.DrawFn) -> Caller:
    end = draw(st.sampled_from([End.STAY, End.STAY, End.STAY, End.CLOSE, End.HALF, End.RESET]))
    return Caller(
        requests=tuple(draw(st.lists(_REQUESTS, min_size=1, max_size=4))),
        cuts=tuple(draw(_CUTS)) or (1 << 20,),
        pauses=draw(_TURNS),
        starts=draw(_TURNS),
        end=end,
        sent=100 if end is End.STAY else draw(st.sampled_from([100, 100, 95, 80, 50, 20, 3])),
        leaves=draw(st.sampled_from([-1, -1, -1, -1, -1, 1, 100, 400, 50_000])),
        holds=draw(st.sampled_from([0, 0, 0, 0, 5, 50])),
    )


# -- models ----------------------------------------------------------------------

_SIZES = st.lists(st.sampled_from([0, 1, 10, 500, 20_000, 400_000]), max_size=4)
_CLOSING = [End.CLOSE, End.HALF, End.RESET]


@st.composite
def replies(draw: st.DrawFn) -> Reply:
    if draw(st.integers(0, 3)) == 0:
        return Reply()
    framed = draw(st.sampled_from([*Framed, *[Framed.LENGTH, Framed.CHUNKS, Framed.CLOSE] * 3]))
    is_cut = draw(st.integers(0, 4)) == 0
    end = draw(st.sampled_from([End.STAY] * (1 if is_cut else 6) + _CLOSING * 2))
    sizes = tuple(draw(_SIZES))
    extra = b""
    ends_body = framed in (Framed.CLOSE, Framed.OLD)  # the end of the connection is that of it
    if sum(sizes) < 5000 and not ends_body and draw(st.integers(0, 9)) == 0:
        # What comes later than the answer cannot be told from the next one.
        extra = draw(
            st.sampled_from([b"x", b"\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"])
        )
    return Reply(
        framed=framed,
        sizes=sizes,
        status=draw(st.sampled_from([200, 200, 200, 204, 304, 404, 500])),
        end=draw(st.sampled_from(_CLOSING)) if ends_body else end,
        cut=draw(st.sampled_from([0, 3, 40, 80, 97, 99])) if is_cut else 100,
        is_early=draw(st.integers(0, 4)) == 0,
        says_close=draw(st.integers(0, 3)) == 0,
        interim=tuple(draw(st.lists(st.sampled_from([100, 102, 103]), max_size=2))),
        extra=extra,
        pauses=draw(_TURNS),
    )


# -- routes ----------------------------------------------------------------------


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    return Shape(
        after=draw(st.sampled_from([0, 1, 3, 10, 30, 60])),
        weight=draw(st.sampled_from([0.0, 50.0, 100.0])),
        stable=draw(st.sampled_from([(0, 1), (0, 1), (1,), (0, DEAD), (DEAD,)])),
        candidate=draw(st.sampled_from([(2,), (2, DEAD), (DEAD,), (), (0,)])),
        has_first=draw(st.integers(0, 5)) > 0,
        places=draw(st.sampled_from([1024, 1024, 1, 2])),
    )


@st.composite
def walks(draw: st.DrawFn) -> Walk:
    return Walk(
        callers=tuple(draw(st.lists(callers(), min_size=1, max_size=3))),
        replies=tuple(draw(st.lists(replies(), min_size=1, max_size=5))),
        shapes=(Shape(), *draw(st.lists(shapes(), max_size=3))),
    )

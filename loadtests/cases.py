"""What is sent in each case of the comparison."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, cycle

PATH = b"/v1/chat/completions"
USERS = 1000  # callers who take turns; their ids decide the version
BIG = 64 * 1024
GROWTH = (10, 100, 1000, 10_000)  # connections
ACTIVE = 32
FOREVER = 1_000_000  # events of a stream that the client ends

# What an OpenAI client sends, and what sits in front of it adds; with Host and Content-Length: 20.
_FIELDS = (
    (b"Accept-Encoding", b"gzip, deflate"),
    (b"Connection", b"keep-alive"),
    (b"Accept", b"application/json"),
    (b"Content-Type", b"application/json"),
    (b"User-Agent", b"OpenAI/Python 1.99.1"),
    (b"X-Stainless-Lang", b"python"),
    (b"X-Stainless-Package-Version", b"1.99.1"),
    (b"X-Stainless-OS", b"Linux"),
    (b"X-Stainless-Arch", b"x64"),
    (b"X-Stainless-Runtime", b"CPython"),
    (b"X-Stainless-Runtime-Version", b"3.11.7"),
    (b"X-Stainless-Async", b"async:asyncio"),
    (b"X-Stainless-Retry-Count", b"0"),
    (b"X-Stainless-Read-Timeout", b"600"),
    (b"OpenAI-Organization", b"org-0123456789abcdef"),
    (b"Cache-Control", b"no-cache"),
)
# These must stay as they are for a request to be understood.
_FIXED = frozenset({b"Connection", b"Content-Type"})


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of load. `per_second` x seconds requests are sent, the same number to every proxy.

    With `pause_ms`, `connections` streams are held open and their chunks counted instead.
    """

    name: str
    title: str
    requests: Callable[[], Iterator[bytes]]
    per_second: int = 0
    connections: int = 32
    pause_ms: int = 0
    answer_bytes: int = 0  # a shorter answer is a failure
    active: int = 0  # of the connections, that have a request at a time; 0 = all

    @property
    def unit(self) -> str:
        return "chunk" if self.pause_ms else "request"


def all_cases() -> dict[str, Case]:
    cases = (
        Case("get", "GET, 2 headers", gets, 8000),
        Case("post", "POST of 1 KB, 20 headers", posts, 8000),
        Case("fresh", "the same, 16 of 20 lines never seen before", fresh_posts, 8000),
        Case("attack", "the same, their names never seen before either", attacks, 4000),
        Case("mixed", "`post` and `attack` in turn", mixed, 4000),
        Case("upload", "POST of 64 KiB, small answer", uploads, 1500),
        Case("download", "small POST, answer of 64 KiB", downloads, 1500, answer_bytes=BIG),
        *(grown(connections) for connections in GROWTH),
        streams("sse100", 100, 50),
        streams("sse1000", 1000, 200),
    )
    return {case.name: case for case in cases}


def grown(connections: int) -> Case:
    title = f"POST over {connections:,} connections, {ACTIVE} of them at a time"
    name = f"held{connections}"
    return Case(name, title, posts, 4000, connections, active=min(ACTIVE, connections))


def streams(name: str, connections: int, pause_ms: int) -> Case:
    def requests() -> Iterator[bytes]:
        words = b',"stream":true,"max_tokens":%d,"seed":%d' % (FOREVER, pause_ms)
        return _taking_turns(chat(b"hello", words))

    title = f"SSE, {connections:,} streams, a chunk each {pause_ms} ms"
    return Case(name, title, requests, connections=connections, pause_ms=pause_ms)


def chat(content: bytes, words: bytes = b',"max_tokens":16') -> bytes:
    message = b'{"role":"user","content":"%b"}' % content
    return b'{"model":"chat","messages":[%b]%b}' % (message, words)


def gets() -> Iterator[bytes]:
    line = b"GET /v1/models HTTP/1.1\r\nHost: models.example.com\r\nX-User-Id: user-%d\r\n\r\n"
    return cycle([line % user for user in range(USERS)])


def posts() -> Iterator[bytes]:
    return _taking_turns(_of_size(1024))


def uploads() -> Iterator[bytes]:
    return _taking_turns(_of_size(BIG), users=32)  # 64 MB of requests would cost page faults


def downloads() -> Iterator[bytes]:
    return _taking_turns(chat(b"hello", b',"max_tokens":%d' % BIG))


def fresh_posts() -> Iterator[bytes]:
    """No line but those that are needed is ever sent a second time."""
    return _numbered([name for name, _ in _FIELDS])


def attacks() -> Iterator[bytes]:
    """Names and values that nobody has ever sent, to fill or to empty what a proxy remembers."""
    names = (name if name in _FIXED else b"X-%%d-%d" % i for i, (name, _) in enumerate(_FIELDS))
    return _numbered(list(names))


def mixed() -> Iterator[bytes]:
    for usual, hostile in zip(posts(), attacks(), strict=True):
        yield usual
        yield hostile


def _of_size(size: int) -> bytes:
    return chat(b"x" * (size - len(chat(b""))))


def _taking_turns(body: bytes, users: int = USERS) -> Iterator[bytes]:
    fields = b"".join(b"%b: %b\r\n" % field for field in _FIELDS)
    return cycle([_post(b"%d" % user, fields, body) for user in range(users)])


def _numbered(names: list[bytes]) -> Iterator[bytes]:
    """Posts whose values, and names where they have room for it, hold a number of their own."""
    values = (value if name in _FIXED else b"new-%%d-%b" % value for name, value in _FIELDS)
    fields = b"".join(b"%b: %b\r\n" % field for field in zip(names, values, strict=True))
    template = _post(b"%d", fields, _of_size(1024))
    numbers = template.count(b"%d")
    return (template % ((number,) * numbers) for number in count(10**9))


def _post(user: bytes, fields: bytes, body: bytes) -> bytes:
    head = b"POST %b HTTP/1.1\r\nHost: models.example.com\r\n%b" % (PATH, fields)
    caller = b"Authorization: Bearer sk-%b\r\nX-User-Id: user-%b\r\n" % (user, user)
    return b"%b%bContent-Length: %d\r\n\r\n%b" % (head, caller, len(body), body)

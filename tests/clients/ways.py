"""The two ways to a model, directly and through the gateway, and the proof that they are alike."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from difflib import unified_diff
from pprint import pformat
from typing import TypeVar

from tests.clients.loop_thread import LoopThread
from tests.clients.model_server import ModelServer, Stream
from tests.clients.relay import Relay

T = TypeVar("T")

# Of an answer's fields: what the gateway says in its own name, and what belongs to one hop only.
ALLOWED_IN_ANSWERS = frozenset(
    {"via", "x-request-id", "date", "connection", "keep-alive", "transfer-encoding"}
)
# What the gateway writes in its own words: the same values, in another place.
OF_EACH_HOP = frozenset({"content-length", "upgrade"})
ALLOWED_PREFIX = "x-graygate-"
# The gateway may name itself where the model does not; where it does, the model's name must stay.
ALLOWED_FIELD = ("server", "graygate")
LONGEST_SHOWN = 500

_numbers = itertools.count()


@dataclass(frozen=True)
class Way:
    """One way to the model."""

    name: str
    url: str
    model: ModelServer
    thread: LoopThread

    @property
    def is_direct(self) -> bool:
        return self.name == "direct"

    def open_stream(self) -> tuple[dict[str, str], Stream]:
        """The header that makes the model wait for confirmations, and the other end of it."""
        name = f"{self.name}-{next(_numbers)}"
        return {"X-Stream": name}, self.model.stream(name)

    def relay(self) -> Relay:
        """A detour that counts the connections of a client."""
        return Relay(self.thread, self.url)


@dataclass(frozen=True)
class Ways:
    direct: Way
    gateway: Way


def alike(ways: Ways, use: Callable[[Way], T]) -> T:
    """What a client gets on both ways; fails unless that and what the model saw are the same."""
    direct, gateway = ((use(way), _taken(way)) for way in (ways.direct, ways.gateway))
    return _same(direct, gateway)


async def alike_async(ways: Ways, use: Callable[[Way], Awaitable[T]]) -> T:
    """The same for clients on a loop."""
    direct = await use(ways.direct), _taken(ways.direct)
    gateway = await use(ways.gateway), _taken(ways.gateway)
    return _same(direct, gateway)


def fields(pairs: Iterable[tuple[str, str]]) -> tuple[object, ...]:
    """The fields of an answer in their order and spelling, without what may differ."""
    kept, own = [], []
    for name, value in pairs:
        lower = name.lower()
        if lower in OF_EACH_HOP:
            own.append((lower, value))
        elif (lower, value) == ALLOWED_FIELD or lower in ALLOWED_IN_ANSWERS:
            continue
        elif not lower.startswith(ALLOWED_PREFIX):
            kept.append((name, value))
    return tuple(kept), sorted(own)


def gone_after(stream: Stream) -> bool:
    """Whether the model notices within the deadline that its client has left."""
    return stream.gone.wait(10)


def _taken(way: Way) -> list[tuple[object, ...]]:
    """What the model has seen since this was called last."""
    taken, way.model.requests = way.model.requests, []
    return [request.comparable() for request in taken]


def _same(direct: tuple[T, object], gateway: tuple[T, object]) -> T:
    for what, one, other in zip(("client got", "model saw"), direct, gateway, strict=True):
        assert one == other, f"The {what} something else through the gateway:\n{_diff(one, other)}"
    return direct[0]


def _diff(direct: object, gateway: object) -> str:
    one, other = (pformat(_short(thing), width=120).splitlines() for thing in (direct, gateway))
    return "\n".join(unified_diff(one, other, "direct", "gateway", lineterm="", n=1))


def _short(thing: object) -> object:
    """The same with long texts as their length and digest, so that a difference can be read."""
    if isinstance(thing, tuple | list):
        return [_short(one) for one in thing]
    if isinstance(thing, str | bytes) and len(thing) > LONGEST_SHOWN:
        raw = thing.encode() if isinstance(thing, str) else thing
        return f"<{len(raw)} bytes, sha256 {hashlib.sha256(raw).hexdigest()}>"
    return thing

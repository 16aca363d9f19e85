"""Which endpoint of a version gets a request. Pure; clock and die are arguments.

    | up           | panic allowed | may be picked                                    |
    | half or more | either        | those that are up                                |
    | fewer        | yes           | all: panic                                       |
    | fewer        | no            | those that are up                                |
    | none         | yes           | all: panic                                       |
    | none         | no            | none: the version is down, requests fail over    |

Panic: when most endpoints look bad, the look is more likely to be wrong than all of them, and the
few good ones would not carry the load. It is allowed where there is nobody else to send requests
to: to stable, and to every version of a route without failover.

Excluded endpoints (those that this request was already tried at) count as endpoints in the table,
but are never picked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Protocol, TypeVar

from xxhash import xxh3_64_intdigest

from gateway.upstream.health import Health


class Pickable(Protocol):
    """What of an endpoint is looked at."""

    @property
    def active(self) -> int: ...  # requests under way
    @property
    def key(self) -> bytes: ...  # its URL
    @property
    def health(self) -> Health: ...


E = TypeVar("E", bound=Pickable)


def is_panic(up: int, total: int) -> bool:
    """Whether so few are up that their state cannot be believed: fewer than half."""
    return up * 2 < total


def pick(
    endpoints: Sequence[E],
    now: float,
    draw: Callable[[], float],
    unit: bytes | None = None,
    excluded: Collection[E] = (),
    panic_allowed: bool = True,
) -> E | None:
    """An endpoint, or None when none may be used; `draw` gives a number from 0 up to, not with, 1.

    With a `unit` by rendezvous: the same unit gets the same endpoint, and when that one is not to
    be had only its own units move. Without one, the less busy of two drawn by chance.
    """
    if unit is None and not excluded and len(endpoints) > 1:
        # Mostly all are up, and then two need looking at, not all.
        drawn = _less_busy(endpoints, draw)
        if drawn[0].health.is_up(now) and drawn[1].health.is_up(now):
            return drawn[0]
    found = usable(endpoints, now, panic_allowed)
    if excluded:
        found = [one for one in found if one not in excluded]
    if len(found) < 2:
        return found[0] if found else None
    if unit is not None:
        return max(found, key=lambda one: xxh3_64_intdigest(unit + one.key))
    return _less_busy(found, draw)[0]


def usable(endpoints: Sequence[E], now: float, panic_allowed: bool) -> Sequence[E]:
    """Those that may be picked, by the table above."""
    up = [one for one in endpoints if one.health.is_up(now)]
    return endpoints if panic_allowed and is_panic(len(up), len(endpoints)) else up


def _less_busy(endpoints: Sequence[E], draw: Callable[[], float]) -> tuple[E, E]:
    """Two different ones by chance, the less busy one first; one number is enough for both."""
    others = len(endpoints) - 1
    first, second = divmod(int(draw() * (others + 1) * others), others)
    one = endpoints[first]
    other = endpoints[second + (second >= first)]
    return (one, other) if one.active <= other.active else (other, one)

"""Which endpoint of a version gets a request. Pure; clock and die are arguments.

    | up           | panic allowed | may be picked                                    |
    | half or more | either        | those that are up                                |
    | fewer        | yes           | all that can be connected to: panic              |
    | fewer        | no            | those that are up                                |
    | none         | yes           | the same, and simply all if there are none       |
    | none         | no            | none: the version is down, requests fail over    |

Panic: when most endpoints look bad, the look is more likely to be wrong than all of them, and the
few good ones would not carry the load. One that refuses connections is no matter of looks: it fails
at once, so it would always be the least busy and draw all requests to itself. Panic is allowed
where there is nobody else to send requests to: to stable, and to every version of a route without
failover.

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
    @property
    def is_reached(self) -> bool: ...  # what the last attempt to connect found


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
    if not excluded and len(endpoints) > 1:
        # Mostly who is drawn is up, whatever the others are: then they need no looking at.
        if unit is not None:
            one = _highest(endpoints, unit)
            if one.health.is_up(now):
                return one
        else:
            one, other = _less_busy(endpoints, draw)
            if one.health.is_up(now) and other.health.is_up(now):
                return one
    found = usable(endpoints, now, panic_allowed)
    if excluded:
        found = [one for one in found if one not in excluded]
    if len(found) < 2:
        return found[0] if found else None
    return _highest(found, unit) if unit is not None else _less_busy(found, draw)[0]


def usable(endpoints: Sequence[E], now: float, panic_allowed: bool) -> Sequence[E]:
    """Those that may be picked, by the table above."""
    up = [one for one in endpoints if one.health.is_up(now)]
    if not panic_allowed or not is_panic(len(up), len(endpoints)):
        return up
    return [one for one in endpoints if one.is_reached] or endpoints


def _highest(endpoints: Sequence[E], unit: bytes) -> E:
    """Highest random weight; URL and unit are hashed together, so each unit has its own order."""
    return max(endpoints, key=lambda one: xxh3_64_intdigest(unit + one.key))


def _less_busy(endpoints: Sequence[E], draw: Callable[[], float]) -> tuple[E, E]:
    """Two different ones by chance, the less busy one first; one number is enough for both."""
    others = len(endpoints) - 1
    first, second = divmod(int(draw() * (others + 1) * others), others)
    one = endpoints[first]
    other = endpoints[second + (second >= first)]
    return (one, other) if one.active <= other.active else (other, one)

"""Which version answered which request, for whoever rates answers later: told once a second.

Only for routes that want ratings, and only of a share of their requests. An id is a hash of eight
bytes here and everywhere behind, and so is a unit, of four: nobody can read a name out of them, but
who knows a user's can find the answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xxhash import xxh3_64_digest, xxh3_64_intdigest

from gateway.metrics.firsts import UNIT_MASK

if TYPE_CHECKING:
    from gateway.proxy.exchange import Exchange
    from gateway.proxy.view import RouteView

MOST_IDS = 50_000  # between two tellings; more than a worker carries in a second
ID_BYTES = 8
UNIT_BYTES = 8

# Before the version of an answer that the weights had no say in, or not the last one: its rating
# is counted, but it is no fair sample. No version's name begins like that.
NOT_DRAWN = "~"


def rating_id(request_id: bytes) -> bytes:
    """By what a request is remembered."""
    return xxh3_64_digest(request_id)


def comer(unit: int, second: int) -> bytes:
    """Whose request it was, and the second in which it came: then its version was drawn."""
    return unit.to_bytes(4, "big") + (second & 0xFFFF_FFFF).to_bytes(4, "big")


def read_comer(told: bytes) -> tuple[int, int]:
    """Unit and second; 0 is not known."""
    return int.from_bytes(told[:4], "big"), int.from_bytes(told[4:8], "big")


class Answered:
    """The ids of one worker since it told of them last."""

    __slots__ = ("_count", "_ids", "dropped")

    def __init__(self) -> None:
        self.dropped = 0
        self._count = 0
        self._ids: dict[tuple[str, str], tuple[bytearray, bytearray]] = {}

    def __repr__(self) -> str:
        return f"<Answered: {self._count} to tell of>"

    def note(self, exchange: Exchange, view: RouteView) -> None:
        """A request has ended at a version; a failure is nothing that somebody would rate."""
        outcome = exchange.outcome
        if outcome is None or exchange.status >= 500 or not exchange.status:
            return
        place = rating_id(exchange.request_id.encode())
        if int.from_bytes(place, "big") >= view.rated_places:
            return
        if self._count >= MOST_IDS:
            self.dropped += 1
            return
        self._count += 1
        version, second = NOT_DRAWN + outcome.version, 0
        if outcome.tally is not None:
            version, second = outcome.version, outcome.tally.second_of(exchange.started)
        decision = exchange.decision
        unit = decision.unit if decision is not None else None
        known = 0 if unit is None else xxh3_64_intdigest(unit) & UNIT_MASK
        ids, units = self._ids.setdefault((view.name, version), (bytearray(), bytearray()))
        ids += place
        units += comer(known, second)

    def take(self) -> tuple[tuple[str, str, bytes, bytes], ...]:
        """Route, version, ids and their units, each in a row; from here on it begins anew."""
        told, self._ids, self._count = self._ids, {}, 0
        return tuple((*key, bytes(ids), bytes(units)) for key, (ids, units) in told.items())

"""The per-second numbers of all gateways, in one stream for each route.

    gray:route:R:strata    g = gateway, at = second in which it was sent, n = number of the entry,
                           d = msgpack of (cells, events)

A gateway adds one entry in each second in which the route had traffic. A stream keeps the newest
7,200 entries or a few more, so two hours of one gateway and half an hour of four, and goes away a
day after the last one. When the answer to an append gets lost, the entry is sent again with the
same number: whoever reads takes each number once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

import msgspec

from gateway.errors import StoreError
from gateway.metrics.strata import CellCounts, EventCounts
from gateway.state.keys import Keys, Part
from gateway.state.link import Link
from gateway.state.reader import of_other_type
from gateway.state.wire import Argument

log = logging.getLogger("graygate.state")

KEPT_ENTRIES = 7200
KEPT_SECONDS = 86_400  # after the last entry
START = "0-0"  # before every entry

_RENEW_SECONDS = 600
_MOST_REMEMBERED = 4096  # numbers of entries that were read

Cells = tuple[CellCounts, ...]
Events = tuple[EventCounts, ...]

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[tuple[Cells, Events]] = msgspec.msgpack.Decoder(
    tuple[Cells, Events]
)


@dataclass(frozen=True, slots=True)
class Batch:
    """What one gateway sent of one route in one second."""

    id: str  # of the entry in the stream
    gateway: str
    sent: int
    cells: Cells
    events: Events = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """A batch on its way into the stream."""

    route: str
    gateway: str
    sent: int
    number: int  # of this entry alone among all of this gateway
    data: bytes

    @classmethod
    def of(
        cls,
        route: str,
        gateway: str,
        sent: int,
        number: int,
        cells: Sequence[CellCounts],
        events: Sequence[EventCounts] = (),
    ) -> Entry:
        return cls(route, gateway, sent, number, _encoder.encode((cells, events)))


class StrataLog:
    """Appends to the streams, and reads them."""

    def __init__(self, link: Callable[[], Awaitable[Link]], keys: Keys) -> None:
        self._link = link
        self._keys = keys
        self._renew_at: dict[str, int] = {}  # route -> when its stream's life is prolonged
        self._passed: dict[str, tuple[str, str]] = {}  # route -> asked from here, nothing to there
        self._read: dict[tuple[str, str, int], str] = {}  # route, gateway, number -> id
        self._numbers = count(time.time_ns())
        self._warned: set[str] = set()

    def __repr__(self) -> str:
        return f"<StrataLog of {len(self._renew_at)} routes>"

    async def append(
        self,
        route: str,
        gateway: str,
        sent: int,
        cells: Sequence[CellCounts],
        events: Sequence[EventCounts] = (),
    ) -> None:
        """Add one entry; raises StoreError when it may not be there."""
        entry = Entry.of(route, gateway, sent, next(self._numbers), cells, events)
        [failure] = await self.append_all([entry])
        if failure is not None:
            raise failure

    async def append_all(self, entries: Sequence[Entry]) -> list[StoreError | None]:
        """Add entries in one go; what became of each. Raises StoreError when that is not known."""
        commands: list[tuple[Argument, ...]] = []
        places = []
        for entry in entries:
            key = self._keys.part(entry.route, Part.STRATA)
            places.append(len(commands))
            commands.append(
                (
                    *("XADD", key, "MAXLEN", "~", KEPT_ENTRIES, "*"),
                    *("g", entry.gateway, "at", entry.sent, "n", entry.number, "d", entry.data),
                )
            )
            if self._renew_at.get(entry.route, 0) <= entry.sent:
                self._renew_at[entry.route] = entry.sent + _RENEW_SECONDS
                commands.append(("EXPIRE", key, KEPT_SECONDS))
        replies = await (await self._link()).pipeline(commands)
        return [
            of_other_type(reply, self._keys.part(entry.route, Part.STRATA), "stream")
            if isinstance(reply := replies[place], StoreError)
            else None
            for entry, place in zip(entries, places, strict=True)
        ]

    async def read(self, route: str, after_id: str = START, limit: int = 1000) -> list[Batch]:
        """The batches behind this entry, oldest first; none = there are no more for now.

        What is no entry of ours is passed over, with one warning for each route.
        """
        asked, passed = self._passed.get(route, ("", ""))
        position = passed if asked == after_id else after_id
        while rows := await self._rows(route, position, limit):
            batches = list(self._batches(route, rows))
            if batches:
                return batches
            position = rows[-1][0].decode()
            self._passed[route] = (after_id, position)
        return []

    async def newest_id(self, route: str) -> str:
        """The id to read from for what is yet to come."""
        key = self._keys.part(route, Part.STRATA)
        try:
            rows = await (await self._link()).call("XREVRANGE", key, "+", "-", "COUNT", 1)
        except StoreError as error:
            raise of_other_type(error, key, "stream") from None
        return rows[0][0].decode() if isinstance(rows, list) and rows else START

    async def _rows(self, route: str, after: str, limit: int) -> list[tuple[bytes, list[bytes]]]:
        key = self._keys.part(route, Part.STRATA)
        link = await self._link()
        try:
            rows = await link.call("XRANGE", key, _behind(after), "+", "COUNT", limit)
        except StoreError as error:
            raise of_other_type(error, key, "stream") from None
        return rows if isinstance(rows, list) else []

    def _batches(self, route: str, rows: list[tuple[bytes, list[bytes]]]) -> Iterator[Batch]:
        for entry_id, flat in rows:
            name = entry_id.decode()
            try:
                number, batch = _batch(name, flat)
            except (ValueError, KeyError, msgspec.DecodeError):
                if route not in self._warned:
                    self._warned.add(route)
                    key = self._keys.part(route, Part.STRATA)
                    log.warning("Entry %s of %s is none of ours and is passed over.", name, key)
                continue
            if self._is_first((route, batch.gateway, number), name):
                yield batch

    def _is_first(self, key: tuple[str, str, int], entry_id: str) -> bool:
        """Whether no other entry with this number was read before."""
        first = self._read.setdefault(key, entry_id)
        if len(self._read) > _MOST_REMEMBERED:
            del self._read[next(iter(self._read))]
        return first == entry_id


def _behind(entry_id: str) -> str:
    """The next id that there can be."""
    moment, _, number = entry_id.partition("-")
    if not (moment.isdecimal() and (number or "0").isdecimal()):
        raise StoreError(f"{entry_id!r} is no id of an entry; take {START} to begin anew")
    return f"{moment}-{int(number or 0) + 1}"


def _batch(entry_id: str, flat: list[bytes]) -> tuple[int, Batch]:
    fields = dict(zip(flat[::2], flat[1::2], strict=True))
    cells, events = _decoder.decode(fields[b"d"])
    sent = int(fields[b"at"])
    return int(fields[b"n"]), Batch(entry_id, fields[b"g"].decode(), sent, cells, events)

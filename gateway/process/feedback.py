"""What users think of answers: joined to the version that gave them, counted once, for the judge.

Workers tell which version answered which request; it is written to the store every second, so that
a rating that comes hours later, at another gateway, still finds its answer.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence

from gateway.admin.context import Rating, Taken
from gateway.errors import StoreError
from gateway.metrics.strata import EventCounts
from gateway.process.channel import Answers
from gateway.process.second import second_of_next_send
from gateway.process.strata import StrataSums
from gateway.proxy.answered import ID_BYTES, NOT_DRAWN, UNIT_BYTES, rating_id, read_comer
from gateway.state.ratings import Ratings

_log = logging.getLogger(__name__)

_WRITE_SECONDS = 1.0
MOST_WAITING = 200_000  # ids while the store is away

_Batch = dict[str, dict[bytes, str]]  # route -> id -> version, and behind a space the unit


class FeedbackDesk:
    """Takes ratings from the API, and ids of answers from the workers."""

    def __init__(
        self,
        sums: StrataSums,
        ratings: Ratings,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.lost = 0  # ids that the store did not take in time
        self._sums = sums
        self._ratings = ratings
        self._wall = wall
        self._new: _Batch = {}
        self._waiting: deque[tuple[float, _Batch]] = deque()  # the last of them is being filled
        self._held = 0  # ids in both
        self._totals: Counter[tuple[str, str, str]] = Counter()
        self._has_failed = False

    def __repr__(self) -> str:
        return f"<FeedbackDesk: {self._held} ids wait for the store>"

    @property
    def totals(self) -> Mapping[tuple[str, str, str], int]:
        """Ratings since the process began, by route, version and outcome."""
        return self._totals

    # What workers tell

    def answered(self, told: Answers) -> None:
        # Workers of an older release know nothing of units.
        known = told.units or (b"",) * len(told.entries)
        for (route, version, ids), units in zip(told.entries, known, strict=True):
            into = self._new.setdefault(route, {})
            before = len(into)
            for place in range(len(ids) // ID_BYTES):
                unit = units[place * UNIT_BYTES : (place + 1) * UNIT_BYTES]
                one = ids[place * ID_BYTES : (place + 1) * ID_BYTES]
                into[one] = f"{version} {unit.hex()}" if read_comer(unit)[0] else version
            self._held += len(into) - before

    async def run(self) -> None:
        """Writes to the store until it is cancelled."""
        while True:
            await asyncio.sleep(_WRITE_SECONDS)
            await self.write()

    async def write(self) -> None:
        """What the store does not take now waits; too much of it is dropped, and counted."""
        if self._new:
            self._waiting.append((self._wall(), self._new))
            self._new = {}
        while self._held > MOST_WAITING and self._waiting:
            self.lost += self._forget(self._waiting.popleft()[1])
        try:
            while self._waiting:
                at, batch = self._waiting[0]
                await self._ratings.remember(at, batch)
                self._waiting.popleft()
                self._forget(batch)
            self._has_failed = False
        except StoreError as error:
            if not self._has_failed:
                self._has_failed = True
                _log.warning("Answers that may be rated wait for the store: %s", error)

    def _forget(self, batch: _Batch) -> int:
        count = sum(len(ids) for ids in batch.values())
        self._held -= count
        return count

    # What the API asks for

    async def take(self, route: str, ratings: Sequence[Rating]) -> Taken:
        """Raises StoreError; then ratings of this call may come again, and count once all the same.

        A version that the caller names counts only where nobody knows better.
        """
        ids = [rating_id(one.request_id.encode()) for one in ratings]
        known = await self._find(route, ids)
        joined: list[tuple[bytes, Rating, str]] = []
        for one, rating in zip(ids, ratings, strict=True):
            version = known.get(one) or (rating.version and NOT_DRAWN + rating.version)
            if version:
                joined.append((one, rating, version))
        is_first = await self._ratings.take(route, [(one, r.family) for one, r, _ in joined])
        taken = [each for each, first in zip(joined, is_first, strict=True) if first]
        for _, rating, version in taken:
            self._count(route, rating, version)
        unknown = len(ratings) - len(joined)
        return Taken(joined=len(taken), unknown=unknown, repeated=len(joined) - len(taken))

    async def _find(self, route: str, ids: Sequence[bytes]) -> dict[bytes, str]:
        """In what the store has not got yet, the newest first, and in the store."""
        known: dict[bytes, str] = {}
        for batch in (self._new, *(one for _, one in reversed(self._waiting))):
            held = batch.get(route, {})
            known |= {one: held[one] for one in ids if one in held and one not in known}
        missing = [one for one in ids if one not in known]
        if missing:
            known |= await self._ratings.find(route, missing, self._wall())
        return known

    def _count(self, route: str, rating: Rating, version: str) -> None:
        version, _, unit = version.partition(" ")
        is_drawn = not version.startswith(NOT_DRAWN)
        name = version.removeprefix(NOT_DRAWN)
        self._totals[route, name, "bad" if rating.is_bad else "good"] += 1
        if is_drawn:  # else whose answer it is was no chance, and comparing it would mislead
            sent = second_of_next_send(self._wall())
            known, second = read_comer(bytes.fromhex(unit))
            event = EventCounts(
                second or sent, route, name, rating.family, n=1, bad=int(rating.is_bad)
            )
            if known:
                event.rated.append((known, rating.is_bad))
            self._sums.put_events(sent, [event])

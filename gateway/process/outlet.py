"""A worker's pairs of answers and ids of answered requests on their way to control.

Both may be lost: what control, or the channel, has no room for is dropped and counted. Numbers for
the judge go first.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from gateway.process.channel import Answers, Pairs, encode
from gateway.proxy.answered import ID_BYTES
from gateway.proxy.pair import Pair

PAIR_BYTES_PER_SECOND = 4 * 1024 * 1024
_HEAD_BYTES = 500  # of a pair beside the two answers, about


class Offering(Protocol):
    """The link to control."""

    def offer(self, frame: bytes) -> bool:
        """False = there was no room for it, and it is dropped."""


class Outlet:
    """Counts what it drops, in bytes per second for pairs."""

    def __init__(
        self,
        link: Offering,
        *,
        bytes_per_second: int = PAIR_BYTES_PER_SECOND,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.dropped_pairs = 0
        self.dropped_answers = 0  # ids that can be rated no more
        self._link = link
        self._clock = clock
        self._rate = bytes_per_second
        self._allowed: float = bytes_per_second
        self._allowed_at = clock()

    def __repr__(self) -> str:
        return f"<Outlet, dropped {self.dropped_pairs} pairs>"

    def dropped(self, unnoted: int = 0) -> dict[str, int]:
        """By kind, those that something was dropped of; with the answers that never got here."""
        counts = {"pairs": self.dropped_pairs, "answers": self.dropped_answers + unnoted}
        return {kind: count for kind, count in counts.items() if count}

    def tell_pair(self, pair: Pair) -> None:
        size = len(pair.primary.beginning) + len(pair.copy.beginning) + _HEAD_BYTES
        if not self._may_send(size) or not self._link.offer(encode(Pairs(pairs=(pair,)))):
            self.dropped_pairs += 1

    def tell_answers(self, told: tuple[tuple[str, str, bytes, bytes], ...]) -> None:
        entries = tuple((route, version, ids) for route, version, ids, _ in told)
        message = Answers(entries=entries, units=tuple(units for *_, units in told))
        if not self._link.offer(encode(message)):
            self.dropped_answers += sum(len(ids) // ID_BYTES for _, _, ids in entries)

    def _may_send(self, size: int) -> bool:
        now = self._clock()
        allowed = self._allowed + (now - self._allowed_at) * self._rate
        self._allowed = min(allowed, self._rate)
        self._allowed_at = now
        if self._allowed < size:
            return False
        self._allowed -= size
        return True

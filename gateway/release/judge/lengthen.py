"""Seconds with few requests are put together: a stratum of three requests tells nearly nothing.

When a stratum is long enough depends on how many requests it has, never on how they ended. It
never spans a change of weight: within it every request must have had the same chance.
"""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

from gateway.release.judge.strata import Answers, EventPair, RankSums, TailCounts

Counts = TypeVar("Counts", Answers, EventPair, TailCounts, RankSums)


class Pending(msgspec.Struct, Generic[Counts]):
    """Counts that are not yet a stratum: since when, until when, at what share."""

    since: int
    last: int
    share: float
    counts: Counts


class Lines(msgspec.Struct, Generic[Counts]):
    """Pending counts of one kind, by what they are counts of."""

    pending: dict[str, Pending[Counts]] = msgspec.field(default_factory=dict)

    def push(
        self, name: str, second: int, share: float, counts: Counts, requests: int, seconds: int
    ) -> list[Pending[Counts]]:
        """Puts one second in; what has become long enough by that comes out."""
        ready = []
        held = self.pending.pop(name, None)
        if held is not None and held.share != share:
            ready.append(held)
            held = None
        if held is None:
            held = Pending(second, second, share, counts)
        else:
            held.counts.add(counts)
            held.last = max(held.last, second)
        if held.counts.size >= requests or held.last - held.since + 1 >= seconds:
            ready.append(held)
        else:
            self.pending[name] = held
        return ready

    def expire(self, now: int, seconds: int) -> list[Pending[Counts]]:
        """What has waited long enough, though nothing more came."""
        old = [name for name, held in self.pending.items() if now - held.since >= seconds]
        return [self.pending.pop(name) for name in sorted(old)]

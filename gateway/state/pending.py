"""What lists gained and lost by hand and no history entry tells yet.

Kept in portions, in the order in which it happened: somebody may load a million ids by hand, and
neither the store nor we should be held up by telling so. Each portion becomes one revision.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from gateway.state.history import Delta, combine


class Pending:
    """The portions of every list that wait to be recorded."""

    def __init__(self, portion_ids: int) -> None:
        self._portion_ids = portion_ids
        self._waiting: dict[str, list[Delta]] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def __repr__(self) -> str:
        counts = ", ".join(f"{name}: {len(some)}" for name, some in self._waiting.items())
        return f"<Pending {counts or 'nothing'}>"

    @property
    def routes(self) -> set[str]:
        """The routes that have something to record."""
        return {name.split("/")[1] for name in self._waiting if name.startswith("route/")}

    @property
    def segments(self) -> set[str]:
        """The segments that have something to record."""
        return {name.split("/")[1] for name in self._waiting if name.startswith("segment/")}

    def add(self, name: str, delta: Delta) -> None:
        """A list changed by hand once more."""
        if not delta:
            return
        waiting = self._waiting.setdefault(name, [])
        if waiting and _size(waiting[-1]) + _size(delta) <= self._portion_ids:
            waiting[-1] = combine([waiting[-1], delta])
        else:
            waiting += portions(delta, self._portion_ids)

    def account(self, name: str, told: Delta) -> None:
        """A history entry tells this much of what happened to the list."""
        waiting = self._waiting.get(name)
        if waiting is None:
            return
        if waiting[0] == told:
            del waiting[0]
        else:
            waiting[:] = [rest for one in waiting if (rest := one.without(told))]
        if not waiting:
            del self._waiting[name]

    def next_of_segment(self, segment: str) -> Delta:
        """The oldest portion of this segment."""
        return next(iter(self._waiting.get(f"segment/{segment}", ())), Delta())

    def next_of(self, route: str) -> dict[str, Delta]:
        """The oldest portion of each list of this route."""
        prefix = f"route/{route}/"
        return {
            name: waiting[0] for name, waiting in self._waiting.items() if name.startswith(prefix)
        }


def portions(delta: Delta, most: int) -> Iterator[Delta]:
    """The same in deltas of at most `most` ids, at least one; in no particular order of ids."""
    added, removed = iter(delta.added), iter(delta.removed)
    left = _size(delta)
    while True:
        gained = frozenset(islice(added, most))
        lost = frozenset(islice(removed, most - len(gained)))
        yield Delta(gained, lost, delta.is_unknown)
        left -= len(gained) + len(lost)
        if left <= 0:
            return


def _size(delta: Delta) -> int:
    return len(delta.added) + len(delta.removed)

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
        """A list changed by hand once more; what undoes a change that waits is no change at all."""
        waiting = self._waiting.setdefault(name, [])
        for place, one in enumerate(waiting):
            waiting[place], delta = _cancelled(one, delta)
        waiting[:] = [one for one in waiting if one]
        if not delta:
            pass
        elif waiting and _size(waiting[-1]) + _size(delta) <= self._portion_ids:
            waiting[-1] = combine([waiting[-1], delta])
        else:
            waiting += portions(delta, self._portion_ids)
        self._tidy(name)

    def account(self, name: str, told: Delta) -> None:
        """A history entry tells this much of what happened to the list.

        Whatever was found about these ids before, they are now as the entry says, or a later
        reading finds that they are not.
        """
        waiting = self._waiting.get(name)
        if waiting is None:
            return
        if waiting[0] == told:
            del waiting[0]
        else:
            touched = told.added | told.removed
            either = Delta(touched, touched, told.is_unknown)
            waiting[:] = [rest for one in waiting if (rest := one.without(either))]
        self._tidy(name)

    def settle(self, name: str, recorded: Delta) -> None:
        """This was given to the history, which took of it what is true."""
        waiting = self._waiting.get(name)
        if waiting:
            waiting[:] = [rest for one in waiting if (rest := one.without(recorded))]
            self._tidy(name)

    def next_of_segment(self, segment: str) -> Delta:
        """The oldest portion of this segment."""
        return next(iter(self._waiting.get(f"segment/{segment}", ())), Delta())

    def next_of(self, route: str) -> dict[str, Delta]:
        """The oldest portion of each list of this route."""
        prefix = f"route/{route}/"
        return {
            name: waiting[0] for name, waiting in self._waiting.items() if name.startswith(prefix)
        }

    def _tidy(self, name: str) -> None:
        if not self._waiting[name]:
            del self._waiting[name]


def _cancelled(earlier: Delta, later: Delta) -> tuple[Delta, Delta]:
    """Both without what one did and the other undid."""
    back, gone = later.added & earlier.removed, later.removed & earlier.added
    if not (back or gone):
        return earlier, later
    return (
        Delta(earlier.added - gone, earlier.removed - back, earlier.is_unknown),
        Delta(later.added - back, later.removed - gone, later.is_unknown),
    )


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

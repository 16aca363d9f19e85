"""When a child that died is started again; the clock is the caller's."""

from __future__ import annotations

SETTLED_SECONDS = 10.0  # a child that has worked for so long has done its start
_WINDOW_SECONDS = 60.0
_LOOP_DEATHS = 5
_LOOP_DELAY_SECONDS = 10.0
_FIRST_DELAY_SECONDS = 0.1


class Backoff:
    """Remembers the early deaths of one child and says how long to wait before the next start.

    A child that worked for a while is replaced at once. One that dies again and again as soon as
    it starts is tried more and more slowly, and for ever: what is wrong may be mended outside.
    """

    __slots__ = ("_quick_deaths", "is_looping")

    def __init__(self) -> None:
        self._quick_deaths: list[float] = []
        self.is_looping = False

    def __repr__(self) -> str:
        return f"<Backoff after {len(self._quick_deaths)} early deaths>"

    @property
    def is_settled(self) -> bool:
        """Whether there is nothing that `settle` would forgive."""
        return not self._quick_deaths

    def settle(self) -> None:
        """The child has worked for SETTLED_SECONDS: whatever it was, it is over."""
        self._quick_deaths.clear()
        self.is_looping = False

    def delay_after_death(self, now: float, worked_seconds: float) -> float:
        """Seconds to wait; sets `is_looping` when the child does nothing but die.

        `worked_seconds` is 0 for a child that never got ready, however long it took: a start that
        fails after ten seconds of work, again and again, is the worst of loops.
        """
        if worked_seconds >= SETTLED_SECONDS:
            self.settle()
            return 0.0
        # Slow retries fall out of the window by themselves; they must not end the slow pace.
        if not self.is_looping:
            self._quick_deaths = [at for at in self._quick_deaths if now - at < _WINDOW_SECONDS]
        self._quick_deaths.append(now)
        deaths = len(self._quick_deaths)
        if self.is_looping or deaths >= _LOOP_DEATHS:
            self.is_looping = True
            del self._quick_deaths[:-_LOOP_DEATHS]
            return _LOOP_DELAY_SECONDS
        return _FIRST_DELAY_SECONDS * 2 ** (deaths - 1) if deaths > 1 else 0.0

"""How time passes for a release: only what was observed counts.

A tick adds the time since the one before, if that is no longer than ticks are apart. A clock that
was set, forwards or backwards, and a controller that was away look the same from here, and in
neither case was anybody watching: that time counts for nothing, so no hold is ever skipped.
"""

from __future__ import annotations

from gateway.release.machine.turn import Turn
from gateway.release.plan.duration import said

MAX_GAP_SECONDS = 10.0
_JITTER_SECONDS = 1.0
_TOLD_SECONDS = 30.0  # a slow tick is not worth a line; every tick may be slow


def keep_time(turn: Turn) -> None:
    """Sets the turn's `gap`, and says when nobody was watching."""
    last, now = turn.status.last_tick, turn.now
    turn.set(last_tick=now)
    if last is None or now == last:
        return
    passed = now - last
    if 0 < passed <= MAX_GAP_SECONDS:
        turn.gap = passed
        return
    turn.was_away = True
    if turn.status.is_over:
        return
    if passed > _TOLD_SECONDS:
        what = f"Nobody looked for {said(passed)}, or the clock was set forward"
    elif passed < -_JITTER_SECONDS:
        what = f"The clock went back by {said(-passed)}"
    else:
        return
    turn.tell("clock", f"{what}; that time does not count.")

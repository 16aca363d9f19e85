"""Changes that people made in the store behind the release's back: noticed, kept, and told."""

from __future__ import annotations

from gateway.release.machine.guard import break_off_probe, calm_all
from gateway.release.machine.moves import plan_weight, weight_of_abort
from gateway.release.machine.phase import LIVE, Phase
from gateway.release.machine.turn import Turn

_SAME = 1e-6  # percent
_TOLD_STABLE = "stable "  # how the key of what was told about another stable begins


def notice_hand(turn: Turn) -> None:
    """Pauses when weight or stable are not what the release left; it never puts them back."""
    status, seen = turn.status, turn.observed.weight
    differs = seen is not None and abs(seen - status.weight_wanted) > _SAME
    if status.phase is Phase.ROLLED_BACK:
        if seen and status.latched:
            text = f"{status.candidate} was given {seen:g} % by hand after its rollback."
            turn.tell_once("hand", "paused", text)
        return
    if status.phase not in LIVE:
        return
    if differs and seen is not None:
        if status.phase is Phase.PREPARING:
            turn.set(weight_wanted=seen, weight_before=seen)
            text = f"{status.candidate} had {seen:g} % before the release, changed by hand."
            turn.tell("changed", text)
        else:
            _pause(turn, seen)
    stable = turn.observed.stable
    if stable is not None and stable != status.stable:
        _other_stable(turn, stable)
    elif stable is not None:  # back again: another change is news again
        kept = tuple(key for key in turn.status.told if not key.startswith(_TOLD_STABLE))
        turn.set(told=kept)


def _pause(turn: Turn, seen: float) -> None:
    status = turn.status
    why = f"the weight was changed by hand from {status.weight_wanted:g} to {seen:g} %"
    calm_all(turn)  # whoever did it knows what they do; fresh evidence still counts
    turn.move(Phase.PAUSED, pause_why=why, probe="")
    turn.set(weight_wanted=seen, weight_is_by_hand=True)
    plan = f" ({plan_weight(turn):g} %)" if status.stage >= 0 else ""
    turn.tell(
        "paused",
        f"Paused: {why}. Say resume to go back to the plan{plan}, or abort to end the release "
        f"at {weight_of_abort(turn.status):g} %.",
    )


def _other_stable(turn: Turn, stable: str) -> None:
    status = turn.status
    key = f"{_TOLD_STABLE}{stable}"
    why = f"{stable} was made stable by hand, this release was started against {status.stable}"
    if status.phase is Phase.QUARANTINE:  # weight 0 stays: a pause would only be guarded again
        text = f"Still in quarantine, and {why}. Say rollback, and start anew."
        turn.tell_once(key, "paused", text)
        break_off_probe(turn, why)
        return
    if status.phase is not Phase.PAUSED:
        turn.move(Phase.PAUSED, pause_why=why)
        told = tuple(each for each in turn.status.told if each != key)
        turn.set(told=told)  # whatever makes the release stop is said
    left = f"{status.candidate} at {weight_of_abort(status):g} %"
    turn.tell_once(key, "paused", f"Paused: {why}. Say abort, which leaves {left}, and start anew.")

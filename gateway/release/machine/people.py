"""What people say: each command in its own function, refused in words when it makes no sense.

A person may go where the machine may not: on without proof, out of a quarantine. Only a freeze and
a stop that is in force bind people too; the second gives way to `continue`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import get_args

from gateway.release.machine.guard import calm_all, leave_quarantine
from gateway.release.machine.moves import (
    back_to_plan,
    bake,
    end,
    enter,
    go_on,
    make_stable,
    roll_back,
    weight_of_abort,
)
from gateway.release.machine.phase import MAY_SAY, Phase
from gateway.release.machine.status import MAX_COMMANDS, Command, Status, Verb
from gateway.release.machine.turn import NOTHING_SEEN, Observed, Turn
from gateway.release.plan.calendar import closed_because, frozen_because


def obey(turn: Turn, command: Command) -> None:
    """Carries a command out, once; what is refused is told with its reason."""
    if command.key in turn.status.commands_done:
        return
    turn.set(commands_done=(*turn.status.commands_done, command.key)[-MAX_COMMANDS:])
    why_not = refusal(turn, command)
    if why_not:
        text = f"{command.verb} by {command.by} is refused: {why_not}."
        turn.tell("refused", text, by=command.by)
    else:
        _VERBS[command.verb](turn, command)


def why_not(status: Status, command: Command, now: float, observed: Observed = NOTHING_SEEN) -> str:
    """Why the command would be refused, for whoever gives it; "" when it would be obeyed."""
    return refusal(Turn(status, None, now, observed), command)


def sayable(status: Status, now: float, observed: Observed = NOTHING_SEEN) -> tuple[Verb, ...]:
    """The verbs that would be obeyed now, such as a page shows buttons for."""
    verbs: tuple[Verb, ...] = get_args(Verb)
    asked = (Command(verb=verb, by="", at=now) for verb in verbs)
    return tuple(c.verb for c in asked if not why_not(status, c, now, observed))


def refusal(turn: Turn, command: Command) -> str:
    """Why a command cannot be obeyed now; "" when it can."""
    status = turn.status
    may = MAY_SAY[command.verb]
    if status.phase not in may:
        return f"the release is {status.phase.value}; {_advice(status.phase)}"
    if command.verb == "release-latch" and not status.latched:
        return "it is released already"
    if command.verb == "approve" and status.proposal is None:
        return "nothing is proposed"
    proposal = status.proposal
    if command.about and (proposal is None or proposal.about != command.about):
        return f"what it speaks of, {command.about}, is no longer proposed"
    raises = command.verb in ("promote", "resume", "continue") or (
        command.verb == "approve" and proposal is not None
        and proposal.verb in ("promote", "make-stable")
    )  # fmt: skip
    frozen = frozen_because(status.plan, turn.now) if raises else ""
    if frozen:
        return frozen
    return _other_stable(turn, command.verb, raises=raises)


def _other_stable(turn: Turn, verb: Verb, *, raises: bool) -> str:
    """Why not, when stable is neither what it was at the start nor what the release made it."""
    status, seen = turn.status, turn.observed.stable
    if status.phase is Phase.PROMOTED:
        if verb != "rollback" or seen in (None, status.candidate):
            return ""
        if seen == status.stable:
            return f"{seen} is stable again already"
        return (
            f"{seen} is stable now, not {status.candidate}, and a rollback would put "
            f"{status.stable} in its place; if you want that, make {status.stable} stable by hand"
        )
    if not raises or seen in (None, status.stable):
        return ""
    return f"{seen} is stable now, not {status.stable}; abort, and start a new release"


def _advice(phase: Phase) -> str:
    sayable = [verb for verb, phases in MAY_SAY.items() if phase in phases and verb != "approve"]
    return f"what can be said now: {', '.join(sayable)}" if sayable else "it is over"


def _approve(turn: Turn, command: Command) -> None:
    proposal = turn.status.proposal
    assert proposal is not None
    why = f"approved by {command.by}{_because(command)}"
    if proposal.verb == "promote":
        _next(turn, why, command.by)
    elif proposal.verb == "make-stable":
        make_stable(turn, why, by=command.by)
    elif proposal.verb == "rollback":
        roll_back(turn, why, by=command.by)
    else:
        _abort(turn, command)


def _promote(turn: Turn, command: Command) -> None:
    skipped = closed_because(turn.status.plan, turn.now, turn.observed.offsets)
    note = f", {skipped}" if skipped else ""
    why = f"promoted by {command.by}{_because(command)}{note}"
    if turn.status.baking:
        make_stable(turn, why, by=command.by)
    else:
        _next(turn, why, command.by)


def _next(turn: Turn, why: str, by: str) -> None:
    status = turn.status
    if status.stage < status.plan.last:
        enter(turn, status.stage + 1, why, by=by)
    else:
        bake(turn, why, by=by)


def _pause(turn: Turn, command: Command) -> None:
    turn.move(Phase.PAUSED, pause_why=f"{command.by} said so{_because(command)}")
    text = f"Paused at {turn.status.weight_wanted:g} % by {command.by}{_because(command)}."
    turn.tell("paused", text, by=command.by)


def _resume(turn: Turn, command: Command) -> None:
    why = f"resumed by {command.by}{_because(command)}"
    back_to_plan(turn, why)
    text = f"Going on at {turn.status.weight_wanted:g} %, {why}."
    go_on(turn, "resumed", text, by=command.by)


def _abort(turn: Turn, command: Command) -> None:
    why = f"aborted by {command.by}{_because(command)}"
    if turn.status.phase is Phase.QUARANTINE:  # the weight of before may be what fails
        roll_back(turn, why, by=command.by)
    else:
        end(turn, Phase.ABORTED, weight_of_abort(turn.status), why, by=command.by)


def _rollback(turn: Turn, command: Command) -> None:
    roll_back(turn, f"rolled back by {command.by}{_because(command)}", by=command.by)


def _continue(turn: Turn, command: Command) -> None:
    why = f"{command.by} says continue{_because(command)}; the evidence is kept"
    if turn.status.phase is Phase.QUARANTINE:
        leave_quarantine(turn, why)
    calm_all(turn)
    turn.set(probe="", stopped_by=())
    go_on(turn, "continued", f"Going on at {turn.status.weight_wanted:g} %: {why}.", by=command.by)


def _release_latch(turn: Turn, command: Command) -> None:
    turn.set(latched=False)
    text = f"The latch is released by {command.by}{_because(command)}: a new release may start."
    turn.tell("unlatched", text, by=command.by)


def _because(command: Command) -> str:
    return f" ({command.why})" if command.why else ""


_VERBS: Mapping[str, Callable[[Turn, Command], None]] = MappingProxyType(
    {
        "approve": _approve,
        "pause": _pause,
        "resume": _resume,
        "promote": _promote,
        "abort": _abort,
        "rollback": _rollback,
        "continue": _continue,
        "release-latch": _release_latch,
    }
)

"""One step of a release: the whole machine is this one pure function.

    status + evidence + commands + what the world looks like  ->  new status + what must be done

The same call again, with nothing new, does nothing. Status and actions belong into one write: a
controller that dies before it has done nothing, one that dies after it has done everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from gateway.release.judge.evidence import Evidence
from gateway.release.machine.action import Action, SetSegments, SetWeight, Step
from gateway.release.machine.guard import guard, watch_hold, watch_quarantine
from gateway.release.machine.hand import notice_hand
from gateway.release.machine.moves import end
from gateway.release.machine.people import obey
from gateway.release.machine.phase import COUNTED, GUARDED, LIVE, Phase
from gateway.release.machine.stages import await_approval, bake, prepare, ramp, warm_is_over
from gateway.release.machine.status import Command, Status
from gateway.release.machine.timing import keep_time
from gateway.release.machine.turn import NOTHING_SEEN, Observed, Turn
from gateway.release.plan.duration import said

OVERDUE_SECONDS = 30.0  # a clock that jumps ahead and is put right must not end a release

EXPIRED = "expired"  # what the proposal to end it is about

_SETTINGS = (SetWeight, SetSegments)


def advance(
    status: Status,
    evidence: Evidence | None,
    commands: Iterable[Command],
    now: float,
    observed: Observed = NOTHING_SEEN,
) -> Step:
    """Judges once; goes on by one phase at most, besides what people say."""
    new = [command for command in commands if command.key not in status.commands_done]
    if now == status.last_tick and not new:
        return Step(status)  # nobody can have seen anything new at the same moment
    turn = Turn(status, evidence, now, observed)
    keep_time(turn)
    if evidence is not None and status.phase in COUNTED:
        turn.observed_seconds += turn.gap
        turn.set(observed_seconds=turn.observed_seconds)
    if evidence is not None and evidence.candidate_requests < status.requests_at_entry:
        turn.set(requests_at_entry=0)  # a judge that lost what it knew counts from 0 again
    notice_hand(turn)
    for command in new:
        obey(turn, command)
    if turn.status.phase in GUARDED and turn.status.stage >= 0:
        guard(turn)
    _expire(turn)
    # A phase that began in this very step waits for the next one.
    if turn.status.phase is status.phase and turn.status.entered_at == status.entered_at:
        _BY_PHASE.get(turn.status.phase, _stay)(turn)
    stands = status.weight_wanted if observed.weight is None else observed.weight
    return Step(turn.status, _last_of_each(stands, turn.actions))


def _last_of_each(stands: float, actions: list[Action]) -> tuple[Action, ...]:
    """Of several settings of one thing only the last is written, and none that changes nothing.

    `stands` is the percent in the store, which may be the work of somebody's hand.
    """
    last = {type(action): action for action in actions if isinstance(action, _SETTINGS)}
    weight = last.get(SetWeight)
    if isinstance(weight, SetWeight) and weight.percent == stands:
        del last[SetWeight]
    return tuple(a for a in actions if not isinstance(a, _SETTINGS) or last.get(type(a)) is a)


def _stay(turn: Turn) -> None:
    """Nothing happens here without a person."""


def _expire(turn: Turn) -> None:
    """Ends a release that took too long; not in the bake, nor before a person said what to do."""
    status = turn.status
    if status.phase not in LIVE or status.phase is Phase.QUARANTINE or status.baking:
        return
    if not status.plan.expires or turn.now < status.started_at + status.plan.expires:
        turn.set(overdue_seconds=0.0)
        proposal = status.proposal
        if proposal is not None and proposal.about == EXPIRED:  # the clock was wrong
            turn.set(proposal=None)
        return
    turn.set(overdue_seconds=status.overdue_seconds + turn.gap)
    if turn.status.overdue_seconds < OVERDUE_SECONDS:
        return
    why = f"it was to be over within {said(status.plan.expires)}"
    if turn.is_manual:
        if turn.status.phase is Phase.AWAITING and turn.may_propose("abort"):
            turn.move(turn.status.at_rest)
        turn.propose("abort", EXPIRED, f"End this release: {why}?")
    else:
        end(turn, Phase.EXPIRED, min(status.weight_before, status.weight_wanted), why)


_BY_PHASE: Mapping[Phase, Callable[[Turn], None]] = MappingProxyType(
    {
        Phase.PREPARING: prepare,
        Phase.RAMP: ramp,
        Phase.HOLD: watch_hold,
        Phase.QUARANTINE: watch_quarantine,
        Phase.AWAITING: await_approval,
        Phase.BAKING: bake,
        Phase.PROMOTED: warm_is_over,
    }
)

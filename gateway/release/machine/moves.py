"""The moves that a release can make, each whole: phase, weight, what is told."""

from __future__ import annotations

from gateway.release.machine.action import MakeStable
from gateway.release.machine.phase import Phase
from gateway.release.machine.status import Status
from gateway.release.machine.turn import Turn
from gateway.release.plan.duration import said


def enter(turn: Turn, stage: int, why: str, *, by: str = "") -> None:
    """Goes to a stage; the last one, if it takes all, begins the bake."""
    plan = turn.status.plan
    bakes = plan.stages[stage].weight == 100.0
    target = _first_weight(turn, plan.target(stage))
    _settle(turn, Phase.BAKING if bakes else Phase.RAMP, stage=stage, baking=bakes)
    turn.give_to(plan.segments(stage), why)
    turn.weigh(target, why)
    name = f"stage {stage + 1} of {len(plan.stages)}"
    kind = "started" if stage == 0 else "stage"
    turn.tell(kind, f"{turn.status.candidate} goes to {name}, {_share(turn)}: {why}.", by=by)


def bake(turn: Turn, why: str, *, by: str = "") -> None:
    """Gives the candidate all but the holdback, past what the stages of the plan ask for.

    Only a person starts this: it is how a plan that ends with a proposal goes on.
    """
    _settle(turn, Phase.BAKING, baking=True)
    turn.weigh(turn.status.ceiling, why)
    turn.tell("stage", f"{turn.status.candidate} gets {_share(turn)}: {why}.", by=by)


def make_stable(turn: Turn, why: str, *, by: str = "") -> None:
    """Ends the release well."""
    status = turn.status
    turn.give_to((), why)
    turn.set(weight_wanted=100.0)
    turn.actions.append(MakeStable(status.candidate, why))
    turn.move(Phase.PROMOTED, ended_at=turn.now)
    warm = status.plan.bake.keep_warm
    keep = (
        f" Keep {status.stable} up for {said(warm)} more, to switch back at once." if warm else ""
    )
    text = f"{status.candidate} is the new stable of {status.route}: {why}.{keep}"
    turn.tell("promoted", text, by=by)


def roll_back(turn: Turn, why: str, *, by: str = "") -> None:
    """Weight 0, and there it stays until a person releases the latch."""
    status = turn.status
    was_promoted = status.phase is Phase.PROMOTED
    turn.give_to((), why)
    if was_promoted:
        turn.set(weight_wanted=0.0)
        turn.actions.append(MakeStable(status.stable, why))
    turn.weigh(0.0, why)
    turn.move(Phase.ROLLED_BACK, latched=True, probe="", ended_at=turn.now)
    text = (
        f"{status.candidate} is rolled back, {status.stable} has all traffic: {why}. "
        "Nothing moves again before somebody says release-latch."
    )
    turn.tell("rollback", text, by=by)


def end(turn: Turn, phase: Phase, weight: float, why: str, *, by: str = "") -> None:
    """Ends the release without a result: aborted or expired."""
    turn.give_to((), why)
    turn.weigh(weight, why)
    turn.move(phase, ended_at=turn.now)
    turn.tell("ended", f"The release is {phase.value}, back at {_share(turn)}: {why}.", by=by)


def hold(turn: Turn, names: tuple[str, ...], why: str) -> None:
    """Freezes the weight until the evidence is calm again, or a person continues."""
    turn.move(Phase.HOLD, held_by=names, calm_seconds=0.0)
    turn.tell("hold", f"Holding at {_share(turn)}: {why}.")


def go_on(turn: Turn, kind: str, text: str, *, by: str = "") -> None:
    """Out of a hold, a pause or a proposal, back to where the release was; time goes on."""
    turn.move(
        turn.status.at_rest, held_by=(), pause_why="", calm_seconds=0.0, weight_is_by_hand=False
    )
    turn.tell(kind, text, by=by)


def back_to_plan(turn: Turn, why: str) -> None:
    """The weight and segments of the present stage."""
    status = turn.status
    if status.stage >= 0:
        turn.give_to(status.plan.segments(status.stage), why)
        turn.weigh(plan_weight(turn), why)


def plan_weight(turn: Turn) -> float:
    """The percent that the plan gives in the present stage."""
    return _first_weight(turn, turn.status.ceiling)


def weight_of_abort(status: Status) -> float:
    """The percent of before; but a hand that took weight away is never overruled by an end."""
    if status.weight_is_by_hand:
        return min(status.weight_before, status.weight_wanted)
    return status.weight_before


def _settle(turn: Turn, phase: Phase, **fields: object) -> None:
    evidence = turn.evidence
    turn.move(
        phase,
        observed_seconds=0.0,
        calm_seconds=0.0,
        batch_seconds=0.0,
        held_by=(),
        told=(),
        weight_is_by_hand=False,
        requests_at_entry=evidence.candidate_requests if evidence else 0,
        evidence_at_entry=evidence.at if evidence else 0.0,
        **fields,
    )


def _first_weight(turn: Turn, target: float) -> float:
    """The adaptive part begins where it is, or at its floor, and climbs by itself."""
    adaptive = turn.status.plan.adaptive
    if adaptive is None or target == 0 or turn.status.baking:
        return target
    return min(target, adaptive.ceiling, max(adaptive.floor, turn.status.weight_wanted))


def _share(turn: Turn) -> str:
    status = turn.status
    held_back = status.plan.bake.holdback if status.phase is Phase.BAKING else 0
    bake = f" (the bake; {held_back:g} % stay on {status.stable} until its end)"
    segments = f" and segment {', '.join(status.segments_wanted)}" if status.segments_wanted else ""
    return f"{status.weight_wanted:g} %{segments}{bake if held_back else ''}"

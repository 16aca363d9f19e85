"""What a release does by itself in the phases where nothing is wrong."""

from __future__ import annotations

from gateway.release.machine.blockers import (
    Blocker,
    before_next,
    before_proposal,
    before_stable,
    before_start,
)
from gateway.release.machine.moves import enter, go_on, make_stable, roll_back
from gateway.release.machine.phase import Phase
from gateway.release.machine.turn import Turn
from gateway.release.machine.winner import conclude
from gateway.release.plan.duration import said

INCONCLUSIVE = "rollback:inconclusive"


def prepare(turn: Turn) -> None:
    """Begins the first stage when it may; in manual mode a person does."""
    blockers = before_start(turn)
    _wait(turn, blockers)
    if blockers:
        return
    if turn.is_manual:
        _ask_to_promote(turn, f"Start: give {turn.status.candidate} its first stage?")
    else:
        enter(turn, 0, f"started by {turn.status.started_by or 'nobody named'}")


def ramp(turn: Turn) -> None:
    """Goes on to the next stage when everything speaks for it."""
    status = turn.status
    if status.stage == status.plan.last:
        _conclude(turn)
        return
    target = status.plan.target(status.stage + 1)
    blockers = before_next(turn, target)
    _wait(turn, blockers)
    if _is_boxed(turn, blockers):
        _time_is_up(turn, blockers)
        return
    _withdraw(turn, INCONCLUSIVE, "It is not inconclusive any more: no rollback is proposed.")
    if not blockers:
        _promote(turn, _shown(turn, target))
    else:
        _adapt(turn)


def await_approval(turn: Turn) -> None:
    """Takes a proposal back when what it rested on is gone."""
    status, proposal = turn.status, turn.status.proposal
    if proposal is None or status.stage < 0 or status.plan.last == status.stage:
        blockers = before_start(turn) if status.stage < 0 else ()
    else:
        blockers = before_next(turn, status.plan.target(status.stage + 1))
    known = proposal.despite if proposal else ()
    gone = [blocker for blocker in blockers if blocker.kind not in known]
    if proposal is None or gone:
        why = "; ".join(blocker.text for blocker in gone) or "nothing is proposed any more"
        go_on(turn, "withdrawn", f"The proposal is withdrawn, it waits for {why}.")
    else:
        turn.set(waiting_for=("a person: approve",))


def bake(turn: Turn) -> None:
    """Makes the candidate stable after the bake."""
    blockers = before_stable(turn)
    _wait(turn, blockers)
    if blockers:
        return
    stage = turn.status.current_stage
    why = f"nothing was found in {said(turn.status.observed_seconds)} of baking"
    if turn.is_automatic and not (stage and stage.approval):
        make_stable(turn, why)
    else:
        text = f"Make {turn.status.candidate} the stable version: {why}?"
        turn.propose("make-stable", "make-stable", text)
        turn.set(waiting_for=("a person: approve",))


def warm_is_over(turn: Turn) -> None:
    """After a promotion: says when the old version is no longer needed."""
    status = turn.status
    ended, warm = status.ended_at, status.plan.bake.keep_warm
    if ended is not None and warm and turn.now >= ended + warm:
        turn.tell_once("warm", "ended", f"{status.stable} may be switched off now.")


def _withdraw(turn: Turn, about: str, text: str) -> None:
    proposal = turn.status.proposal
    if proposal is not None and proposal.about == about:
        turn.set(proposal=None)
        turn.tell("withdrawn", text)


def _wait(turn: Turn, blockers: tuple[Blocker, ...]) -> None:
    turn.set(waiting_for=tuple(blocker.text for blocker in blockers))


def _shown(turn: Turn, target: float) -> str:
    stage, evidence = turn.status.current_stage, turn.evidence
    if stage is None or not stage.weight or evidence is None:
        return f"{said(turn.status.observed_seconds)} passed"
    return (
        f"no harm is shown up to {evidence.promotable_weight:.3g} % after "
        f"{said(turn.status.observed_seconds)} and {evidence.candidate_requests} requests"
    )


def _promote(turn: Turn, why: str, *, despite: tuple[str, ...] = ()) -> None:
    stage = turn.status.current_stage
    if turn.is_automatic and not (stage and stage.approval):
        enter(turn, turn.status.stage + 1, why)
        return
    plan, following = turn.status.plan, turn.status.stage + 1
    held_back = plan.holds_back(following)
    bake = f" (the bake; {held_back:g} % stay on {turn.status.stable})" if held_back else ""
    text = f"Raise {turn.status.candidate} to {plan.target(following):g} %{bake}: {why}?"
    _ask_to_promote(turn, text, despite=despite)


def _ask_to_promote(turn: Turn, text: str, *, despite: tuple[str, ...] = ()) -> None:
    about = f"promote:{turn.status.stage + 1}"
    if not turn.may_propose("promote"):
        turn.set(waiting_for=("a person: approve what is proposed, or promote",))
        return
    turn.move(Phase.AWAITING)
    turn.propose("promote", about, text, despite=despite)
    turn.set(waiting_for=("a person: approve",))


def _is_boxed(turn: Turn, blockers: tuple[Blocker, ...]) -> bool:
    """Whether the stage's time is up, and nothing but data or proof is lacking."""
    stage = turn.status.current_stage
    if stage is None or not stage.timebox or turn.status.observed_seconds < stage.timebox:
        return False
    return bool(blockers) and {blocker.kind for blocker in blockers} <= {"data", "proof"}


def _time_is_up(turn: Turn, blockers: tuple[Blocker, ...]) -> None:
    """No data is never a pass, so only proof that is lacking may be gone without."""
    status, policy = turn.status, turn.status.plan.on_inconclusive
    lacking = "; ".join(blocker.text for blocker in blockers)
    why = f"the time of this stage is up, and it still waits for {lacking}"
    if policy == "rollback":
        turn.tell_once("timebox", "inconclusive", f"Inconclusive: {why}.")
        if turn.is_automatic:
            roll_back(turn, f"inconclusive: {why}")
        elif status.proposal is None or status.proposal.verb != "rollback":  # an alarm tells more
            turn.propose("rollback", INCONCLUSIVE, f"Roll back: {why}?")
    elif policy == "promote" and all(blocker.kind == "proof" for blocker in blockers):
        turn.tell_once("timebox", "inconclusive", f"Inconclusive, and the plan goes on: {why}.")
        _promote(turn, f"inconclusive, as the plan allows: {why}", despite=("proof",))
    else:
        text = f"Inconclusive, staying at {status.weight_wanted:g} %: {why}."
        turn.tell_once("timebox", "inconclusive", text)


def _conclude(turn: Turn) -> None:
    """The end of a plan that leaves the last word to a person."""
    blockers = before_proposal(turn)
    _wait(turn, blockers)
    if blockers:
        _adapt(turn)
        return
    assert turn.evidence is not None
    conclusion = conclude(turn.status, turn.evidence)
    if not turn.may_propose(conclusion.verb):
        turn.set(waiting_for=("a person: approve what is proposed, promote or abort",))
        return
    turn.move(Phase.AWAITING)
    turn.propose(conclusion.verb, "end", conclusion.text)
    turn.set(waiting_for=("a person: approve, promote or abort",))


def _adapt(turn: Turn) -> None:
    """Moves the weight as the quality metric asks, inside the stage and in small steps."""
    status, adaptive, wish = turn.status, turn.status.plan.adaptive, turn.observed.wish
    if adaptive is None or wish is None or turn.is_manual or turn.evidence is None:
        return
    if not status.ceiling:
        return
    now = status.weight_wanted
    turn.set(batch_seconds=status.batch_seconds + turn.gap)
    most = min(adaptive.ceiling, status.ceiling)
    wanted = max(min(adaptive.floor, most), min(wish, most))
    if wanted > now:
        if turn.status.batch_seconds < adaptive.batch or turn.observed.why_not_ready:
            return
        wanted = min(wanted, now * adaptive.step)
    wanted = round(wanted, 2)
    if abs(wanted - now) >= _SMALLEST_MOVE:
        turn.weigh(wanted, f"{adaptive.metric} asks for {wish:.3g} %")
        turn.set(batch_seconds=0.0)


_SMALLEST_MOVE = 0.25  # percent; less would only fill the history

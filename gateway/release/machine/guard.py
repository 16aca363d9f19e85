"""Alarms become holds and quarantines; a quarantine becomes a probe, a question or a rollback.

Evidence that rose within seconds may be a blip of the machine below the candidate. It gets one
short probe at the old weight after a rest at 0; only fresh evidence confirms it. Whatever cannot be
seen (no evidence, nobody watching, no requests in the probe) is left to a person, at weight 0.
"""

from __future__ import annotations

from gateway.release.machine.alarms import FRESH_E, Alarm, alarms, is_calm, still_calmed
from gateway.release.machine.moves import go_on, hold, roll_back
from gateway.release.machine.phase import Phase
from gateway.release.machine.turn import Turn
from gateway.release.plan.duration import said

YOUNG_SECONDS = 10
REST_SECONDS = 20.0
UNREADY_SECONDS = 60.0  # more than endpoints are ejected for at first
PROBE_SECONDS = 15.0
SETTLE_SECONDS = 5.0  # the last answers of the probe are counted up to 2 s after they end
PROBE_REQUESTS = 5
CALM_SECONDS = 300.0

_ADVICE = ("stop ", "hold ")  # how the keys of what was advised begin


def guard(turn: Turn) -> None:
    """Lets alarms act, in a phase where the candidate has traffic."""
    if turn.evidence is None:
        return
    holds, stops = still_calmed(turn.status, turn.evidence)
    turn.set(calmed_holds=holds, calmed_stops=stops)
    raised = alarms(turn.status, turn.evidence)
    stopping = tuple(alarm for alarm in raised if alarm.stops)
    if turn.is_manual:
        _advise(turn, raised, stopping)
    elif stopping and _may_stop(turn, stopping):
        _quarantine(turn, stopping)
    elif raised and turn.status.phase is Phase.HOLD:
        turn.set(held_by=_unique((*turn.status.held_by, *_names(raised))))
    elif raised and turn.status.phase is not Phase.PAUSED:
        hold(turn, _names(raised), _whys(raised))


def watch_hold(turn: Turn) -> None:
    """Ends a hold after it was calm for long enough."""
    if turn.evidence is None or not is_calm(turn.status, turn.evidence):
        turn.set(calm_seconds=0.0, waiting_for=("calm evidence, or a person who says continue",))
        return
    turn.set(calm_seconds=turn.status.calm_seconds + turn.gap)
    left = CALM_SECONDS - turn.status.calm_seconds
    turn.set(waiting_for=(f"{said(left)} more of calm evidence",))
    if left <= 0:
        go_on(turn, "calm", f"The evidence was calm for {said(CALM_SECONDS)}: the hold ends.")


def watch_quarantine(turn: Turn) -> None:
    """Moves the probe on, if there is one."""
    probe = turn.status.probe
    turn.set(probe_seconds=turn.status.probe_seconds + turn.gap)
    if probe == "resting":
        _rest(turn)
    elif probe == "running":
        _probe(turn)
    elif probe == "settling":
        _settle(turn)
    else:
        turn.set(waiting_for=("a person: rollback, or continue",))


def calm_all(turn: Turn) -> None:
    """From here on only fresh evidence raises the alarms that there are now."""
    if turn.evidence is not None:
        raised = alarms(turn.status, turn.evidence)
        holds = (*turn.status.calmed_holds, *(a.name for a in raised if not a.stops))
        stops = (*turn.status.calmed_stops, *(a.name for a in raised if a.stops))
        turn.set(calmed_holds=_unique(holds), calmed_stops=_unique(stops))
    turn.mark()


def _advise(turn: Turn, raised: tuple[Alarm, ...], stopping: tuple[Alarm, ...]) -> None:
    if stopping:
        names = _names(stopping)
        text = f"Roll back {turn.status.candidate}: {_whys(stopping)}."
        if turn.status.phase is Phase.AWAITING:
            turn.move(turn.status.at_rest)
        turn.set(stopped_by=names)
        turn.tell_once(f"stop {','.join(names)}", "alarm", text)
        turn.propose("rollback", f"rollback:{','.join(names)}", text)
    elif raised:
        names = _names(raised)
        text = f"Do not raise the weight of {turn.status.candidate}: {_whys(raised)}."
        turn.tell_once(f"hold {','.join(names)}", "hold", text)
    else:
        kept = tuple(key for key in turn.status.told if not key.startswith(_ADVICE))
        turn.set(told=kept)
        proposal = turn.status.proposal
        by_alarm = f"rollback:{','.join(turn.status.stopped_by)}"
        if proposal is not None and proposal.about == by_alarm:
            turn.set(proposal=None)
            turn.tell("calm", "What spoke for a rollback is gone; it is no longer proposed.")


def _may_stop(turn: Turn, stopping: tuple[Alarm, ...]) -> bool:
    """Without a holdback nothing tells a bad version from a bad day, so stable must be warm."""
    status = turn.status
    if not _is_alone(turn) or status.plan.bake.keep_warm > 0:
        return True
    turn.tell_once(
        "not warm",
        "alarm",
        f"{status.candidate} looks bad, but nothing is held back to compare it with and the plan "
        f"does not keep {status.stable} warm: a person must decide. {_whys(stopping)}.",
    )
    return False


def _is_alone(turn: Turn) -> bool:
    """Whether the candidate has all traffic: no probe could compare it with anything."""
    return turn.status.baking and turn.status.plan.bake.holdback == 0


def _quarantine(turn: Turn, stopping: tuple[Alarm, ...]) -> None:
    status, evidence = turn.status, turn.evidence
    assert evidence is not None
    names, why = _names(stopping), _whys(stopping)
    turn.weigh(0.0, f"quarantine: {why}")
    turn.give_to((), f"quarantine: {why}")
    turn.move(
        Phase.QUARANTINE,
        stopped_by=names,
        weight_at_alarm=status.weight_wanted,
        probe="",
        probe_seconds=0.0,
    )
    turn.tell("alarm", f"{status.candidate} is in quarantine, weight 0: {why}.")
    families = {family.name for family in evidence.families}
    is_young = evidence.span_seconds < YOUNG_SECONDS and families.issuperset(names)
    if is_young and not status.probed and _old_weight(turn) > 0 and not _is_alone(turn):
        turn.set(probe="resting")
        text = (
            f"The evidence rose within {evidence.span_seconds} s: after {said(REST_SECONDS)} one "
            f"probe of {said(PROBE_SECONDS)} at {_old_weight(turn):g} % tells whether it lasts."
        )
        turn.tell("probe", text)
    else:
        _confirm(turn, why)


def _confirm(turn: Turn, why: str) -> None:
    turn.set(probe="")
    if turn.is_automatic:
        roll_back(turn, why)
    else:
        _ask(turn, f"Roll {turn.status.candidate} back for good? {why}.")


def _ask(turn: Turn, text: str) -> None:
    turn.set(waiting_for=("a person: rollback, or continue",))
    turn.propose("rollback", f"rollback:{','.join(turn.status.stopped_by)}", text)


def _rest(turn: Turn) -> None:
    left = REST_SECONDS - turn.status.probe_seconds
    turn.set(waiting_for=(f"{said(left)} at weight 0 before the probe",))
    if left > 0 or turn.evidence is None:
        return
    if turn.observed.why_not_ready:
        _rest_longer(turn, turn.observed.why_not_ready)
        return
    requests = turn.evidence.candidate_requests
    turn.mark()
    turn.weigh(_old_weight(turn), "probe")
    turn.set(probe="running", probe_seconds=0.0, probed=True, requests_at_probe=requests)
    turn.tell("probe", f"The probe begins at {turn.status.weight_wanted:g} %.")


def _rest_longer(turn: Turn, why: str) -> None:
    """What failed was ejected, and comes back by itself; what stays down confirms the alarm."""
    left = REST_SECONDS + UNREADY_SECONDS - turn.status.probe_seconds
    turn.set(waiting_for=(f"the candidate to be ready for its probe, {said(left)} more: {why}",))
    if left <= 0:
        stopped = ", ".join(turn.status.stopped_by)
        _confirm(turn, f"{stopped}, and {said(UNREADY_SECONDS)} after its rest still {why}")


def _probe(turn: Turn) -> None:
    if _is_confirmed(turn):
        return
    if turn.evidence is None or turn.was_away:
        turn.weigh(0.0, "nobody watches the probe")
        turn.set(probe="settling", probe_seconds=0.0)
    elif turn.status.probe_seconds >= PROBE_SECONDS:
        turn.weigh(0.0, "the probe is over")
        turn.set(probe="settling", probe_seconds=0.0)


def _settle(turn: Turn) -> None:
    if _is_confirmed(turn) or turn.status.probe_seconds < SETTLE_SECONDS or turn.evidence is None:
        return
    status, evidence = turn.status, turn.evidence
    requests = evidence.candidate_requests - status.requests_at_probe
    if requests < PROBE_REQUESTS or evidence.at == status.evidence_at_mark:
        _undecided(turn, f"the probe saw {max(requests, 0)} requests, too few to tell")
        return
    turn.set(calmed_stops=_unique((*status.calmed_stops, *status.stopped_by)), probe="")
    why = f"{requests} requests of the probe did not confirm {', '.join(status.stopped_by)}"
    leave_quarantine(turn, why)
    if status.pause_why:
        turn.move(Phase.PAUSED)
        turn.tell("paused", f"Paused again, as before the quarantine: {status.pause_why}.")
    else:
        hold(turn, status.stopped_by, why)


def break_off_probe(turn: Turn, why: str) -> None:
    """Leaves the quarantine to a person, if a probe was to decide."""
    if turn.status.probe in ("resting", "running", "settling"):
        _undecided(turn, why)


def leave_quarantine(turn: Turn, why: str) -> None:
    """The segments of the stage again, and the weight of before, but never more than the plan's."""
    status = turn.status
    turn.give_to(status.plan.segments(status.stage), why)
    turn.weigh(_old_weight(turn), why)


def _old_weight(turn: Turn) -> float:
    return min(turn.status.weight_at_alarm, turn.status.ceiling)


def _undecided(turn: Turn, why: str) -> None:
    turn.weigh(0.0, why)
    turn.set(probe="undecided")
    _ask(turn, f"{turn.status.candidate} stays in quarantine, weight 0: {why}. Roll it back?")


def _is_confirmed(turn: Turn) -> bool:
    status, evidence = turn.status, turn.evidence
    if evidence is None or evidence.at == status.evidence_at_mark:
        return False
    # What raised the alarm may have begun anew with the mark, as the watch of the bake does.
    asked = status.stopped_by
    fresh = [
        f for f in evidence.families if (f.rollback or f.name in asked) and f.fresh_e >= FRESH_E
    ]
    if not fresh:
        return False
    turn.weigh(0.0, "the probe confirms the alarm")
    names = ", ".join(family.name for family in fresh)
    _confirm(turn, f"a probe confirmed it: {names}")
    return True


def _names(raised: tuple[Alarm, ...]) -> tuple[str, ...]:
    return _unique(tuple(alarm.name for alarm in raised))


def _whys(raised: tuple[Alarm, ...]) -> str:
    """Each reason once, with the name of what it is about in front."""
    told = []
    for alarm in raised:
        why = alarm.why.rstrip(".")
        is_named = why.startswith((f"{alarm.name}:", f"{alarm.name} "))
        told.append(why if is_named else f"{alarm.name}: {why}")
    return "; ".join(_unique(tuple(told)))


def _unique(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))

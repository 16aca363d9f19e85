"""Whatever the judge, people, the clock and the store do: what must never happen does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.release.judge.evidence import Evidence, FamilyEvidence
from gateway.release.machine.action import MakeStable, SetWeight, Step
from gateway.release.machine.advance import advance
from gateway.release.machine.phase import Phase
from gateway.release.machine.status import Command, Status, Verb, begin, decode, encode
from gateway.release.machine.turn import Observed
from gateway.release.plan.read import read_plan
from tests.release.machine.story import START, evidence, family

RAISES = ("promote", "approve", "resume", "continue", "abort")


@dataclass(frozen=True)
class Tick:
    """What one step of a random release is given, and what came of it."""

    before: Status
    says: Evidence | None
    commands: tuple[Command, ...]
    step: Step
    now: float
    observed: Observed

    @property
    def after(self) -> Status:
        return self.step.status

    @property
    def weights(self) -> list[float]:
        return [a.percent for a in self.step.actions if isinstance(a, SetWeight)]

    @property
    def raised_by_person(self) -> bool:
        return any(command.verb in RAISES for command in self.commands)


PLANS: list[dict[str, Any]] = [
    {"preset": "canary"},
    {"preset": "canary", "expires": "20m"},
    {"preset": "blue-green"},
    {"preset": "ab", "adaptive": {}, "stages": [{"weight": 40, "hold": "30s"}]},
    {
        "stages": [
            {"weight": 2, "hold": 0, "minimum_requests": 0, "timebox": "1m"},
            {"weight": 30, "hold": 0, "minimum_requests": 0, "approval": True},
            {"weight": 100, "hold": 0, "minimum_requests": 0},
        ],
        "on_inconclusive": "promote",
        "bake": {"duration": 0, "holdback": 0},
    },
]

plans = st.builds(
    lambda plan, mode: read_plan({"route": "chat", "candidate": "v2", "mode": mode} | plan),
    st.sampled_from(PLANS),
    st.sampled_from(["manual", "semi-automatic", "automatic", "automatic"]),
)
families = st.builds(
    lambda e, fresh, span: family(e=e, fresh_e=fresh, span_seconds=span),
    st.sampled_from([0.1, 1.0, 1.0, 1.0, 1.0, 1.0, 30.0, 90.0, 500.0, float("inf")]),
    st.sampled_from([1.0, 1.0, 25.0]),
    st.integers(0, 30),
)


def said_by_the_judge(found: FamilyEvidence, weight: float, empty: bool, split: bool) -> Evidence:
    if empty:
        return evidence(found, verdict="no-data", must_hold=True, promotable_weight=weight)
    return evidence(found, promotable_weight=weight, srm_alarm=split)


verdicts = st.builds(
    said_by_the_judge,
    families,
    st.sampled_from([0.0, 5.0, 100.0, 100.0, 100.0]),
    st.sampled_from([False, False, True]),
    st.sampled_from([False] * 8 + [True]),
)
verbs = st.sampled_from([*get_args(Verb), "promote", "approve", "continue"])
# The store: as it was left, mostly; sometimes somebody was there.
seen = st.sampled_from([None] * 12 + ["same"] * 6 + [0.0, 60.0])
ticks = st.tuples(
    st.one_of(st.none(), verdicts, verdicts, verdicts),
    st.just([]) | st.just([]) | st.just([]) | st.lists(verbs, max_size=2),
    st.sampled_from([1.0, 1.0, 5.0, 9.0, 10.0, 0.0, -3.0, 400.0]),
    st.integers(1, 60),  # how often this tick comes
    seen,
    st.sampled_from([None, None, 3.0, 90.0]),
)
stories = st.tuples(plans, st.lists(ticks, min_size=3, max_size=30))


def told(plan: Any, script: list[Any]) -> list[Tick]:
    """Plays a script; all ticks of it."""
    status = begin(plan, release_id="r", stable="v1", weight_before=0.0, by="ann", now=START)
    now, requests, found = START, 0, []
    for says, said, after, times, hand, wish in script:
        for turn in range(times):
            now += after
            requests += 50
            if says is not None:
                says = msgspec.structs.replace(says, at=now, candidate_requests=requests)
            commands = tuple(Command(verb=v, by="bob", at=now) for v in (said if not turn else []))
            weight = status.weight_wanted if hand == "same" else hand
            weight = None if turn and hand != "same" else weight
            observed = Observed(weight=weight, wish=wish)
            step = advance(status, says, commands, now, observed)
            found.append(Tick(status, says, commands, step, now, observed))
            status = step.status
    return found


@given(stories)
@settings(max_examples=60, deadline=None)
def test_nothing_forbidden_ever_happens(story: tuple[Any, list[Any]]) -> None:
    ticks = told(*story)
    for tick in ticks:
        nothing_is_raised_beyond_the_plan(tick)
        after_a_rollback_it_stays_at_zero(tick)
        no_data_is_no_pass(tick)
        only_automatic_raises_alone(tick)
        nothing_is_set_to_what_it_is(tick)
        nothing_is_done_twice(tick)
        storing_changes_nothing(tick)
    made = [a for tick in ticks for a in tick.step.actions if isinstance(a, MakeStable)]
    assert [a.version for a in made] in ([], ["v2"], ["v2", "v1"], ["v1"])


def nothing_is_raised_beyond_the_plan(tick: Tick) -> None:
    if tick.raised_by_person:
        return
    seen = tick.observed.weight or 0.0
    for weight in tick.weights:
        assert weight <= max(tick.after.ceiling, min(tick.before.weight_wanted, seen or 1e9))
        if weight > tick.before.weight_wanted:
            assert weight <= tick.after.ceiling


def after_a_rollback_it_stays_at_zero(tick: Tick) -> None:
    if tick.before.phase is Phase.ROLLED_BACK:
        assert tick.after.phase is Phase.ROLLED_BACK
        assert (tick.after.weight_wanted, tick.weights) == (0, [])
        assert not any(isinstance(a, MakeStable) for a in tick.step.actions)
    if tick.after.phase is Phase.ROLLED_BACK and tick.before.phase is not Phase.ROLLED_BACK:
        latch_said = any(command.verb == "release-latch" for command in tick.commands)
        assert tick.after.latched or latch_said
        assert tick.after.weight_wanted == 0


def no_data_is_no_pass(tick: Tick) -> None:
    went_on = tick.after.stage > tick.before.stage >= 0
    ended = tick.after.phase is Phase.PROMOTED and tick.before.phase is not Phase.PROMOTED
    if tick.raised_by_person or not (went_on or ended):
        return
    assert tick.says is not None
    # After a switch without a holdback there is no other version left to compare with.
    compares = not (ended and tick.before.plan.bake.holdback == 0)
    assert tick.says.verdict != "no-data" or not compares


def only_automatic_raises_alone(tick: Tick) -> None:
    if tick.raised_by_person or tick.before.plan.mode == "automatic":
        return
    is_start = tick.before.stage < 0 and tick.before.plan.mode == "semi-automatic"
    assert tick.after.stage == tick.before.stage or is_start
    assert not any(isinstance(a, MakeStable) for a in tick.step.actions) or tick.commands
    if tick.before.plan.mode == "manual" and not tick.commands:
        assert tick.weights == []


def nothing_is_set_to_what_it_is(tick: Tick) -> None:
    assert len(tick.weights) <= 1
    if tick.observed.weight in (None, tick.before.weight_wanted):
        assert tick.before.weight_wanted not in tick.weights


def nothing_is_done_twice(tick: Tick) -> None:
    again = advance(tick.after, tick.says, tick.commands, tick.now, tick.observed)
    assert (again.actions, again.status) == ((), tick.after)


def storing_changes_nothing(tick: Tick) -> None:
    stored = decode(encode(tick.before))
    assert stored == tick.before
    assert advance(stored, tick.says, tick.commands, tick.now, tick.observed) == tick.step

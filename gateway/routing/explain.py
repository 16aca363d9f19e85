"""Why a unit goes where it goes, and who would move: both ask `decide` itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gateway.routing.bucket import bucket, percent_of
from gateway.routing.decide import decide, decide_unit
from gateway.routing.decision import Decision, Reason
from gateway.routing.facts import RequestFacts
from gateway.routing.table import Route

# What a request without a unit is shown with: it draws a place, and no place is the right one.
_MIDDLE = 0.5


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was looked at."""

    reason: Reason
    is_hit: bool
    text: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision and the way to it."""

    decision: Decision
    steps: tuple[Step, ...]
    percent: float | None  # where the unit stands on the circle, 0 to 100; None without a unit
    intervals: Mapping[str, tuple[tuple[float, float], ...]]  # candidate -> from and to, percent


@dataclass(frozen=True, slots=True)
class Preview:
    """What a change of weights does to some units."""

    units: int
    moved: Mapping[tuple[str, str], int]  # (from, to) -> how many
    before: Mapping[str, int]  # version -> how many
    after: Mapping[str, int]


def explain(route: Route, facts: RequestFacts, now: float) -> Explanation:
    """What `decide` does with this request, step by step.

    Without a unit the place is drawn anew for each request; the decision shown is then that of the
    middle of the circle, and the last step says so.
    """
    steps = _Steps(route)
    decision = decide(route, facts, now=now, draw=lambda: _MIDDLE, trace=steps.add)
    return _explanation(route, decision, steps)


def explain_unit(route: Route, unit: bytes) -> Explanation:
    """The same for a unit alone: rules see a request that has nothing but this unit."""
    steps = _Steps(route)
    decision = decide_unit(route, _bare_request(), unit, "given", lambda: _MIDDLE, steps.add)
    return _explanation(route, decision, steps)


def preview(route: Route, weights: Mapping[str, float], units: Iterable[bytes]) -> Preview:
    """Who of these units would move at other weights; raises ValueError on impossible weights."""
    changed = route.with_weights(weights)
    facts = _bare_request()
    moved: Counter[tuple[str, str]] = Counter()
    before: Counter[str] = Counter()
    after: Counter[str] = Counter()
    for unit in units:
        old = decide_unit(route, facts, unit, "given", lambda: _MIDDLE).version
        new = decide_unit(changed, facts, unit, "given", lambda: _MIDDLE).version
        before[old] += 1
        after[new] += 1
        if old != new:
            moved[old, new] += 1
    return Preview(before.total(), moved, before, after)


def _bare_request() -> RequestFacts:
    return RequestFacts("GET", b"", b"/", b"", {}, "", False)


def _explanation(route: Route, decision: Decision, steps: _Steps) -> Explanation:
    unit = decision.unit
    percent = None if unit is None else percent_of(bucket(route.salt, unit))
    intervals = {
        candidate: tuple((percent_of(first), percent_of(end)) for first, end in arcs)
        for candidate in route.spec.candidates
        if (arcs := route.intervals.of(candidate))
    }
    steps.end(decision, percent)
    return Explanation(decision, tuple(steps.taken), percent, intervals)


class _Steps:
    """Turns what `decide` tells into sentences."""

    def __init__(self, route: Route) -> None:
        self._route = route
        self.taken: list[Step] = []

    def add(self, reason: Reason, is_hit: bool, subject: str) -> None:
        if reason is Reason.OVERRIDE:
            text = (
                f"A valid override names version {subject}."
                if is_hit
                else "The request carries no valid override."
            )
        elif reason is Reason.BLACKLIST:
            text = f"The unit is {'' if is_hit else 'not '}on the blacklist."
        elif reason is Reason.WHITELIST:
            text = f"The unit is {'' if is_hit else 'not '}on the whitelist of {subject}."
        elif reason is Reason.RULE:
            text = f"The conditions of {subject} {'hold' if is_hit else 'do not hold'}."
        elif is_hit:
            text = f"Its place belongs to the weight of {subject}."
        elif self._route.spec.paused:
            text = "The route is paused: no weight applies."
        else:
            text = "Its place belongs to no candidate's weight."
        self.taken.append(Step(reason, is_hit, text))

    def end(self, decision: Decision, percent: float | None) -> None:
        if percent is None and decision.bucket is not None:
            text = (
                "No unit was found: each request draws its place anew, here the middle was taken."
            )
            self.taken.append(Step(decision.reason, True, text))
        elif decision.reason is Reason.STABLE:
            self.taken.append(
                Step(Reason.STABLE, True, f"Stable {decision.version} takes the rest.")
            )

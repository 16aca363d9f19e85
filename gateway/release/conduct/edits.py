"""From what the machine wants to what is written to the route. Pure.

A release owns the candidate's weight, one rule for its segments, and at its end the field `stable`;
everything else of the route belongs to the operators and is left as they typed it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from gateway.errors import ConflictError
from gateway.release.machine.action import Action, MakeStable, SetSegments, SetWeight, Step
from gateway.state.raw import RouteState

RULE_NAME = "graygate-release"
_BLANKS = " \t\r\n"


@dataclass(frozen=True, slots=True)
class Seen:
    """How the route stood when the step was decided."""

    stable: str
    percent: float | None  # of the candidate; None = what stands there is no percent


def percent_of(text: str) -> float | None:
    """A weight as the store holds it; an absent one is 0, what is no percent is None.

    `float` also reads inf and nan: the first is no JSON, and the second is never equal to itself.
    """
    try:
        percent = float(text) if text else 0.0
    except ValueError:
        return None
    return percent if math.isfinite(percent) and 0.0 <= percent <= 100.0 else None


def edit_of(step: Step, candidate: str, seen: Seen) -> Callable[[RouteState], RouteState]:
    """The edit that writes the step, if nobody moved the release's own parts since."""

    def edit(state: RouteState) -> RouteState:
        stable = state.route.get("stable", "").strip(_BLANKS)
        percent = percent_of(state.weights.get(candidate, "").strip(_BLANKS))
        if Seen(stable, percent) != seen:
            raise ConflictError("Weight or stable were changed by hand at the same time.")
        return applied(step, state)

    return edit


def applied(step: Step, state: RouteState) -> RouteState:
    """The route after the step."""
    for action in step.actions:
        state = _applied(action, state)
    return state


def lowers(step: Step, seen: Seen) -> bool:
    """Whether the step takes traffic from the candidate and gives it none."""
    weights = [action.percent for action in step.actions if isinstance(action, SetWeight)]
    others = [a for a in step.actions if isinstance(a, MakeStable)]
    if not weights or others:
        return False
    # Of what cannot be read only 0 is less for certain.
    return weights[-1] == 0.0 if seen.percent is None else weights[-1] < seen.percent


def without_writes(step: Step) -> Step:
    """The step where there is no route to write to."""
    kinds = SetWeight | SetSegments | MakeStable
    return Step(step.status, tuple(one for one in step.actions if not isinstance(one, kinds)))


def said(step: Step) -> str:
    """Why it is written, for the history."""
    whys = [
        action.why for action in step.actions
        if isinstance(action, SetWeight | SetSegments | MakeStable)
    ]  # fmt: skip
    return "; ".join(dict.fromkeys(whys))


def _applied(action: Action, state: RouteState) -> RouteState:
    match action:
        case SetWeight(version=version, percent=percent):
            weights = {**state.weights, version: written(percent)}
            return msgspec.structs.replace(state, weights=weights)
        case MakeStable(version=version):
            weights = {name: text for name, text in state.weights.items() if name != version}
            route = {**state.route, "stable": version}
            return msgspec.structs.replace(state, route=route, weights=weights)
        case SetSegments(version=version, segments=segments):
            others = tuple(rule for rule in state.rules if not _is_own(rule))
            own = (_rule(version, segments),) if segments else ()
            return msgspec.structs.replace(state, rules=own + others)
    return state


def written(percent: float) -> str:
    """As an operator would type it."""
    return f"{percent:.6f}".rstrip("0").rstrip(".")


def _rule(version: str, segments: tuple[str, ...]) -> str:
    rule: Mapping[str, object] = {
        "name": RULE_NAME,
        "when": {"segment": list(segments)},
        "version": version,
    }
    return msgspec.json.encode(rule).decode()


def _is_own(rule: str) -> bool:
    try:
        return bool(msgspec.json.decode(rule, type=_Named).name == RULE_NAME)
    except (msgspec.MsgspecError, RecursionError):
        return False


class _Named(msgspec.Struct):
    name: str = ""

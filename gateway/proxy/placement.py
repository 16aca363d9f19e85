"""Where a request goes when the version decided for cannot serve: failover and spilling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gateway.proxy.view import Outcome, RouteView
from gateway.routing.bucket import CIRCLE, bucket
from gateway.routing.decision import Decision, Reason

_SPILL_SALT: Final = b":spill"


def place(view: RouteView, decision: Decision, now: float, draw: Callable[[], float]) -> Outcome:
    """What to try first; another version than decided when that one is known to be down."""
    version = decision.version
    if view.groups[version].is_down(now):
        other = instead_of(view, version, decision, now, draw)
        if other is not None:
            return view.outcomes[other, Reason.FAILOVER]
    return view.outcomes[version, decision.reason]


def instead_of(
    view: RouteView, version: str, decision: Decision, now: float, draw: Callable[[], float]
) -> str | None:
    """The version that may serve instead of one that failed; None when none may.

    Candidates fall back to stable. Stable falls back to a candidate only as far as the route's
    `spill_cap` allows, so that an outage of stable does not become a release of the candidate.
    Who is forced onto a version by an override sees that version, failing or not.
    """
    if not view.route.spec.failover or decision.reason is Reason.OVERRIDE:
        return None
    if version == view.stable:
        return _spilled(view, decision, now, draw)
    # Stable is tried even when it looks down: where nothing looks up, looks are wrong most often.
    return view.stable


def _spilled(
    view: RouteView, decision: Decision, now: float, draw: Callable[[], float]
) -> str | None:
    spec = view.route.spec
    cap = spec.spill_cap
    if cap is None or decision.reason is not Reason.STABLE or spec.paused:
        return None
    for version, weight in spec.weights.items():
        if weight <= 0 or view.groups[version].is_down(now):
            continue
        others = sum(spec.weights.values())  # units that stable does not have to begin with
        if cap <= weight or others >= 100:
            return None
        share = (cap - weight) / (100 - others)
        if decision.unit is None:
            point = draw()
        else:
            point = bucket(view.route.salt + _SPILL_SALT, decision.unit) / CIRCLE
        return version if point < share else None
    return None

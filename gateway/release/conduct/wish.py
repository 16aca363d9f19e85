"""The percent that a quality metric would give the candidate, for plans with an adaptive part.

As likely as the candidate is the better one, so much it gets: Thompson sampling in one number. The
machine keeps it between floor and ceiling, and in small steps.
"""

from __future__ import annotations

from gateway.release.judge.evidence import Evidence
from gateway.release.plan.plan import Plan
from gateway.release.statistics.bandit import BetaDraw, best_chances


def why_no_wish(plan: Plan, evidence: Evidence) -> str:
    """Why the candidate stays at its floor, for people; "" when nothing keeps it there."""
    if plan.adaptive is None:
        return ""
    metric = plan.adaptive.metric
    if any(metric == one.name for one in plan.metrics):
        return (
            f"adaptive: {metric} is a query, which does not count answers good and bad, so the "
            f"candidate stays at its floor of {plan.adaptive.floor:g} %; name feedback instead"
        )
    families = {one.name: one for one in evidence.families}
    found = families.get(metric)
    if found is not None and found.candidate_n and found.stable_n:
        return ""
    return f"adaptive: nothing was told of {metric} for both versions yet, so no raise is asked for"


def wish_of(plan: Plan, evidence: Evidence | None, draw: BetaDraw) -> float | None:
    """None = the plan has no such part, or nothing was told of answers yet."""
    if plan.adaptive is None or evidence is None:
        return None
    for family in evidence.families:
        if family.name == plan.adaptive.metric and family.candidate_n and family.stable_n:
            outcomes = [
                (family.candidate_n - family.candidate_bad, family.candidate_bad),
                (family.stable_n - family.stable_bad, family.stable_bad),
            ]
            return 100.0 * best_chances(outcomes, draw)[0]
    return None

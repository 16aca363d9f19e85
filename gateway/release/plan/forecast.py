"""What a plan can promise on the route's own traffic, told before the start and while it runs.

Formulae and how well they hold: STATISTICS 2.5, in gateway/release/statistics/planner.py.
"""

from __future__ import annotations

import math

import msgspec

from gateway.release.plan.duration import said
from gateway.release.plan.plan import Plan, Stage
from gateway.release.statistics.planner import detect_seconds, detectable_rate, harmless_requests

PLAIN_HARM = 0.01  # one percentage point more errors: what everybody expects to be seen
FEW_UNITS = 100
LATENCY_PROOF_ABOVE = 25.0  # percent; as the judge has it
LATENCY_PROOF_REQUESTS = 1600.0  # of the harmonic kind: the candidate's times stable's share
LEAST_HOLD_SECONDS = 120.0


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """What the route carries, measured on stable."""

    requests_per_second: float
    error_rate: float
    units_per_second: float | None = None  # different units; None = not known, or no units


class StageForecast(msgspec.Struct, frozen=True, kw_only=True):
    """One stage; `None` means never, on this traffic."""

    number: int
    weight: float  # what it is given: the last stage of all leaves the holdback
    held_back: float = 0.0  # percent that stays on stable for the bake
    hold_seconds: float
    expected_seconds: float | None  # for a candidate that is no worse
    requests_per_second: float  # of the candidate
    proof_requests: float | None  # of the candidate over all stages, before the next one may begin
    detectable_rate: float | None  # the least error rate that is found while the stage lasts
    plain_harm_seconds: float | None  # to find one percentage point more errors
    units: float | None
    warnings: tuple[str, ...] = ()


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """The whole plan on this traffic."""

    traffic: Traffic
    stages: tuple[StageForecast, ...]
    total_seconds: float | None
    warnings: tuple[str, ...] = ()


def forecast(plan: Plan, traffic: Traffic) -> Forecast:
    """How long each stage lasts for a good candidate, and what a bad one would be found by."""
    stages = []
    done = 0.0  # candidate requests so far: evidence is carried over from stage to stage
    for number in range(len(plan.stages)):
        found = _stage(plan, number, traffic, done)
        stages.append(found)
        done += found.requests_per_second * (found.expected_seconds or 0.0)
    spans = [stage.expected_seconds for stage in stages]
    total = None if None in spans else sum(span for span in spans if span is not None)
    return Forecast(
        traffic=traffic,
        stages=tuple(stages),
        total_seconds=total,
        warnings=tuple(_about_all(plan, traffic, total)),
    )


def explain(told: Forecast) -> str:
    """The forecast in plain words, one line per fact."""
    traffic = told.traffic
    lines = [
        f"At {traffic.requests_per_second:.4g} requests/s, {_percent(traffic.error_rate)} of which "
        "fail on stable:"
    ]
    for stage in told.stages:
        lines += _stage_lines(stage)
    if told.total_seconds is not None:
        lines.append(f"A candidate that is no worse takes about {said(told.total_seconds)}.")
    lines += [f"! {warning}" for warning in told.warnings]
    return "\n".join(lines)


def _stage(plan: Plan, number: int, traffic: Traffic, done: float) -> StageForecast:
    stage, share = plan.stages[number], plan.target(number) / 100
    rate = traffic.requests_per_second * share
    hold = max(stage.hold, plan.bake.duration) if stage.weight == 100 else stage.hold
    proof = _proof(plan, number, traffic)
    expected = _expected(stage, hold, rate, proof, done)
    limit = _rollback_at(plan)
    found = harm = None
    if share and limit is not None:
        baseline = traffic.error_rate
        length = expected or hold
        found = detectable_rate(traffic.requests_per_second, share, baseline, length, limit)
        seconds = detect_seconds(
            traffic.requests_per_second, share, baseline, min(baseline + PLAIN_HARM, 1.0), limit
        )
        harm = seconds if math.isfinite(seconds) else None
    per_second = traffic.units_per_second
    told = StageForecast(
        number=number + 1,
        weight=plan.target(number),
        held_back=plan.holds_back(number),
        hold_seconds=hold,
        expected_seconds=expected,
        requests_per_second=rate,
        proof_requests=proof,
        detectable_rate=found,
        plain_harm_seconds=harm,
        units=None if per_second is None else per_second * share * (expected or hold),
    )
    return msgspec.structs.replace(told, warnings=tuple(_about_stage(plan, stage, told)))


def _proof(plan: Plan, number: int, traffic: Traffic) -> float | None:
    """Candidate requests that it takes to show that the next weight does no harm."""
    if number >= plan.last or not plan.stages[number].weight:
        return None
    target = plan.target(number + 1)
    needed = harmless_requests(traffic.error_rate, target / 100, plan.harm_budget)
    share = plan.target(number) / 100
    if target > LATENCY_PROOF_ABOVE and plan.guardrails.latency.enabled:
        needed = max(needed, LATENCY_PROOF_REQUESTS / (1 - share))
    return needed if math.isfinite(needed) else None


def _expected(
    stage: Stage, hold: float, rate: float, proof: float | None, done: float
) -> float | None:
    needed = max(float(stage.minimum_requests), (proof or 0.0) - done)
    if needed <= 0:
        return hold
    return max(hold, needed / rate) if rate > 0 else None


def _rollback_at(plan: Plan) -> float | None:
    weight = plan.guardrails.families().get("errors", 0.0)
    return 1 / (weight * plan.guardrails.alpha) if weight else None


def _about_stage(plan: Plan, stage: Stage, told: StageForecast) -> list[str]:
    name = f"stage {told.number}"
    if not stage.weight:
        return [f"{name} draws no units at random: the judge sees nothing, a person must look"]
    warnings = []
    if told.expected_seconds is None:
        warnings.append(f"{name} never ends: the candidate gets no requests")
    if told.expected_seconds is not None and 0 < stage.timebox < told.expected_seconds:
        warnings.append(
            f"{name} needs about {said(told.expected_seconds)}, longer than its timebox of "
            f"{said(stage.timebox)}: expect it to end inconclusive"
        )
    harm, length = told.plain_harm_seconds, told.expected_seconds or told.hold_seconds
    if _rollback_at(plan) is not None and (harm is None or harm > length):
        when = f"that takes {said(harm)}" if harm is not None else "that is never seen"
        warnings.append(
            f"{name} lasts {said(length)}, too short to see 1 percentage point more errors: {when}"
        )
    if told.units is not None and told.units < FEW_UNITS:
        warnings.append(
            f"{name} meets about {told.units:.0f} users of the candidate; below {FEW_UNITS} the "
            "errors of a few users hide what the version does"
        )
    if told.hold_seconds < LEAST_HOLD_SECONDS:
        warnings.append(
            f"{name} holds for {said(told.hold_seconds)}; below {said(LEAST_HOLD_SECONDS)} slow "
            "answers and cold caches are not seen"
        )
    return warnings


def _about_all(plan: Plan, traffic: Traffic, total: float | None) -> list[str]:
    warnings = []
    if traffic.requests_per_second <= 0:
        warnings.append("The route has no traffic: nothing can be judged, so nothing will move.")
    if total is not None and 0 < plan.expires < total:
        warnings.append(
            f"The plan expires after {said(plan.expires)}, but even a good candidate takes about "
            f"{said(total)}."
        )
    if plan.stages[-1].weight == 100 and plan.bake.holdback == 0:
        warnings.append(
            "Nothing is held back in the bake: a fault of the version cannot be told from a fault "
            "of what both share."
        )
    return warnings


def _stage_lines(stage: StageForecast) -> list[str]:
    length = stage.expected_seconds
    took = "never ends" if length is None else f"about {said(length)}"
    bake = f" (the bake; {stage.held_back:g} % stay on stable until its end)"
    head = f"Stage {stage.number}, {stage.weight:g} %{bake if stage.held_back else ''}: {took}"
    facts = []
    if stage.proof_requests is not None:
        facts.append(f"{stage.proof_requests:,.0f} requests prove the next stage harmless")
    if stage.detectable_rate is not None:
        facts.append(
            f"in that time an error rate of {_percent(stage.detectable_rate)} or more is found"
        )
    if stage.plain_harm_seconds is not None:
        facts.append(f"1 percentage point more takes {said(stage.plain_harm_seconds)}")
    lines = [f"{head}; {', '.join(facts)}." if facts else f"{head}."]
    return lines + [f"  ! {warning}." for warning in stage.warnings]


def _percent(rate: float) -> str:
    return f"{100 * rate:.2g} %"

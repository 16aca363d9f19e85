"""What the fields of a plan must be among themselves."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from gateway.release.plan.calendar import is_named
from gateway.release.plan.duration import said
from gateway.release.plan.plan import LEAST_PERCENT, Metric, Plan
from gateway.routing.suggest import suggest

PLACEHOLDERS = ("version", "route", "candidate", "stable")

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong at `key`; `fields` of the plan led to it."""

    key: str
    what: str
    fields: tuple[str, ...]


def findings(plan: Plan, zones: Collection[str] | None = None) -> Iterator[Finding]:
    """Everything that each field alone does not show; unknown zones only when `zones` are known."""
    yield from _stages(plan)
    yield from _percents(plan)
    yield from _end(plan)
    yield from _families(plan)
    yield from _metrics(plan)
    yield from _calendar(plan, zones)
    yield from _lengths(plan)
    yield from _adaptive(plan)


def _stages(plan: Plan) -> Iterator[Finding]:
    if not plan.stages:
        what = "a plan needs at least one stage: [[stages]], or a preset"
        yield Finding("stages", what, ("stages",))
    before = 0.0
    for number, stage in enumerate(plan.stages, 1):
        at = f"stages[{number}]"
        here = (at, f"stages[{number - 1}]") if number > 1 else (at,)
        if not stage.weight and not stage.segments:
            what = "needs a weight above 0, or segments: this stage would change nothing"
            yield Finding(at, what, here)
        if stage.weight < before or (stage.weight == before != 0 and not stage.segments):
            what = f"is {stage.weight:g}, after {before:g}: a plan's weights must grow"
            yield Finding(f"{at}.weight", what, here)
        if not stage.weight and not stage.approval:
            what = (
                "must be true in a stage without weight: its units are chosen, not drawn, so "
                "the judge cannot compare them and a person must decide"
            )
            yield Finding(f"{at}.approval", what, here)
        if 0 < stage.timebox < stage.hold:
            what = f"is {said(stage.timebox)}, shorter than the hold of {said(stage.hold)}"
            yield Finding(f"{at}.timebox", what, here)
        before = max(before, stage.weight)


def _percents(plan: Plan) -> Iterator[Finding]:
    """What is above 0 but would be stored as 0, or as 100 instead of a little less."""
    written = [
        (f"stages[{number}].weight", stage.weight, f"stages[{number}]")
        for number, stage in enumerate(plan.stages, 1)
    ]
    written.append(("bake.holdback", plan.bake.holdback, "bake"))
    if plan.adaptive is not None:
        written.append(("adaptive.floor", plan.adaptive.floor, "adaptive"))
        written.append(("adaptive.ceiling", plan.adaptive.ceiling, "adaptive"))
    for key, percent, spoilt in written:
        if 0 < percent < LEAST_PERCENT:
            what = f"is {percent:g}; the least percent above 0 is {LEAST_PERCENT:f}"
            yield Finding(key, what, (spoilt,))


def _end(plan: Plan) -> Iterator[Finding]:
    last = plan.stages[-1].weight if plan.stages else 100.0
    if plan.finish == "promote" and last != 100:
        what = (
            f"ends at {last:g} percent; end at 100, or set finish to propose so that a person "
            "decides there"
        )
        yield Finding("stages", what, ("stages", "finish"))
    if plan.finish == "propose" and last == 100:
        what = "is propose, but the last stage has 100 percent already: nothing is left to propose"
        yield Finding("finish", what, ("stages", "finish"))
    earlier = max((stage.weight for stage in plan.stages[:-1]), default=0.0)
    if last == 100 and earlier > 100 - plan.bake.holdback:
        kept = f"{plan.bake.holdback:g} percent"
        what = f"of {kept} would lower what the stage before gave, {earlier:g} percent"
        yield Finding("bake.holdback", what, ("stages", "bake"))
    if plan.experiment is not None and plan.finish != "propose":
        what = "must be propose when there is an experiment: a winner is proposed, never enforced"
        yield Finding("finish", what, ("finish", "experiment"))


def _families(plan: Plan) -> Iterator[Finding]:
    guards = plan.guardrails
    on = guards.families()
    here = ("guardrails",)
    if sum(on.values()) > 1 + _ROUNDING:
        what = f"weights add up to {sum(on.values()):g}; together they may make 1 at most"
        yield Finding("guardrails", what, here)
    for name, weight in on.items():
        if not weight:
            what = "must be above 0; to switch the family off set enabled = false"
            yield Finding(f"guardrails.{name}.weight", what, here)
    if not on and not plan.metrics:
        what = "are all switched off: nothing would ever stop this release"
        yield Finding("guardrails", what, ("guardrails", "metrics"))
    if guards.hold_alpha < guards.alpha:
        what = f"must be at least alpha, {guards.alpha:g}: a hold comes before a rollback"
        yield Finding("guardrails.hold_alpha", what, here)
    deciding = plan.experiment.metric if plan.experiment else None
    if deciding is not None and deciding not in on:
        what = f"is {deciding}, which is switched off in the guardrails"
        yield Finding("experiment.metric", what, ("experiment", "guardrails"))


def _metrics(plan: Plan) -> Iterator[Finding]:
    for name, count in Counter(metric.name for metric in plan.metrics).items():
        if count > 1:
            yield Finding(
                "metrics", f"has {count} metrics named {name}; give each its own", ("metrics",)
            )
    for number, metric in enumerate(plan.metrics, 1):
        for key, what in _metric(metric):
            yield Finding(f"metrics[{number}]{key}", what, (f"metrics[{number}]",))


def _metric(metric: Metric) -> Iterator[tuple[str, str]]:
    bounds = (metric.at_most, metric.at_least)
    ratios = (metric.ratio_at_most, metric.ratio_at_least)
    if all(bound is None for bound in bounds + ratios):
        yield "", "needs at_most, at_least, ratio_at_most or ratio_at_least"
    if None not in bounds and (metric.at_least or 0) > (metric.at_most or 0):
        yield ".at_least", "is above at_most: no value would do"
    if None not in ratios and (metric.ratio_at_least or 0) > (metric.ratio_at_most or 0):
        yield ".ratio_at_least", "is above ratio_at_most: no value would do"
    if not metric.query.strip():
        yield ".query", "is empty"
    found = set(_PLACEHOLDER.findall(metric.query))
    for word in sorted(found.difference(PLACEHOLDERS)):
        yield ".query", f"{{{word}}} is no placeholder.{suggest(word, PLACEHOLDERS)}"
    if any(ratio is not None for ratio in ratios) and "version" not in found:
        yield ".query", "must hold {version}: it is asked once for the candidate, once for stable"


def _calendar(plan: Plan, zones: Collection[str] | None) -> Iterator[Finding]:
    for number, window in enumerate(plan.windows, 1):
        at = f"windows[{number}]"
        if not window.days:
            yield Finding(f"{at}.days", "is empty: the window would never open", (at,))
        if window.opens == window.closes or window.opens == "24:00":
            what = "opens and closes at the same time; for a whole day use 00:00 and 24:00"
            yield Finding(at, what, (at,))
        if zones is not None and is_named(window.zone) and window.zone not in zones:
            yield Finding(f"{at}.zone", f"is {window.zone!r}, {_zone(window.zone, zones)}", (at,))
    for number, freeze in enumerate(plan.freezes, 1):
        at = f"freezes[{number}]"
        if freeze.ends <= freeze.begins:
            yield Finding(f"{at}.ends", "is not after begins", (at,))


def _zone(zone: str, zones: Collection[str]) -> str:
    """What is wrong with it."""
    if not zones:  # such a window would never open, and the release stay where it is for ever
        return "but this machine knows no time zones: install tzdata, or write an offset: +02:00"
    what = "which is no time zone known here."
    hint = suggest(zone, {known.lower(): known for known in zones})
    meant = hint.removeprefix(" Did you mean ").removesuffix("?")
    if meant == hint:
        return what  # there are hundreds: listing them helps nobody
    return f"{what} Did you mean {next((k for k in zones if k.lower() == meant), meant)}?"


def _lengths(plan: Plan) -> Iterator[Finding]:
    holds = sum(stage.hold for stage in plan.stages)
    if 0 < plan.expires < holds:
        what = f"is {said(plan.expires)}, but the stages alone hold for {said(holds)}"
        yield Finding("expires", what, ("expires", "stages"))
    if plan.on_inconclusive != "hold" and not any(stage.timebox for stage in plan.stages):
        what = f"is {plan.on_inconclusive}, but no stage has a timebox after which it would decide"
        yield Finding("on_inconclusive", what, ("on_inconclusive", "stages"))


def _adaptive(plan: Plan) -> Iterator[Finding]:
    adaptive = plan.adaptive
    if adaptive is None:
        return
    if adaptive.floor >= adaptive.ceiling:
        what = f"is {adaptive.floor:g}, not below the ceiling of {adaptive.ceiling:g}"
        yield Finding("adaptive.floor", what, ("adaptive",))
    known = ("feedback", *(metric.name for metric in plan.metrics))
    if adaptive.metric not in known:
        hint = suggest(adaptive.metric, known)
        what = f"{adaptive.metric!r} is neither feedback nor a metric of yours.{hint}"
        yield Finding("adaptive.metric", what, ("adaptive", "metrics"))

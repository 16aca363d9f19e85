"""A plan of a release as frozen data, and the one home of its names, defaults and bounds.

The descriptions feed the JSON Schema and what `release plan` explains. A `Plan` that came out of
`read.py` has passed the checks of `checks.py`; nothing in here checks anything.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from gateway.release.plan.duration import MAX_SECONDS

LEAST_PERCENT = 1e-6  # the store's form has six digits; less would be written as 0
DURATION_PATTERN = "^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$"
IS_DURATION = "duration"  # marks a number of seconds that may be written as "5m"

Percent = Annotated[float, Meta(ge=0, le=100)]
Share = Annotated[float, Meta(gt=0, le=1)]
Part = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0, le=10**9)]
Duration = Annotated[
    float,
    Meta(
        ge=0,
        le=MAX_SECONDS,
        extra={IS_DURATION: True},
        extra_json_schema={"pattern": DURATION_PATTERN},
    ),
]
Name = Annotated[str, Meta(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Names = Annotated[tuple[Name, ...], Meta(max_length=100)]
Line = Annotated[str, Meta(max_length=200)]
Paragraph = Annotated[str, Meta(max_length=2000)]
Query = Annotated[str, Meta(max_length=4000)]
TimeOfDay = Annotated[str, Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$")]
Zone = Annotated[str, Meta(pattern="^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$|^[+-][0-9]{2}:[0-9]{2}$")]
Moment = Annotated[datetime, Meta(tz=True)]

Mode = Literal["manual", "semi-automatic", "automatic"]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Event = Literal[
    "started", "stage", "approval", "alarm", "hold", "rollback", "paused", "inconclusive",
    "promoted", "ended", "drill",
]  # fmt: skip


def told(description: str) -> Meta:
    return Meta(description=description)


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the plan: who gets the candidate, and what it takes to go on."""

    weight: Annotated[Percent, told("percent of units that get the candidate")] = 0.0
    segments: Annotated[Names, told("segments that get the candidate whatever the weight")] = ()
    hold: Annotated[Duration, told("shortest time in this stage, as observed")] = 120.0
    minimum_requests: Annotated[
        Count, told("requests that the candidate must have answered in this stage")
    ] = 200
    approval: Annotated[bool, told("a person must agree before this stage is left")] = False
    timebox: Annotated[
        Duration, told("after that time without proof on_inconclusive decides; 0 = never")
    ] = 0.0


class ErrorGuard(msgspec.Struct, frozen=True, kw_only=True):
    """Server errors, timeouts, cut streams."""

    enabled: Annotated[bool, told("whether it can stop the release")] = True
    weight: Annotated[Part, told("its part of alpha; all families together make 1")] = 0.25
    margin: Annotated[
        Annotated[float, Meta(ge=1, le=10)] | None,
        told(
            "rate ratio still taken for equal; not given = 1, or 1.25 when stable itself is noisy"
        ),
    ] = None


class LatencyGuard(msgspec.Struct, frozen=True, kw_only=True):
    """Total time of a request; first byte and gap share its weight."""

    enabled: Annotated[bool, told("whether it can stop the release")] = True
    weight: Annotated[Part, told("its part of alpha; all families together make 1")] = 0.25
    margin: Annotated[Part, told("share that the candidate may be slower")] = 0.05


class TimingGuard(msgspec.Struct, frozen=True, kw_only=True):
    """Time to the first byte, or the largest gap between two chunks of a stream."""

    enabled: Annotated[bool, told("whether it can stop the release")] = True
    margin: Annotated[Part, told("share that the candidate may be slower")] = 0.05


class OutputGuard(msgspec.Struct, frozen=True, kw_only=True):
    """Disagreement of mirrored answers, or thumbs down."""

    enabled: Annotated[bool, told("whether it can stop the release")] = True
    weight: Annotated[Part, told("its part of alpha; all families together make 1")] = 0.25
    margin: Annotated[
        Annotated[float, Meta(ge=1, le=10)], told("rate ratio that is still taken for equal")
    ] = 1.0


class Guardrails(msgspec.Struct, frozen=True, kw_only=True):
    """What the judge watches; see STATISTICS for what the numbers guarantee."""

    alpha: Annotated[Share, told("chance of a wrong rollback, all families together")] = 0.01
    hold_alpha: Annotated[Share, told("chance of a needless hold")] = 0.05
    errors: ErrorGuard = ErrorGuard()
    latency: LatencyGuard = LatencyGuard()
    first_byte: TimingGuard = TimingGuard()
    gap: TimingGuard = TimingGuard()
    shadow: OutputGuard = OutputGuard()
    feedback: OutputGuard = OutputGuard()

    def families(self) -> dict[str, float]:
        """The families that may stop the release, and the part of alpha that each has."""
        every = (
            ("errors", self.errors.enabled, self.errors.weight),
            ("latency", self.latency.enabled, self.latency.weight),
            ("shadow", self.shadow.enabled, self.shadow.weight),
            ("feedback", self.feedback.enabled, self.feedback.weight),
        )
        return {name: weight for name, is_on, weight in every if is_on}


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """A metric of your own, out of Prometheus: compared with a bound, or with stable."""

    name: Annotated[Name, told("what it is called in reports")]
    query: Annotated[Query, told("PromQL; {version}, {route}, {candidate}, {stable} are filled in")]
    at_most: Annotated[float | None, told("bound on the candidate's value")] = None
    at_least: Annotated[float | None, told("bound on the candidate's value")] = None
    ratio_at_most: Annotated[float | None, told("bound on candidate / stable")] = None
    ratio_at_least: Annotated[float | None, told("bound on candidate / stable")] = None
    every: Annotated[Duration, told("time between two looks")] = 30.0
    failures: Annotated[
        Annotated[int, Meta(ge=1, le=1000)], told("looks in a row that must fail before it acts")
    ] = 3
    action: Annotated[Literal["hold", "rollback"], told("what a failure does")] = "hold"
    missing: Annotated[
        Literal["hold", "ignore"], told("what no data does: nothing is ever passed by it")
    ] = "hold"


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """When the weight may be raised; one that closes before it opens runs into the next day."""

    days: Annotated[tuple[Day, ...], told("days on which it opens")] = (
        "mon", "tue", "wed", "thu", "fri",
    )  # fmt: skip
    opens: Annotated[TimeOfDay, told("local time, HH:MM")] = "00:00"
    closes: Annotated[TimeOfDay, told("local time, HH:MM")] = "24:00"
    zone: Annotated[Zone, told("UTC, a fixed offset such as +02:00, or a name of tz")] = "UTC"


class Freeze(msgspec.Struct, frozen=True, kw_only=True):
    """A time in which nothing is raised, whatever the windows say."""

    begins: Annotated[Moment, told("from then on")]
    ends: Annotated[Moment, told("until then")]
    why: Annotated[Line, told("shown to whoever asks why nothing moves")] = ""


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """Which channel of the settings hears of what."""

    channel: Annotated[Name, told("its name")]
    on: Annotated[tuple[Event, ...], told("events; none = all")] = ()


class Bake(msgspec.Struct, frozen=True, kw_only=True):
    """After the last stage: how long stable keeps a part, and stays ready to take over."""

    duration: Annotated[Duration, told("time between the last stage and the new stable")] = 1800.0
    holdback: Annotated[
        Annotated[float, Meta(ge=0, le=50)], told("percent that stays on the old version")
    ] = 5.0
    keep_warm: Annotated[
        Duration, told("time after it that the old version must stay up, to switch back at once")
    ] = 0.0


class Adaptive(msgspec.Struct, frozen=True, kw_only=True):
    """Lets a quality metric move the weight between a floor and the stage's own weight."""

    floor: Annotated[Percent, told("lowest percent, kept for learning")] = 5.0
    ceiling: Annotated[Percent, told("highest percent; the stage's weight is never passed")] = 95.0
    step: Annotated[
        Annotated[float, Meta(gt=1, le=10)], told("largest factor of growth in one batch")
    ] = 1.5
    batch: Annotated[Duration, told("time between two raises")] = 10.0
    metric: Annotated[Name, told("feedback, or the name of a metric of yours")] = "feedback"


class Experiment(msgspec.Struct, frozen=True, kw_only=True):
    """The one number that an A/B test is decided by: fewer bad events win."""

    metric: Annotated[
        Literal["errors", "latency", "shadow", "feedback"], told("family that decides")
    ] = "feedback"


class Drill(msgspec.Struct, frozen=True, kw_only=True):
    """How often the way back is rehearsed."""

    every: Annotated[Duration, told("time between two drills; 0 = none")] = 0.0


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a release may do by itself; it never does more."""

    route: Annotated[Name, told("the route that is released on")]
    candidate: Annotated[Name, told("the version that is to take over")]
    stages: tuple[Stage, ...]
    preset: Annotated[
        Literal["", "canary", "rolling", "blue-green", "ab"], told("what the rest is filled from")
    ] = ""
    goal: Annotated[Paragraph, told("what the release is for")] = ""
    owner: Annotated[Line, told("who answers for it")] = ""
    mode: Annotated[Mode, told("what happens without a person")] = "semi-automatic"
    finish: Annotated[
        Literal["promote", "propose"],
        told("promote = the candidate becomes stable; propose = a person decides at the end"),
    ] = "promote"
    on_inconclusive: Annotated[
        Literal["hold", "promote", "rollback"], told("at the end of a stage's timebox")
    ] = "hold"
    expires: Annotated[
        Duration, told("after that time, ready or not, the weights of before come back; 0 = never")
    ] = 7 * 86_400.0
    unit: Annotated[
        Literal["auto", "unit", "request"], told("what is counted: users, or requests")
    ] = "auto"
    harm_budget: Annotated[
        Share, told("failing requests, as share of all, that a promotion may risk")
    ] = 0.0025
    guardrails: Guardrails = Guardrails()
    metrics: tuple[Metric, ...] = ()
    windows: tuple[Window, ...] = ()
    freezes: tuple[Freeze, ...] = ()
    notifications: tuple[Notification, ...] = ()
    bake: Bake = Bake()
    adaptive: Adaptive | None = None
    experiment: Experiment | None = None
    drill: Drill = Drill()

    def target(self, stage: int) -> float:
        """The percent that a stage asks for; the last one of all leaves the holdback."""
        weight = self.stages[stage].weight
        return min(weight, 100.0 - self.bake.holdback) if weight == 100.0 else weight

    def segments(self, stage: int) -> tuple[str, ...]:
        """The segments that have the candidate in a stage: nobody is moved off it by going on."""
        named = (name for each in self.stages[: stage + 1] for name in each.segments)
        return tuple(dict.fromkeys(named))

    def holds_back(self, stage: int) -> float:
        """The percent that stable keeps in a stage that says all: the bake's holdback."""
        return self.bake.holdback if self.stages[stage].weight == 100.0 else 0.0

    @property
    def last(self) -> int:
        return len(self.stages) - 1


def to_document(plan: Plan) -> dict[str, Any]:
    """The plan as plain data, fit for JSON; `read_plan` takes it back."""
    document: dict[str, Any] = msgspec.to_builtins(plan)
    return {name: value for name, value in document.items() if value is not None}

"""How releases stand, as plain data on its way from whoever conducts them to `/metrics`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# What a decision may be called. Anything else counts as "other", so that no label is made up.
DECISION_KINDS = (
    "started", "stage", "promoted", "approval", "withdrawn", "inconclusive",
    "alarm", "probe", "hold", "calm", "rollback", "ended",
    "paused", "resumed", "continued", "unlatched", "refused", "changed", "clock", "other",
)  # fmt: skip
# What a rollback may be blamed on. own: a family with a name of the operator's; metric: one out of
# Prometheus; together: no family alone; inconclusive: the plan wanted it so.
ROLLBACK_CAUSES = (
    "errors", "latency", "shadow", "feedback", "own", "metric", "together", "inconclusive",
    "person",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FamilyStanding:
    """The evidence of one family, and where it acts; None = it never does that."""

    e: float
    e_hold: float
    rollback_at: float | None
    hold_at: float


@dataclass(frozen=True, slots=True)
class ReleaseStanding:
    """A release that runs, or ended a while ago. Weights are percent, times unix seconds."""

    route: str
    candidate: str
    phase: str
    stage: int  # 1 is the first, 0 = before it
    stages: int
    weight: float
    entered_at: float
    is_held: bool
    is_latched: bool
    waits_since: float | None = None  # for a person
    # Of one that runs; one that is over is not looked at.
    ticked_at: float | None = None
    promotable: float | None = None  # percent for which it is shown that no harm is done
    families: Mapping[str, FamilyStanding] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Conducted:
    """What this gateway knows of releases: all of them while it leads, else only what it did."""

    at: float = 0.0
    releases: tuple[ReleaseStanding, ...] = ()
    problems: tuple[str, ...] = ()  # routes whose release cannot go on; "" = none of them can
    decisions: Mapping[tuple[str, str], int] = field(default_factory=dict)  # by route and kind
    rollbacks: Mapping[tuple[str, str], int] = field(default_factory=dict)  # by route and cause

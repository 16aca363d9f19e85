"""Where a release stands, as one JSON-serialisable value: all that the machine remembers.

`advance` of a status that was stored and read back does exactly what it would have done otherwise.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from gateway.release.machine.phase import OVER, Phase
from gateway.release.plan.plan import Plan, Stage

MAX_DECISIONS = 200
MAX_COMMANDS = 64

Verb = Literal[
    "approve", "pause", "resume", "promote", "abort", "rollback", "continue", "release-latch"
]


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """What a person wants. The same command given twice is obeyed once."""

    verb: Verb
    by: str
    at: float
    why: str = ""
    about: str = ""  # the proposal that was seen; another one is not approved by it
    id: str = ""

    @property
    def key(self) -> str:
        return self.id or f"{self.verb} {self.by} {self.at!r}"


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was decided, the numbers it was decided by, and who did it."""

    at: float
    kind: str
    text: str
    phase: Phase
    stage: int
    weight: float
    by: str = ""  # a person; empty = the machine itself
    numbers: dict[str, float] = {}


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """What the machine would do if a person agreed; `despite` names what is knowingly open."""

    verb: Literal["promote", "rollback", "abort", "make-stable"]
    about: str
    text: str
    at: float
    despite: tuple[str, ...] = ()


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The whole state of a release. Weights are percent, times unix seconds, spans seconds."""

    release_id: str
    route: str
    candidate: str
    stable: str
    plan: Plan
    started_at: float
    started_by: str = ""

    phase: Phase = Phase.PREPARING
    stage: int = -1  # -1 before the first
    baking: bool = False  # past the last stage, whatever the phase
    entered_at: float = 0.0  # when this phase or stage began, by the clock on the wall
    ended_at: float | None = None
    weight_wanted: float = 0.0
    weight_before: float = 0.0
    weight_is_by_hand: bool = False  # what is wanted is what somebody set in the store
    segments_wanted: tuple[str, ...] = ()
    latched: bool = False  # after a rollback, until a person releases it
    pause_why: str = ""
    waiting_for: tuple[str, ...] = ()
    proposal: Proposal | None = None

    # Times as observed: ticks with evidence, none of the time in which nobody looked.
    last_tick: float | None = None
    observed_seconds: float = 0.0  # in this stage
    calm_seconds: float = 0.0  # since the evidence is calm, in a hold
    overdue_seconds: float = 0.0  # past the expiry
    batch_seconds: float = 0.0  # since the weight was last raised by the adaptive part

    requests_at_entry: int = 0
    evidence_at_entry: float = 0.0  # of the newest evidence that is not of this stage
    stopped_by: tuple[str, ...] = ()
    held_by: tuple[str, ...] = ()
    calmed_holds: tuple[str, ...] = ()  # alarms that only fresh evidence raises again
    calmed_stops: tuple[str, ...] = ()
    evidence_at_mark: float = 0.0  # of the evidence that knew nothing yet of the newest mark
    weight_at_alarm: float = 0.0
    probe: Literal["", "resting", "running", "settling", "undecided"] = ""
    probe_seconds: float = 0.0
    requests_at_probe: int = 0
    probed: bool = False

    told: tuple[str, ...] = ()  # what was said once and is not said again in this stage
    commands_done: tuple[str, ...] = ()
    decisions: tuple[Decision, ...] = ()

    @property
    def is_over(self) -> bool:
        return self.phase in OVER

    @property
    def ceiling(self) -> float:
        """The highest percent that the machine may set now without a person."""
        if self.baking:
            return 100.0 - self.plan.bake.holdback
        return self.plan.target(self.stage) if self.stage >= 0 else 0.0

    @property
    def current_stage(self) -> Stage | None:
        return self.plan.stages[self.stage] if self.stage >= 0 else None

    @property
    def at_rest(self) -> Phase:
        """The phase of a release with nothing special about it."""
        if self.stage < 0:
            return Phase.PREPARING
        return Phase.BAKING if self.baking else Phase.RAMP


def begin(
    plan: Plan, *, release_id: str, stable: str, weight_before: float, by: str, now: float
) -> Status:
    """The status of a release that was just asked for; the first `advance` starts it."""
    return Status(
        release_id=release_id,
        route=plan.route,
        candidate=plan.candidate,
        stable=stable,
        plan=plan,
        started_at=now,
        started_by=by,
        entered_at=now,
        weight_wanted=weight_before,
        weight_before=weight_before,
    )


def encode(status: Status) -> bytes:
    """The status as JSON, as it is stored."""
    return msgspec.json.encode(status)


def decode(text: bytes | str) -> Status:
    """The status that `encode` wrote; msgspec.DecodeError when it is none."""
    return msgspec.json.decode(text, type=Status)

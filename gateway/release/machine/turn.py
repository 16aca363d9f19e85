"""One step in the making: the status so far, what was decided, and what must be done."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from gateway.release.judge.evidence import Evidence
from gateway.release.machine.action import (
    Action,
    MarkEvidence,
    Notify,
    Propose,
    Record,
    SetSegments,
    SetWeight,
)
from gateway.release.machine.phase import Phase
from gateway.release.machine.status import MAX_DECISIONS, Decision, Proposal, Status

# A proposal never gives way to one that matters less.
_RANKS = {"promote": 1, "make-stable": 1, "abort": 2, "rollback": 3}

NEWS = (
    "started", "stage", "approval", "alarm", "hold", "rollback", "paused", "inconclusive",
    "promoted", "ended", "drill",
)  # fmt: skip


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """What the controller sees of the world at a tick, besides the evidence."""

    weight: float | None = None  # of the candidate, as the store has it; None = not read
    stable: str | None = None
    why_not_ready: str = ""  # why the candidate may get no more, such as "no endpoint is up"
    offsets: Mapping[str, float] = {}  # seconds east of UTC now, of each of `zones_of(plan)`
    wish: float | None = None  # the percent that the adaptive part would give


NOTHING_SEEN = Observed()


class Turn:
    """Collects what one call of `advance` decides."""

    def __init__(
        self, status: Status, evidence: Evidence | None, now: float, observed: Observed
    ) -> None:
        self.status = status
        self.evidence = evidence
        self.now = now
        self.observed = observed
        self.gap = 0.0  # observed seconds since the tick before
        self.was_away = False
        self.observed_seconds = status.observed_seconds  # in the stage that the turn began in
        self.actions: list[Action] = []

    def set(self, **fields: Any) -> None:
        """Changes fields of the status; unknown names raise."""
        self.status = msgspec.structs.replace(self.status, **fields)

    def tell(self, kind: str, text: str, *, by: str = "") -> None:
        """Keeps a decision with the numbers of this moment, and says it to whom it may concern."""
        status = self.status
        decision = Decision(
            at=self.now, kind=kind, text=text, phase=status.phase, stage=status.stage,
            weight=status.weight_wanted, by=by, numbers=self._numbers(),
        )  # fmt: skip
        self.set(decisions=(*status.decisions, decision)[-MAX_DECISIONS:])
        self.actions.append(Record(text))
        if kind in NEWS:
            self.actions.append(Notify(kind, text, self._channels(kind)))

    def tell_once(self, key: str, kind: str, text: str) -> None:
        """The same, unless `key` was told in this stage already."""
        if key not in self.status.told:
            self.set(told=(*self.status.told, key))
            self.tell(kind, text)

    def weigh(self, percent: float, why: str) -> None:
        """Sets the candidate's percent, if it is another one."""
        if percent != self.status.weight_wanted:
            self.set(weight_wanted=percent)
            self.actions.append(SetWeight(self.status.candidate, percent, why))

    def give_to(self, segments: tuple[str, ...], why: str) -> None:
        """Sets the segments that have the candidate, if they are others."""
        if segments != self.status.segments_wanted:
            self.set(segments_wanted=segments)
            self.actions.append(SetSegments(self.status.candidate, segments, why))

    def mark(self) -> None:
        """Fresh evidence counts from here."""
        self.set(evidence_at_mark=self.evidence.at if self.evidence else 0.0)
        self.actions.append(MarkEvidence())

    def move(self, phase: Phase, **fields: Any) -> None:
        """Goes into a phase; what was proposed in the one before is no longer."""
        self.set(phase=phase, entered_at=self.now, proposal=None, waiting_for=(), **fields)

    def propose(
        self,
        verb: Literal["promote", "rollback", "abort", "make-stable"],
        about: str,
        text: str,
        *,
        despite: tuple[str, ...] = (),
    ) -> None:
        """Asks a person, once; a proposal about something else gives way, if it `may_propose`."""
        open_one = self.status.proposal
        if (open_one is not None and open_one.about == about) or not self.may_propose(verb):
            return
        proposal = Proposal(verb=verb, about=about, text=text, at=self.now, despite=despite)
        self.set(proposal=proposal)
        self.actions.append(Propose(verb, text, about))
        self.tell("approval", text)

    def may_propose(self, verb: str) -> bool:
        """Whether no open proposal goes before; among rollbacks the newest reason counts."""
        open_one = self.status.proposal
        if open_one is None or verb == "rollback":
            return True
        return _RANKS[verb] > _RANKS[open_one.verb]

    @property
    def is_automatic(self) -> bool:
        return self.status.plan.mode == "automatic"

    @property
    def is_manual(self) -> bool:
        return self.status.plan.mode == "manual"

    def _channels(self, kind: str) -> tuple[str, ...]:
        wanted = self.status.plan.notifications
        return tuple(dict.fromkeys(n.channel for n in wanted if not n.on or kind in n.on))

    def _numbers(self) -> dict[str, float]:
        evidence = self.evidence
        numbers: dict[str, float] = {"observed_seconds": round(self.observed_seconds, 1)}
        if evidence is None:
            return numbers
        numbers |= {
            "candidate_requests": evidence.candidate_requests,
            "stable_requests": evidence.stable_requests,
            "promotable_weight": evidence.promotable_weight,
        }
        for family in evidence.families:
            every = {
                "e": family.e, "fresh_e": family.fresh_e, "estimate": family.estimate,
                "low": family.low, "high": family.high, "candidate_n": family.candidate_n,
                "candidate_bad": family.candidate_bad, "stable_n": family.stable_n,
                "stable_bad": family.stable_bad,
            }  # fmt: skip
            numbers |= {
                f"{family.name}.{key}": _short(v) for key, v in every.items() if v is not None
            }
        for metric in evidence.metrics:
            if metric.value is not None:
                numbers[f"metric.{metric.name}"] = _short(metric.value)
        return {key: value for key, value in numbers.items() if math.isfinite(value)}


def _short(value: float) -> float:
    """Four digits tell as much, and 200 decisions are kept."""
    return value if isinstance(value, int) else float(f"{value:.4g}")

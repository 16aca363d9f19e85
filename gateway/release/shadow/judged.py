"""What comparing one pair of answers has come to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.release.compare.answer import Answer, Unreadable
from gateway.release.compare.classes import classes_of
from gateway.release.compare.compare import compare
from gateway.release.compare.spec import CompareSpec
from gateway.release.compare.texts import Distance
from gateway.release.shadow.excerpt import Redact, excerpts


class Kind(StrEnum):
    """Who answered in second place."""

    CANDIDATE = "candidate"
    SELF = "self"  # stable again: how much it differs from itself


class Outcome(StrEnum):
    """What there is to say of a pair."""

    SAME = "same"
    DIFFERENT = "different"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Setup:
    """Pairs of different setups are never counted together."""

    route: str
    candidate: str
    stable: str
    compare: str  # the comparison as it is written in the route


@dataclass(frozen=True, slots=True)
class Judged:
    """One pair; `reason` says what differs, or why nothing can be said."""

    setup: Setup
    kind: Kind
    outcome: Outcome
    request_id: str = ""
    reason: str = ""
    where: str = ""
    score: float = 0.0
    # Kind of class -> class
    primary_classes: Mapping[str, str] = field(default_factory=dict)
    copy_classes: Mapping[str, str] = field(default_factory=dict)
    excerpts: tuple[str, str] | None = None

    @property
    def version(self) -> str:
        """Whose answer the copy's is."""
        return self.setup.stable if self.kind is Kind.SELF else self.setup.candidate


def judge_pair(
    setup: Setup,
    kind: Kind,
    request_id: str,
    answers: tuple[Answer, Answer],
    spec: CompareSpec,
    distance: Distance | None = None,
    redact: Redact | None = None,
) -> Judged:
    """`answers` are the client's and the copy's; without `redact` nothing is kept of them."""
    primary, copy = answers
    try:
        found = compare(primary, copy, spec, distance)
    except Unreadable as error:
        return Judged(setup, kind, Outcome.UNREADABLE, request_id, str(error))
    outcome = Outcome.DIFFERENT if found.differs else Outcome.SAME
    shown = found.differs and redact is not None
    return Judged(
        setup,
        kind,
        outcome,
        request_id,
        found.reason,
        found.where,
        found.score,
        classes_of(primary, spec) if primary.is_good else {},
        classes_of(copy, spec) if copy.is_good else {},
        excerpts(primary, copy, redact) if shown and redact is not None else None,
    )

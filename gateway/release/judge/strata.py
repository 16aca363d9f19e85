"""What the judge observes: counts of both versions in one stretch of time, merged over gateways.

A stratum may hold any of the three kinds of counts, since they close at different times: answers
2 s after they ended, latencies as long after the arrival as a threshold is high, events as they
come. All of it adds up, and no kind needs another.
"""

from __future__ import annotations

from typing import Literal, TypeVar

import msgspec


class Arm(msgspec.Struct, kw_only=True):
    """What ended in the stratum on one version."""

    arrived: int = 0
    finished: int = 0
    bad: int = 0
    bad_seconds: int = 0  # different seconds that had a bad answer
    client_errors: int = 0
    units: int = 0  # units that asked, without a bad answer so far
    at_risk: int = 0  # this version's part in `AtRisk`; 0 on both = not told
    bad_units: list[int] = msgspec.field(default_factory=list)  # hashes; repeated between gateways
    more_bad_units: int = 0  # that have no name, since they were too many

    def add(self, other: Arm) -> None:
        self.arrived += other.arrived
        self.finished += other.finished
        self.bad += other.bad
        self.bad_seconds += other.bad_seconds
        self.client_errors += other.client_errors
        self.units += other.units
        self.at_risk += other.at_risk
        self.bad_units.extend(other.bad_units)
        self.more_bad_units += other.more_bad_units


class EventPair(msgspec.Struct, kw_only=True):
    """What was told of answers afterwards: thumbs down, disagreements of a shadow, own events."""

    family: str
    candidate_n: int = 0
    candidate_bad: int = 0
    stable_n: int = 0
    stable_bad: int = 0
    bad_seconds: int = 0  # different seconds in which the candidate had a bad one
    # Where units rate: `AtRisk`.
    candidate_at_risk: int = 0
    stable_at_risk: int = 0

    @property
    def size(self) -> int:
        return self.candidate_n + self.stable_n

    def add(self, other: EventPair) -> None:
        self.candidate_at_risk += other.candidate_at_risk
        self.stable_at_risk += other.stable_at_risk
        self.candidate_n += other.candidate_n
        self.candidate_bad += other.candidate_bad
        self.stable_n += other.stable_n
        self.stable_bad += other.stable_bad
        self.bad_seconds += other.bad_seconds


# Where units stay, an alarm counts each of them once; the proof that the candidate keeps up takes
# all requests, since few routes have users enough to give it.
Purpose = Literal["both", "alarm", "proof"]


class TailCounts(msgspec.Struct, kw_only=True):
    """Requests at or above one threshold; the candidate's also with its times slid down."""

    metric: str
    cut: int  # which threshold of the metric
    purpose: Purpose = "both"
    epoch: int = 0  # in which these units were timed; 0 = they are requests
    candidate_n: int = 0
    candidate_over: list[int] = msgspec.field(default_factory=list)  # one for each slide
    stable_n: int = 0
    stable_over: int = 0

    @property
    def size(self) -> int:
        return self.candidate_n + self.stable_n

    def add(self, other: TailCounts) -> None:
        self.candidate_n += other.candidate_n
        self.candidate_over = _both(self.candidate_over, other.candidate_over)
        self.stable_n += other.stable_n
        self.stable_over += other.stable_over


class RankSums(msgspec.Struct, kw_only=True):
    """Sums over the scores of all requests; the candidate's also with its times slid down."""

    metric: str
    purpose: Purpose = "both"
    epoch: int = 0
    candidate_n: int = 0
    # One for each slide: the sum of scores, then those of their exponentials.
    candidate: list[list[float]] = msgspec.field(default_factory=list)
    stable_n: int = 0
    stable: list[float] = msgspec.field(default_factory=list)

    @property
    def size(self) -> int:
        return self.candidate_n + self.stable_n

    def add(self, other: RankSums) -> None:
        self.candidate_n += other.candidate_n
        self.candidate = [
            _both(mine, theirs)
            for mine, theirs in zip(self.candidate, other.candidate, strict=True)
        ]
        self.stable_n += other.stable_n
        self.stable = _both(self.stable, other.stable)


class Answers(msgspec.Struct, kw_only=True):
    """What ended on both versions."""

    candidate: Arm = msgspec.field(default_factory=Arm)
    stable: Arm = msgspec.field(default_factory=Arm)
    is_split_known: bool = True

    @property
    def size(self) -> int:
        return self.candidate.finished + self.stable.finished

    def add(self, other: Answers) -> None:
        self.candidate.add(other.candidate)
        self.stable.add(other.stable)
        self.is_split_known = self.is_split_known and other.is_split_known


class Stratum(msgspec.Struct, kw_only=True):
    """One closed stretch of one release, by the second it ended in."""

    second: int
    weight: float  # nominal share of the candidate, 0 to 1
    is_split_known: bool = True  # false around a change of weight: gateways learn it one by one
    candidate: Arm = msgspec.field(default_factory=Arm)
    stable: Arm = msgspec.field(default_factory=Arm)
    events: tuple[EventPair, ...] = ()
    tails: tuple[TailCounts, ...] = ()
    ranks: tuple[RankSums, ...] = ()


Number = TypeVar("Number", int, float)


def _both(one: list[Number], other: list[Number]) -> list[Number]:
    return [mine + theirs for mine, theirs in zip(one, other, strict=True)]

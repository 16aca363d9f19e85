"""From the batches of many gateways to the strata of one release.

Gateways send what they measured each second; batches come late, twice as many as gateways, in any
order. What ended is put together by the second it was sent in and closed 2 s later, or as soon as
every gateway that is known to live has sent that second. What arrived is kept until its thresholds
are due. A batch that is later than that makes strata of its own: they add up all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from gateway.release.judge.baseline import Baseline
from gateway.release.judge.cuts import Cut, Cutter, Firsts, Timed, due
from gateway.release.judge.lengthen import Lines, Pending
from gateway.release.judge.measured import Batch, Cell, Events
from gateway.release.judge.places import Came, Places
from gateway.release.judge.settings import JudgeSettings
from gateway.release.judge.strata import (
    Answers,
    EventPair,
    RankSums,
    Stratum,
    TailCounts,
)
from gateway.release.judge.units import Once

WATERMARK_SECONDS = 2
# So long after a change of weight requests may have been drawn by the old or the new one.
UNSETTLED_SECONDS = 3
EARLY_SECONDS = 15  # before it is told of, as long as a lease may last
# Gateways keep what the store does not take for two minutes, stores for two hours; and answers may
# be rated for a day.
REMEMBERED_SECONDS = 25 * 3600
MOST_SPLITS = 2000  # 40 kB in the store
# A clock that goes back by more was put right; by less the clocks of two leaders differ.
SET_BACK_SECONDS = 10
EPOCH_SECONDS = 600
_WAITS_IN_EPOCH = 10
# A shadow is compared with what stable's own two answers to one request differ by.
_STABLE_SELF = "shadow_self"
_SHADOW = "shadow"


class Ended(msgspec.Struct):
    """All that was sent in one second."""

    answers: Answers = msgspec.field(default_factory=Answers)
    events: dict[str, EventPair] = msgspec.field(default_factory=dict)
    gateways: set[str] = msgspec.field(default_factory=set)
    has_bad: bool = False  # on the candidate


class Arrived(msgspec.Struct):
    """All that arrived in one second, and how many of the cuts are taken."""

    told_at: int
    candidate: Timed = msgspec.field(default_factory=Timed)
    stable: Timed = msgspec.field(default_factory=Timed)
    # Where units are judged: those of which this was the second to be timed in.
    candidate_firsts: Firsts = msgspec.field(default_factory=Firsts)
    stable_firsts: Firsts = msgspec.field(default_factory=Firsts)
    epoch: int = 0  # in which these were timed
    taken: int = 0


class AccumulatorState(msgspec.Struct):
    """All that an accumulator remembers."""

    splits: list[tuple[float, float]] = msgspec.field(default_factory=list)  # since, share
    ended: dict[int, Ended] = msgspec.field(default_factory=dict)
    arrived: dict[int, Arrived] = msgspec.field(default_factory=dict)
    closed: int = 0  # the last second that is closed
    now: int = 0
    # Of the candidate, for its warm-up.
    first_arrival: int | None = None
    early_arrivals: int = 0
    warm_from: int | None = None
    once: Once = msgspec.field(default_factory=Once)
    answers: Lines[Answers] = msgspec.field(default_factory=Lines)
    events: Lines[EventPair] = msgspec.field(default_factory=Lines)
    tails: Lines[TailCounts] = msgspec.field(default_factory=Lines)
    ranks: Lines[RankSums] = msgspec.field(default_factory=Lines)
    # The same where units are judged; apart, since older releases cannot read those.
    unit_tails: Lines[TailCounts] = msgspec.field(default_factory=Lines)
    unit_ranks: Lines[RankSums] = msgspec.field(default_factory=Lines)


class Accumulator:
    """One release's batches; `split` first, then `add` and `close` in turn."""

    def __init__(
        self,
        route: str,
        candidate: str,
        stable: str,
        settings: JudgeSettings,
        baseline: Baseline,
        state: AccumulatorState | None = None,
    ) -> None:
        self._route = route
        self._candidate = candidate
        self._stable = stable
        self._settings = settings
        self._is_by_unit = settings.unit == "unit"
        self._cutter = Cutter(settings, baseline, "proof" if self._is_by_unit else "both")
        self._firsts_cutter = Cutter(settings, baseline, "alarm") if self._is_by_unit else None
        self._state = state if state is not None else AccumulatorState()
        # Long against the time that an epoch's last thresholds wait for.
        waits = [cut.wait for cut in self._cutter.cuts]
        self._longest_wait = max(waits, default=0)
        self._epoch_seconds = max(EPOCH_SECONDS, _WAITS_IN_EPOCH * self._longest_wait)

    def __repr__(self) -> str:
        state = self._state
        return f"<Accumulator {len(state.ended)} seconds open, {len(state.arrived)} being timed>"

    @property
    def is_warm(self) -> bool:
        """Whether the candidate has had its first minute, which is not judged by its latency."""
        return self._state.warm_from is not None

    def state(self) -> AccumulatorState:
        """A copy, to be stored."""
        packed = msgspec.msgpack.encode(self._state)
        return msgspec.msgpack.decode(packed, type=AccumulatorState)

    def split(self, at: float, share: float) -> None:
        """From then on the candidate's nominal share is this (0 to 1)."""
        splits = self._state.splits
        if not splits or splits[-1][1] != share:
            splits.append((at, share))
            splits.sort(key=lambda split: split[0])
            self._state.once.split(int(at), share, self._longest_wait)

    def mark(self) -> None:
        """What follows must confirm what was found: who failed before may tell of it anew."""
        self._state.once.places = Places()

    def add(self, batch: Batch) -> None:
        """Takes what one gateway sent; once, for what comes twice counts twice."""
        ended = self._state.ended.setdefault(batch.sent, Ended())
        ended.gateways.add(batch.gateway)
        for cell in batch.cells:
            if cell.route != self._route:
                continue
            if cell.version == self._candidate:
                ended.has_bad = ended.has_bad or cell.bad > 0
                self._add_ended(ended.answers, cell, is_candidate=True)
                self._add_arrived(cell, is_candidate=True)
            elif cell.version == self._stable:
                self._add_ended(ended.answers, cell, is_candidate=False)
                self._add_arrived(cell, is_candidate=False)
        for events in batch.events:
            if events.route == self._route:
                self._add_events(ended, events)

    def close(self, now: float, gateways: Iterable[str] | None = None) -> list[Stratum]:
        """The strata that are complete by now, in order.

        With the ids of all living gateways a second closes once each of them has sent it.
        """
        state = self._state
        if int(now) < state.now - SET_BACK_SECONDS:
            self._set_back(int(now))
        state.now = max(state.now, int(now))
        state.once.tick(state.now, self._epoch_seconds, self._longest_wait)
        expected = None if gateways is None else frozenset(gateways)
        strata = []
        for second in sorted(state.ended):
            if self._is_complete(second, expected):
                strata += self._close_ended(second, state.ended.pop(second))
        strata += self._expire()
        timed = self._close_arrived()
        self._forget_splits()
        return [*strata, timed] if timed is not None else strata

    def _set_back(self, now: int) -> None:
        """The clock was wrong: what is known to have happened later has happened by now.

        Else nobody would be judged by latency until the time comes that it had shown.
        """
        state = self._state
        state.now = now
        state.splits = [(min(since, now), share) for since, share in state.splits]
        state.once.set_back(now)
        state.closed = min(state.closed, now)
        if state.first_arrival is not None:
            state.first_arrival = min(state.first_arrival, now)
        if state.warm_from is not None:
            state.warm_from = min(state.warm_from, now)
        for arrived in state.arrived.values():
            arrived.told_at = min(arrived.told_at, now)

    def _is_complete(self, second: int, expected: frozenset[str] | None) -> bool:
        if second + WATERMARK_SECONDS < self._state.now:
            return True
        if not expected or second > self._state.now:
            return False
        return expected <= self._state.ended[second].gateways

    def _share_at(self, second: int) -> float:
        for since, split in reversed(self._state.splits):
            if int(since) <= second:
                return split
        return 0.0

    def _shares_around(self, second: int) -> list[float]:
        """While gateways learn of a change, one by one, it may be either.

        So it may when their clocks differ, or when nobody leads while somebody moves the weight.
        """
        shares = []
        for since, split in reversed(self._state.splits):
            if int(since) - EARLY_SECONDS <= second:
                shares.append(split)
                if since + UNSETTLED_SECONDS < second:
                    break
        return shares

    def _is_known(self, second: int) -> bool:
        """Whether it is known how users were dealt then.

        Before the release the candidate may have had any weight, by hand or in an earlier release;
        and its requests may still fail, and be rated for a day.
        """
        splits = self._state.splits
        return not splits or second >= int(splits[0][0])

    def _forget_splits(self) -> None:
        """A bandit changes the weight all day; hardly anything comes that is so late."""
        splits, oldest = self._state.splits, self._state.now - REMEMBERED_SECONDS
        while len(splits) > 1 and (splits[1][0] < oldest or len(splits) > MOST_SPLITS):
            del splits[0]

    def _is_settled(self, second: int) -> bool:
        for since, _ in reversed(self._state.splits):
            if since + UNSETTLED_SECONDS < second:
                break
            if int(since) - 1 <= second:
                return False
        return True

    # What ended.

    def _add_ended(self, answers: Answers, cell: Cell, *, is_candidate: bool) -> None:
        arm = answers.candidate if is_candidate else answers.stable
        arm.arrived += cell.arrived
        arm.finished += cell.finished
        arm.bad += cell.bad
        arm.client_errors += cell.client_errors
        arm.units += cell.units
        if not self._is_by_unit or not self._is_known(cell.second):
            return
        arm.bad_units.extend(cell.bad_units)
        arm.more_bad_units += cell.more_bad_units
        self._meet(answers, cell, is_candidate=is_candidate)

    def _meet(self, answers: Answers, cell: Cell, *, is_candidate: bool) -> None:
        came = self._came(cell.second, is_candidate=is_candidate)
        unnamed = 0 if is_candidate else cell.more_bad_units
        at_risk = self._state.once.meet(cell.first_units, cell.bad_units, came, unnamed)
        answers.candidate.at_risk += at_risk.candidate
        answers.stable.at_risk += at_risk.stable

    def _came(self, second: int, *, is_candidate: bool) -> Came:
        splits = self._state.splits
        is_before = bool(splits) and second < int(splits[-1][0])
        shares = self._shares_around(second)
        return Came(is_candidate, max(shares, default=0.0), min(shares, default=0.0), is_before)

    def _add_events(self, ended: Ended, events: Events) -> None:
        is_self = events.family == _STABLE_SELF
        family = _SHADOW if is_self else events.family
        pair = ended.events.setdefault(family, EventPair(family=family))
        if events.version == self._candidate and not is_self:
            n, bad = self._counted(pair, events, is_candidate=True)
            pair.candidate_n += n
            pair.candidate_bad += bad
            pair.bad_seconds = int(pair.candidate_bad > 0)
        elif events.version == self._stable or is_self:
            n, bad = self._counted(pair, events, is_candidate=False)
            pair.stable_n += n
            pair.stable_bad += bad

    def _counted(self, pair: EventPair, events: Events, *, is_candidate: bool) -> tuple[int, int]:
        """How many there are, and how many of them bad; where units stay, bad once for each.

        A shadow is no matter of units: what is mirrored is drawn request by request.
        """
        if not self._is_by_unit or events.family in (_SHADOW, _STABLE_SELF):
            return events.n, events.bad
        if not self._is_known(events.second):
            return 0, 0
        came = self._came(events.second, is_candidate=is_candidate)
        n, bad, at_risk = self._state.once.rate(events.family, events.rated, came)
        pair.candidate_at_risk += at_risk.candidate
        pair.stable_at_risk += at_risk.stable
        return n, bad

    def _close_ended(self, second: int, ended: Ended) -> list[Stratum]:
        state, settings = self._state, self._settings
        share = self._share_at(second)
        answers = ended.answers
        answers.is_split_known = self._is_settled(second)
        answers.candidate.bad_seconds = int(ended.has_bad)
        # Late ones are complete as they are: the seconds beside them have gone.
        least = 0 if second <= state.closed else settings.stratum_requests
        state.closed = max(state.closed, second)
        longest = settings.stratum_seconds
        # An idle second has no place in a stratum: nothing of it could have gone otherwise.
        strata: list[Stratum] = []
        if answers.size or answers.candidate.arrived or answers.stable.arrived:
            name = "answers" if least else "late"
            ready = state.answers.push(name, second, share, answers, least, longest)
            strata += map(_stratum, ready)
        for family, pair in sorted(ended.events.items()):
            name = family if least else f"late {family}"
            told = state.events.push(name, second, share, pair, least, longest)
            strata += map(_event_stratum, told)
        return strata

    def _expire(self) -> list[Stratum]:
        state, longest = self._state, self._settings.stratum_seconds
        before = state.now - WATERMARK_SECONDS
        return [
            *map(_stratum, state.answers.expire(before, longest)),
            *map(_event_stratum, state.events.expire(before, longest)),
        ]

    # What arrived.

    def _add_arrived(self, cell: Cell, *, is_candidate: bool) -> None:
        if not self._cutter.cuts:
            return
        state = self._state
        arrived = state.arrived.get(cell.second)
        if arrived is None:
            if not cell.arrived:
                return  # too late: it was counted as slower than all thresholds
            told_at = max(state.now, cell.second)
            arrived = state.arrived[cell.second] = Arrived(told_at, epoch=state.once.epoch)
        if is_candidate:
            arrived.candidate.add(cell)
            self._warm_up(cell)
        else:
            arrived.stable.add(cell)
        is_open = arrived.epoch == state.once.epoch  # else it would be missing in the new one
        if self._firsts_cutter is not None and is_open and self._is_warm_at(cell.second):
            new = state.once.time(cell.first_units, is_candidate=is_candidate)
            firsts = arrived.candidate_firsts if is_candidate else arrived.stable_firsts
            firsts.add(new, cell.first_times)

    def _warm_up(self, cell: Cell) -> None:
        state, settings = self._state, self._settings
        if state.warm_from is not None or not cell.arrived:
            return
        first = cell.second if state.first_arrival is None else state.first_arrival
        state.first_arrival = min(first, cell.second)
        state.early_arrivals += cell.arrived
        if state.early_arrivals >= settings.warmup_requests:
            state.warm_from = max(state.first_arrival + settings.warmup_seconds, cell.second)

    def _close_arrived(self) -> Stratum | None:
        state, cuts = self._state, self._cutter.cuts
        tails: list[Pending[TailCounts]] = []
        ranks: list[Pending[RankSums]] = []
        for second in sorted(state.arrived):
            arrived = state.arrived[second]
            waited = state.now - second - 1 - WATERMARK_SECONDS
            if state.now - arrived.told_at < WATERMARK_SECONDS:
                waited = -1  # what is told late is told in several batches
            ripe = due(cuts, arrived.taken, waited)
            arrived.taken += len(ripe)
            if ripe and self._is_warm_at(second):
                self._take(ripe, second, arrived, tails, ranks)
            if arrived.taken == len(cuts):
                del state.arrived[second]
        longest = self._settings.stratum_seconds
        before = state.now - WATERMARK_SECONDS - (cuts[-1].wait if cuts else 0)
        for held_tails in (state.tails, state.unit_tails):
            tails += held_tails.expire(before, longest)
        for held_ranks in (state.ranks, state.unit_ranks):
            ranks += held_ranks.expire(before, longest)
        if not tails and not ranks:
            return None
        return Stratum(
            second=state.now,
            weight=self._share_at(state.now),
            tails=tuple(held.counts for held in tails),
            ranks=tuple(held.counts for held in ranks),
        )

    def _is_warm_at(self, second: int) -> bool:
        warm_from = self._state.warm_from
        return warm_from is not None and second >= warm_from

    def _take(
        self,
        cuts: Sequence[Cut],
        second: int,
        arrived: Arrived,
        tails: list[Pending[TailCounts]],
        ranks: list[Pending[RankSums]],
    ) -> None:
        state, settings, share = self._state, self._settings, self._share_at(second)
        limits = (settings.stratum_requests, settings.stratum_seconds)
        if self._firsts_cutter is None:
            held = (state.tails, state.ranks)
            taken = [("", self._cutter.take(cuts, arrived.candidate, arrived.stable))]
        else:
            held = (state.unit_tails, state.unit_ranks)
            taken = [("proof ", self._cutter.take(cuts, arrived.candidate, arrived.stable))]
            firsts = arrived.candidate_firsts.timed, arrived.stable_firsts.timed
            if any(timed.arrived for timed in firsts):
                epoch = arrived.epoch
                alarms = self._firsts_cutter.take(cuts, *firsts, epoch=epoch)
                taken.append((f"first {epoch} ", alarms))
        for prefix, found in taken:
            for cut, counts in zip(cuts, found, strict=True):
                name = prefix + cut.name
                if isinstance(counts, TailCounts):
                    tails += held[0].push(name, second, share, counts, *limits)
                else:
                    ranks += held[1].push(name, second, share, counts, *limits)


def _stratum(held: Pending[Answers]) -> Stratum:
    counts = held.counts
    return Stratum(
        second=held.last,
        weight=held.share,
        is_split_known=counts.is_split_known,
        candidate=counts.candidate,
        stable=counts.stable,
    )


def _event_stratum(held: Pending[EventPair]) -> Stratum:
    return Stratum(second=held.last, weight=held.share, events=(held.counts,))

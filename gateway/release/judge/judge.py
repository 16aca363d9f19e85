"""The judge of one release: observes strata, remembers evidence, says what it knows.

What was learnt at 1 % still counts at 50 %, but for the latency of units: see `epochs`. Three
questions are kept apart. Is the candidate worse? (families: hold, roll back.) Is it shown that it
does no harm at a higher weight? (`promotable_weight`.) Can any of it be trusted? (the split of the
traffic, missing data.)
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import msgspec

from gateway.release.judge.baseline import Baseline
from gateway.release.judge.counts import AtRisk, Counts
from gateway.release.judge.evidence import Evidence, MetricVerdict
from gateway.release.judge.families import LatencyFamily, RateFamily, error_margin
from gateway.release.judge.findings import Findings, noise_of
from gateway.release.judge.gather import SET_BACK_SECONDS
from gateway.release.judge.late import Late, old_rate
from gateway.release.judge.memory import CLIENT_ERRORS, ERRORS, JudgeState
from gateway.release.judge.settings import JudgeSettings
from gateway.release.judge.strata import Arm, EventPair, Stratum
from gateway.release.judge.units import are_dealt
from gateway.release.statistics.split import ln_mismatch


class Judge:
    """Of one release; the same strata in any order, within an epoch, give the same evidence."""

    def __init__(
        self, settings: JudgeSettings, baseline: Baseline, state: JudgeState | None = None
    ) -> None:
        self._settings = settings
        self._baseline = baseline
        self._state = state or JudgeState(LatencyFamily.of(settings, baseline))
        self._noise = noise_of(settings, baseline)

    def __repr__(self) -> str:
        state = self._state
        return f"<Judge {state.candidate_requests} against {state.stable_requests} requests>"

    def state(self) -> JudgeState:
        """A copy, to be stored."""
        packed = msgspec.msgpack.encode(self._state)
        return msgspec.msgpack.decode(packed, type=JudgeState)

    def observe(self, stratum: Stratum, *, is_baking: bool = False) -> None:
        """Takes one stratum in; once, for what comes twice counts twice.

        In the bake, past the last stage, errors that begin to rise are watched for as well; that
        alone takes seconds in their order.
        """
        state = self._state
        if stratum.candidate.finished or stratum.stable.finished or stratum.candidate.arrived:
            self._observe_answers(stratum, is_baking=is_baking)
        for pair in stratum.events:
            self._observe_events(stratum, pair)
        if stratum.tails or stratum.ranks:
            state.latency.observe(stratum.second, stratum.tails, stratum.ranks)

    def mark(self) -> None:
        """From here on `fresh_e` counts: for a probe that must confirm old evidence by new."""
        for family in self._state.rates.values():
            family.mark = list(family.draws.logs)
        if self._state.late is not None:
            self._state.late = Late()
        self._state.latency.set_mark()

    def evidence(
        self, now: float, weight: float, metrics: Sequence[MetricVerdict] = ()
    ) -> Evidence:
        """All that is known; `weight` is the candidate's present one, in percent."""
        state, latest = self._state, int(now) + SET_BACK_SECONDS
        if state.last_candidate is not None:  # a clock that was ahead was put right
            state.last_candidate = min(state.last_candidate, latest)
        if state.last_stable is not None:
            state.last_stable = min(state.last_stable, latest)
        return self._findings().evidence(now, weight, metrics)

    def alarms_of(self, family: str) -> tuple[bool, bool]:
        """Whether this family holds, and whether it rolls back: cheap, without sentences."""
        return self._findings().alarms_of(family)

    def _findings(self) -> Findings:
        return Findings(self._settings, self._baseline, self._state)

    # Taking in.

    def _observe_answers(self, stratum: Stratum, *, is_baking: bool) -> None:
        state, settings = self._state, self._settings
        candidate, stable = stratum.candidate, stratum.stable
        self._enter_stage(stratum)
        state.candidate_requests += candidate.finished
        state.stable_requests += stable.finished
        if candidate.finished or candidate.arrived:
            state.last_candidate = max(stratum.second, state.last_candidate or 0)
        if stable.finished or stable.arrived:
            state.last_stable = max(stratum.second, state.last_stable or 0)
        self._observe_split(stratum)
        margin = error_margin(settings, self._baseline.noise, stratum.weight)
        errors = self._errors_of(candidate, stable)
        at_risk = _known(candidate.at_risk, stable.at_risk)
        if is_baking:
            self._watch(stratum, errors, margin, at_risk)
        self._rate(ERRORS).observe(
            stratum.second,
            stratum.weight,
            errors,
            candidate.bad_seconds,
            margin,
            self._noise,
            at_risk,
        )
        refused = Counts(
            candidate.finished, candidate.client_errors, stable.finished, stable.client_errors
        )
        seconds = int(candidate.client_errors > 0)
        self._rate(CLIENT_ERRORS).observe(stratum.second, stratum.weight, refused, seconds)

    def _enter_stage(self, stratum: Stratum) -> None:
        """A unit may fail once in every stage, if a worker tells of it again."""
        state = self._state
        if state.first_second is None or stratum.second < state.first_second:
            state.first_second = stratum.second
        newest = max(state.last_candidate or 0, state.last_stable or 0)
        is_other = state.share is None or are_dealt(state.share, stratum.weight)
        if is_other and stratum.second >= newest:
            state.units.clear()
            state.share = stratum.weight

    def _errors_of(self, candidate: Arm, stable: Arm) -> Counts:
        if self._settings.unit == "request":
            return Counts(candidate.finished, candidate.bad, stable.finished, stable.bad)
        units = self._state.units
        candidate_bad = units.count_new(candidate.bad_units)
        stable_bad = units.count_new(stable.bad_units)
        if candidate.more_bad_units and stable.more_bad_units:
            # Of both only a thousand have names: who had more of them cannot be told.
            return Counts(candidate.units, 0, stable.units, 0)
        # The candidate's are left out: who has failed elsewhere may be among them.
        stable_bad += stable.more_bad_units // (units.mask + 1)
        # Workers count units each for itself, and may have told of one that failed elsewhere.
        return Counts(
            max(candidate.units, candidate_bad),
            candidate_bad,
            max(stable.units, stable_bad),
            stable_bad,
        )

    def _watch(
        self, stratum: Stratum, errors: Counts, margin: float, at_risk: AtRisk | None
    ) -> None:
        if not errors.candidate:
            return
        if self._state.late is None:
            self._state.late = Late()
        late = self._state.late
        if stratum.weight < 1.0:
            late.observe(stratum.second, errors, margin, self._noise, at_risk)
        else:
            rate = old_rate(self._settings, self._baseline, self._rate(ERRORS).counts)
            late.observe_alone(stratum.second, errors, rate, self._noise)

    def _observe_events(self, stratum: Stratum, pair: EventPair) -> None:
        counts = Counts(pair.candidate_n, pair.candidate_bad, pair.stable_n, pair.stable_bad)
        margin = self._settings.rate_margins.get(pair.family, 1.0)
        at_risk = _known(pair.candidate_at_risk, pair.stable_at_risk)
        self._rate(pair.family).observe(
            stratum.second, stratum.weight, counts, pair.bad_seconds, margin, at_risk=at_risk
        )

    def _observe_split(self, stratum: Stratum) -> None:
        state, settings = self._state, self._settings
        # Units that stay come back: their requests are no draws of the split.
        if settings.unit == "unit" or not stratum.is_split_known:
            return
        counts = state.split.setdefault(stratum.weight, [0, 0])
        counts[0] += stratum.candidate.arrived
        counts[1] += stratum.stable.arrived
        drawn = state.split.items()
        ln = sum(ln_mismatch(candidate, stable, share) for share, (candidate, stable) in drawn)
        if ln >= log(1.0 / settings.srm_alpha):
            state.is_split_alarm = True
        elif ln < log(settings.calm_below):
            state.is_split_alarm = False

    def _rate(self, name: str) -> RateFamily:
        rates = self._state.rates
        family = rates.get(name)
        if family is None:
            family = rates[name] = RateFamily()
        return family


def _known(candidate: int, stable: int) -> AtRisk | None:
    return AtRisk(candidate, stable) if candidate or stable else None

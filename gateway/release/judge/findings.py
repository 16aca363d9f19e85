"""What follows from all that the judge remembers: alarms, a weight without harm, a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from gateway.release.judge import words
from gateway.release.judge.baseline import Baseline
from gateway.release.judge.counts import Counts
from gateway.release.judge.evidence import Evidence, FamilyEvidence, MetricVerdict, Verdict
from gateway.release.judge.families import RateFamily
from gateway.release.judge.late import Late, old_rate
from gateway.release.judge.memory import CLIENT_ERRORS, ERRORS, LATENCY, JudgeState
from gateway.release.judge.settings import JudgeSettings
from gateway.release.statistics.curve import Curve
from gateway.release.statistics.logs import exp_capped
from gateway.release.statistics.promotion import harmless_weight

# Silence counts from the last request; where requests are rare, from so many times their distance.
_GAPS_TO_SILENCE = 10


def noise_of(settings: JudgeSettings, baseline: Baseline) -> float:
    """By how much errors vary more than a draw; learnt from requests, so not for units."""
    if settings.unit == "unit" or baseline.noise is None:
        return 1.0
    return baseline.noise


class Findings:
    """One look at the state; it changes nothing."""

    def __init__(self, settings: JudgeSettings, baseline: Baseline, state: JudgeState) -> None:
        self._settings = settings
        self._baseline = baseline
        self._state = state
        self._noise = noise_of(settings, baseline)

    def evidence(
        self, now: float, weight: float, metrics: Sequence[MetricVerdict] = ()
    ) -> Evidence:
        """All that is known; `weight` is the candidate's present one, in percent."""
        state = self._state
        families = (*self._rate_families(), *self._latency_family())
        silence = self._silence(now)
        rolling = [f.name for f in families if f.rollback]
        rolling += [m.name for m in metrics if m.verdict == "fail" and m.action == "rollback"]
        is_sum_over = self._is_sum_over(families)
        holding = [f.name for f in families if f.hold]
        holding += [m.name for m in metrics if m.verdict in ("fail", "no-data")]
        promotable = self._promotable_weight()
        verdict: Verdict = "inconclusive"
        if rolling or is_sum_over:
            verdict = "fail"
        elif silence:
            verdict = "no-data"
        elif not holding and not state.is_split_alarm and 0.0 < promotable >= weight:
            verdict = "pass"
        return Evidence(
            at=now,
            families=families,
            verdict=verdict,
            must_hold=verdict == "fail" or bool(holding or silence or state.is_split_alarm),
            must_roll_back=verdict == "fail",
            causes=tuple(rolling or holding),
            promotable_weight=promotable,
            candidate_requests=state.candidate_requests,
            stable_requests=state.stable_requests,
            srm_alarm=state.is_split_alarm,
            span_seconds=max((f.span_seconds for f in families if f.rollback), default=0),
            metrics=tuple(metrics),
            missing=(*silence, *self._missing(families)),
            why=self._why(families, rolling, holding, silence, promotable, is_sum_over),
        )

    def alarms_of(self, name: str) -> tuple[bool, bool]:
        """Whether this family holds, and whether it rolls back: cheap, without sentences."""
        settings, state = self._settings, self._state
        if name == LATENCY:
            if not state.latency.is_seen(settings.minimum_bad):
                return False, False
            e = exp_capped(state.latency.ln_e)
            e_hold = max(e, exp_capped(state.latency.ln_hold))
            return e_hold >= settings.hold_at(name), e >= settings.rollback_at(name)
        family = state.rates.get(name)
        # One client that asks nonsense again and again, and stays, says nothing of a version.
        if family is None or (name == CLIENT_ERRORS and settings.unit == "unit"):
            return False, False
        e = exp_capped(family.ln_e(self._noise_of(name)))
        holds = e >= settings.hold_at(name) and family.may_hold(settings)
        stops = e >= settings.rollback_at(name) and family.may_roll_back(settings)
        if self._late_alarm(name) is None:
            return holds, stops
        return True, stops or settings.is_charged(name)

    def _late_alarm(self, name: str) -> Late | None:
        """What found errors that began to rise in the bake, if it did."""
        late = self._state.late
        if name != ERRORS or late is None or not late.is_alarm(self._settings, self._old_rate()):
            return None
        return late

    def _old_rate(self) -> float:
        family = self._state.rates.get(ERRORS)
        return old_rate(self._settings, self._baseline, family.counts if family else Counts())

    def _noise_of(self, name: str) -> float:
        return self._noise if name == ERRORS else 1.0

    def _rate_families(self) -> list[FamilyEvidence]:
        return [self._rate_family(name, family) for name, family in self._state.rates.items()]

    def _rate_family(self, name: str, family: RateFamily) -> FamilyEvidence:
        noise = self._noise_of(name)
        e = exp_capped(family.ln_e(noise))
        return self._family(
            name,
            family.curve,
            family.counts,
            e=e,
            e_hold=e,
            fresh_e=exp_capped(family.ln_fresh(noise)),
            span_seconds=family.span_seconds(),
            p=exp_capped(-family.ln_peak),
        )

    def _latency_family(self) -> list[FamilyEvidence]:
        family = self._state.latency
        shown = family.shown()
        if shown is None:
            return []
        return [
            self._family(
                LATENCY,
                shown.curve,
                shown.counts,
                e=exp_capped(family.ln_e),
                e_hold=exp_capped(family.ln_hold),
                fresh_e=exp_capped(family.ln_fresh()),
                span_seconds=family.span_seconds(),
                p=exp_capped(-family.ln_peak),
            )
        ]

    def _family(
        self,
        name: str,
        curve: Curve,
        counts: Counts,
        *,
        e: float,
        e_hold: float,
        fresh_e: float,
        span_seconds: int,
        p: float,
    ) -> FamilyEvidence:
        hold, rollback = self.alarms_of(name)
        late = self._late_alarm(name)
        estimate, interval = curve.estimate(), curve.interval()
        low, high = interval or (None, None)
        if name == LATENCY:
            why = words.of_latency(self._state.latency, is_by_unit=self._settings.unit == "unit")
        elif late is not None:
            why = words.of_late(late, self._old_rate())
            span_seconds = max(span_seconds, late.span_seconds())
        else:
            why = words.of_rates(name, counts, estimate, interval)
        return FamilyEvidence(
            name=name,
            e=e,
            e_hold=e_hold,
            hold=hold,
            rollback=rollback,
            is_calm=late is None and max(e, e_hold) < self._settings.calm_below,
            rose_late=late is not None,
            fresh_e=fresh_e,
            span_seconds=span_seconds,
            p=p,
            estimate=estimate,
            low=low,
            high=high if high is not None and isfinite(high) else None,
            candidate_n=counts.candidate,
            candidate_bad=counts.candidate_bad,
            stable_n=counts.stable,
            stable_bad=counts.stable_bad,
            why=why,
        )

    def _promotable_weight(self) -> float:
        """In percent: no critical family may do more harm, and above a weight none may be slow."""
        settings = self._settings
        share = 1.0
        for name in filter(settings.is_charged, settings.critical):
            family = self._state.rates.get(name)
            if family is None:
                return 0.0
            bad, requests, expected = family.expected()
            share = min(
                share,
                harmless_weight(
                    bad, requests, expected, settings.harm_budget, settings.proof_alpha
                ),
            )
        percent = 100.0 * share
        if settings.is_charged(LATENCY) and not self._state.latency.is_proven(settings.proof_alpha):
            return min(percent, settings.latency_proof_above)
        return percent

    def _is_sum_over(self, families: Sequence[FamilyEvidence]) -> bool:
        """Whether all families together speak loud enough, though none of them alone may.

        The weighted mean of evidence is evidence; whoever has seen too little adds nothing.
        """
        weights, rates = self._settings.family_weights, self._state.rates
        total = sum(
            weights.get(f.name, 0.0) * f.e
            for f in families
            if f.name not in rates or rates[f.name].may_roll_back(self._settings)
        )
        return total >= 1.0 / self._settings.alpha

    def _silence(self, now: float) -> tuple[str, ...]:
        """The versions that nothing was heard of lately: no data is never a pass."""
        state = self._state
        lasts = (
            ("candidate", state.last_candidate, state.candidate_requests),
            ("stable", state.last_stable, state.stable_requests),
        )
        silent = []
        for name, last, requests in lasts:
            if last is None or state.first_second is None:
                silent.append(f"{name}: no request yet")
                continue
            gap = (last - state.first_second) / max(requests, 1)
            if now - last > max(self._settings.stale_seconds, _GAPS_TO_SILENCE * gap):
                silent.append(f"{name}: no request for {now - last:.0f} s")
        return tuple(silent)

    def _missing(self, families: Sequence[FamilyEvidence]) -> list[str]:
        missing = []
        settings = self._settings
        if settings.is_charged(LATENCY):
            if not self._state.latency.metrics:
                missing.append("latency: stable's times before the release are not known")
            elif not any(f.candidate_n for f in families if f.name == LATENCY):
                cold = "the candidate is still warming up"
                nobody = "no unit was timed yet: the candidate is warming up, or requests name none"
                missing.append(f"latency: {nobody if settings.unit == 'unit' else cold}")
        if self._baseline.noise is None and settings.unit == "request":
            missing.append("noise: it is not known how much stable varies by itself")
        if settings.unit == "unit":
            missing.append("split: not tested, since units come back")
            if self._is_nameless():
                missing.append(
                    "errors: no request names its user, so none is counted; see to it that they do "
                    '(graygate explain), or let the plan say unit = "request"'
                )
        return missing

    def _is_nameless(self) -> bool:
        errors = self._state.rates.get(ERRORS)
        units = errors.counts.candidate + errors.counts.stable if errors is not None else 0
        return not units and self._state.candidate_requests > 0

    def _why(
        self,
        families: Sequence[FamilyEvidence],
        rolling: Sequence[str],
        holding: Sequence[str],
        silence: Sequence[str],
        promotable: float,
        is_sum_over: bool,
    ) -> str:
        named = set(rolling or holding)
        told = [f.why for f in families if f.name in named]
        told += [name for name in rolling or holding if name not in {f.name for f in families}]
        if rolling:
            return "The candidate is worse. " + "; ".join(told)
        if is_sum_over:
            loudest = sorted(families, key=lambda f: -f.e)[:2]
            told = [f.why for f in loudest]
            return "No family alone, but all together: the candidate is worse. " + "; ".join(told)
        if self._state.is_split_alarm:
            told.append("the traffic is not split as the weights say, so no comparison is reliable")
        told += silence
        if told:
            return "Held. " + "; ".join(told)
        if promotable <= 0.0:
            return "Nothing speaks against the candidate, but it is not yet shown to do no harm."
        return f"Shown to do no harm up to a weight of {promotable:.3g} %."

"""The judge of one release with all that belongs to it, stored as one value. Pure.

Before the first stage it only learns what stable is like; `begin` freezes that, and from then on
every batch is judged. Settings are stored with the rest: a gateway of a newer release, with other
defaults, goes on with those that the release was started with.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence

import msgspec

from gateway.release.judge.baseline import WANTED_REQUESTS, WANTED_SECONDS, Baseline, BaselineProbe
from gateway.release.judge.evidence import Evidence, MetricVerdict
from gateway.release.judge.gather import Accumulator, AccumulatorState
from gateway.release.judge.judge import Judge
from gateway.release.judge.measured import Batch
from gateway.release.judge.memory import JudgeState
from gateway.release.judge.settings import JudgeSettings
from gateway.release.machine.status import Status
from gateway.release.plan.duration import said
from gateway.release.plan.plan import Guardrails, Plan


class Stored(msgspec.Struct, kw_only=True):
    """All that must survive the controller."""

    settings: JudgeSettings
    baseline: Baseline
    judge: JudgeState
    accumulator: AccumulatorState


class ReleaseJudging:
    """Learns, then judges; `state` and the constructor are each other's inverse."""

    def __init__(self, status: Status, stored: bytes, is_sticky: bool) -> None:
        self._status = status
        self._plan = status.plan
        self._settings = settings_of(status.plan, is_sticky)
        self._probe = BaselineProbe(status.route, status.stable)
        self._judge: Judge | None = None
        self._accumulator: Accumulator | None = None
        self.baseline = Baseline()
        if stored:
            self._restore(msgspec.msgpack.decode(base64.b64decode(stored), type=Stored))

    def __repr__(self) -> str:
        return f"<ReleaseJudging of {self._status.release_id}: {self._judge or self._probe}>"

    @property
    def is_judging(self) -> bool:
        return self._judge is not None

    def learn(self, batches: Sequence[Batch]) -> None:
        for batch in batches:
            self._probe.add(batch)

    def why_wait(self, waited_seconds: float) -> str:
        """No longer than the first stage holds: a plan of seconds has no minutes to wait."""
        patience = min(float(WANTED_SECONDS), self._plan.stages[0].hold)
        if self.is_judging or self._probe.is_ready() or waited_seconds >= patience:
            return ""
        known = (
            f"{self._probe.requests} of {WANTED_REQUESTS} requests and "
            f"{said(self._probe.seconds)} of {said(WANTED_SECONDS)} are known"
        )
        left = said(patience - waited_seconds)
        return f"the judge learns what {self._status.stable} is like, for {left} more: {known}"

    def begin(self, now: float, weight: float) -> tuple[str, ...]:
        """Judge from here on; what people should know about what was learnt."""
        empty = AccumulatorState()
        self.baseline = self._probe.freeze()
        state = Judge(self._settings, self.baseline).state()
        self._restore(
            Stored(settings=self._settings, baseline=self.baseline, judge=state, accumulator=empty)
        )
        self.split(now, weight)
        return self.baseline.warnings()

    def split(self, now: float, weight: float) -> None:
        """From now on the candidate has so many percent."""
        if self._accumulator is not None:
            self._accumulator.split(now, weight / 100)

    def take(self, batches: Sequence[Batch]) -> None:
        assert self._accumulator is not None
        for batch in batches:
            self._accumulator.add(batch)

    def evidence(
        self,
        now: float,
        weight: float,
        metrics: Sequence[MetricVerdict] = (),
        gateways: Iterable[str] | None = None,
        *,
        is_baking: bool = False,
    ) -> Evidence | None:
        """None as long as it only learns; in the bake errors that rise late are watched for."""
        if self._judge is None or self._accumulator is None:
            return None
        for stratum in self._accumulator.close(now, gateways):
            self._judge.observe(stratum, is_baking=is_baking)
        return self._judge.evidence(now, weight, metrics)

    def mark(self) -> None:
        """From here on fresh evidence counts."""
        if self._judge is not None and self._accumulator is not None:
            self._judge.mark()
            self._accumulator.mark()

    def state(self) -> bytes:
        """Text, for whoever looks at the hash; empty as long as it only learns."""
        if self._judge is None or self._accumulator is None:
            return b""
        stored = Stored(
            settings=self._settings,
            baseline=self.baseline,
            judge=self._judge.state(),
            accumulator=self._accumulator.state(),
        )
        return base64.b64encode(msgspec.msgpack.encode(stored))

    def _restore(self, stored: Stored) -> None:
        status = self._status
        self._settings, self.baseline = stored.settings, stored.baseline
        self._judge = Judge(stored.settings, stored.baseline, stored.judge)
        self._accumulator = Accumulator(
            status.route,
            status.candidate,
            status.stable,
            stored.settings,
            stored.baseline,
            stored.accumulator,
        )


def settings_of(plan: Plan, is_sticky: bool) -> JudgeSettings:
    """What the plan tells the judge; `is_sticky` = units of this route stay with a version."""
    guards = plan.guardrails
    # Without units that stay there is nobody to count, and requests are drawn one by one.
    is_by_unit = is_sticky and plan.unit != "request"
    return JudgeSettings(
        alpha=guards.alpha,
        hold_alpha=guards.hold_alpha,
        family_weights=guards.families(),
        rate_margins=_rate_margins(guards),
        latency_margins=_latency_margins(guards),
        unit="unit" if is_by_unit else "request",
        harm_budget=plan.harm_budget,
    )


def _rate_margins(guards: Guardrails) -> dict[str, float]:
    """That of errors only when the plan names one: else the judge finds the right one."""
    margins = {"shadow": guards.shadow.margin, "feedback": guards.feedback.margin}
    errors = guards.errors.margin
    return margins if errors is None else {**margins, "errors": errors}


def _latency_margins(guards: Guardrails) -> dict[str, float]:
    if not guards.latency.enabled:
        return {}
    margins = {"total": guards.latency.margin}
    if guards.first_byte.enabled:
        margins["first_byte"] = guards.first_byte.margin
    if guards.gap.enabled:
        margins["gap"] = guards.gap.margin
    return margins

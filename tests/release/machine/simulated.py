"""A release under the real judge, on simulated traffic in virtual time."""

from __future__ import annotations

from random import Random
from typing import Any

from gateway.release.conduct.judging import settings_of
from gateway.release.judge.baseline import Baseline
from gateway.release.judge.judge import Judge
from gateway.release.judge.strata import Arm, Stratum
from gateway.release.machine.action import MarkEvidence
from gateway.release.machine.advance import advance
from gateway.release.machine.phase import Phase
from gateway.release.machine.status import Status, begin
from gateway.release.plan.read import read_plan

START = 1_800_000_000


class Simulation:
    """One release; errors only, a stratum each second, as the controller would tick."""

    def __init__(self, seed: int, *, rate: float = 200.0, stable: float = 0.001, **fields: Any):
        document = {"preset": "canary", "route": "chat", "candidate": "v2", "mode": "automatic"}
        errors_only = {n: {"enabled": False} for n in ("latency", "shadow", "feedback")}
        self.plan = read_plan(document | {"guardrails": errors_only} | fields)
        settings = settings_of(self.plan, is_sticky=False)
        self.judge = Judge(settings, Baseline(noise=1.0))
        self.status: Status = begin(
            self.plan, release_id="r", stable="v1", weight_before=0.0, by="ann", now=START
        )
        self.random = Random(seed)
        self.rate = rate
        self.stable_errors = stable
        self.now = START
        self.bad = 0

    def run(self, seconds: int, candidate_errors: float) -> Status:
        """Ticks until the release is over, or at 95 percent, or the time is."""
        for _ in range(seconds):
            self.tick(candidate_errors)
            if self.status.is_over or self.status.baking:
                break
        return self.status

    def bake(self, seconds: int, candidate_errors: float) -> int:
        """Goes on until the bake is over or broken off; how many seconds that took."""
        began = self.now
        while self.now - began < seconds and self.status.phase is Phase.BAKING:
            self.tick(candidate_errors)
        return self.now - began

    def tick(self, candidate_errors: float) -> None:
        """One second of traffic, judged and acted upon."""
        share = self.status.weight_wanted / 100
        requests = self._count(self.rate)
        candidate = sum(self.random.random() < share for _ in range(requests))
        stratum = Stratum(
            second=self.now,
            weight=share,
            candidate=self._arm(candidate, candidate_errors),
            stable=self._arm(requests - candidate, self.stable_errors),
        )
        self.judge.observe(stratum, is_baking=self.status.baking)
        self.now += 1
        said = self.judge.evidence(self.now, self.status.weight_wanted)
        step = advance(self.status, said, (), self.now)
        if any(isinstance(action, MarkEvidence) for action in step.actions):
            self.judge.mark()
        self.status = step.status

    def _arm(self, requests: int, errors: float) -> Arm:
        bad = sum(self.random.random() < errors for _ in range(requests))
        if errors != self.stable_errors:
            self.bad += bad
        return Arm(arrived=requests, finished=requests, bad=bad, bad_seconds=int(bad > 0))

    def _count(self, rate: float) -> int:
        return max(0, round(self.random.gauss(rate, rate**0.5)))

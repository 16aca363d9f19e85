"""Whole releases: traffic, accumulator, judge and machine, tick by tick in virtual time."""

from __future__ import annotations

from math import inf
from random import Random

from gateway.release.judge.baseline import Baseline
from gateway.release.judge.gather import Accumulator
from gateway.release.judge.judge import Judge
from gateway.release.judge.settings import JudgeSettings
from gateway.release.machine.action import MarkEvidence
from gateway.release.machine.advance import advance
from gateway.release.machine.phase import Phase
from gateway.release.machine.status import Status, begin
from gateway.release.plan.read import read_plan
from loadtests.simulate.world import RATE, one_second, poisson

START = 1_800_000_000
MOST_SECONDS = 3600
STABLE_ERRORS = 0.001

_PLAN = {
    "preset": "canary",
    "route": "chat",
    "candidate": "v2",
    "mode": "automatic",
    "bake": {"holdback": 0.0, "duration": "30m", "keep_warm": "1h"},
}


class Release:
    """One release of a candidate whose error rate is given."""

    def __init__(self, dice: Random, settings: JudgeSettings, errors: float) -> None:
        self._dice = dice
        self._errors = errors
        baseline = Baseline(noise=1.0)
        self._judge = Judge(settings, baseline)
        self._gather = Accumulator("chat", "v2", "v1", settings, baseline)
        self._now = START
        self.status: Status = begin(
            read_plan(_PLAN), release_id="r", stable="v1", weight_before=0.0, by="plan", now=START
        )
        self.failed = self.expected = 0.0  # of the candidate's requests; at stable's rate
        self._gather.split(float(START), 0.0)

    @property
    def seconds(self) -> int:
        return self._now - START

    def run(self) -> None:
        """Until all traffic is on the candidate, or none is and never will be."""
        while self.seconds < MOST_SECONDS and not self.status.is_over and not self.is_at_the_top:
            self._tick()

    @property
    def is_at_the_top(self) -> bool:
        return self.status.weight_wanted == 100.0

    def _tick(self) -> None:
        second, dice = self._now, self._dice
        share = self.status.weight_wanted / 100.0
        candidate = poisson(dice, round(RATE * share, 9))
        stable = poisson(dice, round(RATE * (1.0 - share), 9))
        failed = sum(dice.random() < self._errors for _ in range(candidate))
        stable_failed = sum(dice.random() < STABLE_ERRORS for _ in range(stable))
        self.failed += failed
        self.expected += candidate * STABLE_ERRORS
        self._gather.add(one_second(second, (candidate, failed), (stable, stable_failed)))
        self._now += 1
        for stratum in self._gather.close(self._now, ("g1",)):
            self._judge.observe(stratum)
        weight = self.status.weight_wanted
        evidence = self._judge.evidence(self._now, weight)
        step = advance(self.status, evidence, (), float(self._now))
        if any(isinstance(action, MarkEvidence) for action in step.actions):
            self._judge.mark()
        self.status = step.status
        if self.status.weight_wanted != weight:
            self._gather.split(float(self._now), self.status.weight_wanted / 100.0)


def outcome(dice: Random, settings: JudgeSettings, errors: float) -> dict[str, float]:
    """What became of one release."""
    release = Release(dice, settings, errors)
    release.run()
    is_back = release.status.phase is Phase.ROLLED_BACK
    top = release.is_at_the_top
    return {
        "promoted": float(top),
        "in time": float(top and release.seconds <= 600),
        "rolled back": float(is_back),
        "seconds": float(release.seconds) if top or is_back else inf,
        "extra failed": release.failed - release.expected,
    }

"""After the promotion: did errors begin to rise? The judge's families are slow to say so.

By then hours may have spoken for the candidate, and a family would have to unlearn all of it. What
watches here takes every second for a possible beginning (see `statistics.detector`). While a part
of the traffic is held back on the old version, both are compared; without one there is only the
rate that the old version had, and a bad day for everybody looks the same as a bad version.
"""

from __future__ import annotations

import msgspec

from gateway.release.judge.baseline import Baseline
from gateway.release.judge.counts import NOBODY, AtRisk, Counts
from gateway.release.judge.settings import JudgeSettings
from gateway.release.statistics.detector import Detector
from gateway.release.statistics.draws import RATE_EFFECTS

# A longer silence, or a clock that jumped, is nothing that was watched.
_LONGEST_IDLE = 60


class Rise(msgspec.Struct):
    """When one effect would have begun: since its evidence was last none (CUSUM)."""

    ln: float = 0.0
    since: int = 0
    before: Counts = msgspec.field(default_factory=Counts)  # all that was watched until then


class Late(msgspec.Struct):
    """What was seen since the bake began, or since the last mark."""

    detector: Detector = msgspec.field(default_factory=Detector)
    counts: Counts = msgspec.field(default_factory=Counts)
    rises: list[Rise] = msgspec.field(default_factory=lambda: [Rise() for _ in RATE_EFFECTS])
    newest: int | None = None
    bad_at: int = 0  # the newest second in which the candidate had a bad one
    is_alone: bool = False  # nothing is held back

    def observe(
        self,
        second: int,
        counts: Counts,
        margin: float,
        noise: float,
        at_risk: AtRisk | None = None,
    ) -> None:
        """One stratum with a part held back on the old version."""
        self._pass_to(second)
        candidate, stable = at_risk or (counts.candidate, counts.stable)
        bad = counts.candidate_bad + counts.stable_bad
        gains = self.detector.observe(
            candidate, candidate + stable, bad, counts.candidate_bad, margin, noise
        )
        self._take(second, counts, gains, at_risk or NOBODY, is_alone=False)

    def observe_alone(self, second: int, counts: Counts, old_rate: float, noise: float) -> None:
        """One stratum without the old version, of which only the rate is known."""
        self._pass_to(second)
        gains = self.detector.observe_alone(counts.candidate, counts.candidate_bad, old_rate, noise)
        self._take(second, counts, gains, NOBODY, is_alone=True)

    def risen(self) -> Counts:
        """What was counted since the likeliest beginning."""
        before, now = self._likeliest().before, self.counts
        return Counts(
            now.candidate - before.candidate,
            now.candidate_bad - before.candidate_bad,
            now.stable - before.stable,
            now.stable_bad - before.stable_bad,
            now.candidate_at_risk - before.candidate_at_risk,
            now.stable_at_risk - before.stable_at_risk,
        )

    def span_seconds(self) -> int:
        """How long it has been rising."""
        return max(self.bad_at - self._likeliest().since + 1, 0)

    def is_alarm(self, settings: JudgeSettings, old_rate: float) -> bool:
        """Whether it rose, by as many and as much as any rollback for errors asks for."""
        if not self.detector.is_alarm():
            return False
        risen = self.risen()
        is_alone = self.is_alone or not risen.stable
        excess = risen.candidate_rate - old_rate if is_alone else risen.excess()
        return (
            risen.candidate_bad >= settings.minimum_bad
            and self.span_seconds() >= settings.minimum_bad_seconds
            and excess >= settings.error_excess
        )

    def _likeliest(self) -> Rise:
        levels = self.detector.levels
        return self.rises[max(range(len(levels)), key=levels.__getitem__)]

    def _pass_to(self, second: int) -> None:
        """Seconds without a stratum are updates as well, and late numbers of one are no more."""
        if self.newest is not None and second <= self.newest:
            self.detector.reopen()
        if self.newest is not None and second > self.newest + 1:
            self.detector.idle(min(second - self.newest - 1, _LONGEST_IDLE))
        self.newest = second if self.newest is None else max(self.newest, second)

    def _take(
        self, second: int, counts: Counts, gains: list[float], at_risk: AtRisk, *, is_alone: bool
    ) -> None:
        self.is_alone = is_alone
        if counts.candidate_bad:
            self.bad_at = max(self.bad_at, second)
        for rise, gain in zip(self.rises, gains, strict=True):
            if rise.ln <= 0.0 < gain:
                rise.since, rise.before = second, msgspec.structs.replace(self.counts)
            rise.ln = max(rise.ln + gain, 0.0)
        new = (counts.candidate, counts.candidate_bad, counts.stable, counts.stable_bad)
        self.counts.add(*new, at_risk)


def old_rate(settings: JudgeSettings, baseline: Baseline, seen: Counts) -> float:
    """Stable's error rate, by all that was ever seen of it; one more bad one keeps it above 0.

    Of a rate of nothing even the first error would be infinitely much.
    """
    bad, requests = seen.stable_bad + 1, seen.stable + 1
    if settings.unit == "request":  # before the release requests were counted, never units
        bad, requests = bad + baseline.bad, requests + baseline.requests
    return bad / requests

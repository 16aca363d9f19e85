"""What stable looked like before the release: thresholds, scores, and how noisy it is by itself."""

from __future__ import annotations

import msgspec

from gateway.release.judge.measured import METRICS, Batch, Cell, histograms
from gateway.release.statistics.latency import Scale, freeze
from gateway.release.statistics.noise import HalfMinute, overdispersion, self_test

WANTED_SECONDS = 600
WANTED_REQUESTS = 2000
# A metric with fewer values than this gets no scale: its 99th percentile would be a guess.
FEWEST_VALUES = 200
# Two halves of stable that differ this much: the measuring, or one endpoint, is broken.
SELF_TEST_ALARM = 100.0


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """Frozen before the release begins; the default is "nothing is known"."""

    scales: dict[str, Scale] = msgspec.field(default_factory=dict)  # by metric
    noise: float | None = None  # phi; None when it could not be learnt
    self_test: float = 1.0  # the evidence that stable's halves differ; 100 is an alarm
    seconds: int = 0
    requests: int = 0
    bad: int = 0

    def warnings(self) -> tuple[str, ...]:
        """What people should know before the release starts."""
        told = []
        if self.requests < WANTED_REQUESTS:
            told.append(f"stable answered only {self.requests:,} requests before the release")
        if "total" not in self.scales:
            told.append("too few times of stable are known: latency will not be judged")
        if self.noise is None:
            told.append("stable's own noise is not known: errors get a margin from 25 % on")
        elif self.noise > 1.5:
            told.append(
                f"stable's errors vary {self.noise:.1f} times as much as chance: "
                "it takes so much longer to find a worse candidate"
            )
        if self.self_test >= SELF_TEST_ALARM:
            told.append("two halves of stable fail at different rates: one endpoint may be bad")
        return tuple(told)


class BaselineProbe:
    """Collects stable's batches, those of ten minutes if possible, whatever their order."""

    def __init__(self, route: str, stable: str) -> None:
        self._route = route
        self._stable = stable
        self._histograms: dict[str, dict[int, int]] = {metric: {} for metric in METRICS}
        self._minutes: dict[int, HalfMinute] = {}
        self._first: int | None = None
        self._last: int | None = None
        self.requests = 0
        self._bad = 0

    def __repr__(self) -> str:
        return f"<BaselineProbe {self.requests} requests in {self.seconds} s>"

    @property
    def seconds(self) -> int:
        if self._first is None or self._last is None:
            return 0
        return self._last - self._first + 1

    def is_ready(self) -> bool:
        return self.seconds >= WANTED_SECONDS and self.requests >= WANTED_REQUESTS

    def add(self, batch: Batch) -> None:
        for cell in batch.cells:
            if cell.route == self._route and cell.version == self._stable:
                self._add(batch.sent, cell)

    def _add(self, sent: int, cell: Cell) -> None:
        self._first = sent if self._first is None else min(self._first, sent)
        self._last = sent if self._last is None else max(self._last, sent)
        self.requests += cell.finished
        self._bad += cell.bad
        minute = self._minutes.setdefault(sent // 60, HalfMinute())
        minute.half += cell.half_finished
        minute.half_bad += cell.half_bad
        minute.total += cell.finished
        minute.bad += cell.bad
        for metric, added in histograms(cell).items():
            known = self._histograms[metric]
            for bucket, count in added.items():
                known[bucket] = known.get(bucket, 0) + count

    def freeze(self) -> Baseline:
        """What is known by now; `is_ready` says whether that is as much as one wants."""
        minutes = [self._minutes[minute] for minute in sorted(self._minutes)]
        scales = {}
        for metric, histogram in self._histograms.items():
            scale = freeze(histogram) if sum(histogram.values()) >= FEWEST_VALUES else None
            if scale is not None:
                scales[metric] = scale
        return Baseline(
            scales=scales,
            noise=overdispersion(minutes),
            self_test=self_test(minutes),
            seconds=self.seconds,
            requests=self.requests,
            bad=self._bad,
        )

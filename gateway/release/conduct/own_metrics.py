"""Metrics of the operators' own: when each is asked for, and what its value means.

They are asked in a task of their own, so a slow Prometheus never holds up a tick. A value that
could not be had lately is no data; it is never a pass.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import ClientSession

from gateway.release.conduct.prometheus import Prometheus, Sample, filled_in
from gateway.release.judge.evidence import MetricVerdict, Verdict
from gateway.release.plan.plan import Metric, Plan

LOOK_SECONDS = 0.5
STALE_PERIODS = 3  # a value older than so many periods is no data
AT_ONCE = 20  # queries under way


@dataclass(frozen=True, slots=True)
class Found:
    """The candidate's value of a metric, and stable's where the two are compared."""

    candidate: Sample
    stable: Sample | None = None

    @property
    def missing(self) -> str:
        """Why there is nothing to judge; "" when there is."""
        for side, sample in (("candidate", self.candidate), ("stable", self.stable)):
            if sample is not None and sample.value is None:
                return f"{side}: {sample.why}"
        return ""


@dataclass(slots=True)
class _Watched:
    """One metric of one release."""

    metric: Metric
    names: Mapping[str, str]
    due: float = 0.0
    found_at: float | None = None
    found: Found | None = None
    why_missing: str = "it was not asked for yet"
    failures: int = 0  # looks in a row


@dataclass(slots=True)
class _Release:
    watched: list[_Watched] = field(default_factory=list)


class OwnMetrics:
    """What the metrics of all running releases say; `run` must be running."""

    def __init__(self, prometheus: Prometheus, clock: Callable[[], float] = time.monotonic) -> None:
        self._prometheus = prometheus
        self._clock = clock
        self._releases: dict[str, _Release] = {}
        self._woken = asyncio.Event()

    def __repr__(self) -> str:
        return f"<OwnMetrics of {len(self._releases)} releases>"

    def watch(self, release_id: str, plan: Plan, stable: str) -> None:
        """Ask for the plan's metrics from now on; the same release twice is one."""
        if release_id in self._releases:
            return
        names = {"route": plan.route, "candidate": plan.candidate, "stable": stable}
        self._releases[release_id] = _Release([_Watched(metric, names) for metric in plan.metrics])
        if plan.metrics:
            self._woken.set()

    def forget(self, release_id: str) -> None:
        self._releases.pop(release_id, None)

    def keep_only(self, release_ids: set[str]) -> None:
        for gone in self._releases.keys() - release_ids:
            self.forget(gone)

    def verdicts(self, release_id: str) -> tuple[MetricVerdict, ...]:
        """What the metrics of a release say now."""
        release = self._releases.get(release_id)
        now = self._clock()
        verdicts = (_verdict(one, now) for one in release.watched) if release else ()
        return tuple(verdict for verdict in verdicts if verdict is not None)

    async def run(self) -> None:
        """Asks until cancelled; sleeps while no running release has a metric."""
        async with ClientSession() as session:
            while True:
                await self._woken.wait()
                while self._all():
                    await self._ask_due(session)
                    await asyncio.sleep(LOOK_SECONDS)
                self._woken.clear()

    def _all(self) -> list[_Watched]:
        return [one for release in self._releases.values() for one in release.watched]

    async def _ask_due(self, session: ClientSession) -> None:
        now = self._clock()
        due = [one for one in self._all() if one.due <= now][:AT_ONCE]
        for one in due:
            one.due = now + max(one.metric.every, LOOK_SECONDS)
        await asyncio.gather(*(self._ask(session, one) for one in due))

    async def _ask(self, session: ClientSession, one: _Watched) -> None:
        metric, names = one.metric, one.names

        async def ask(version: str) -> Sample:
            query = filled_in(metric.query, {**names, "version": version})
            return await self._prometheus.ask(session, query)

        is_ratio = metric.ratio_at_most is not None or metric.ratio_at_least is not None
        if is_ratio:
            candidate, stable = await asyncio.gather(ask(names["candidate"]), ask(names["stable"]))
            found = Found(candidate, stable)
        else:
            found = Found(await ask(names["candidate"]))
        if found.missing:
            one.why_missing = found.missing
            return
        one.found, one.found_at, one.why_missing = found, self._clock(), ""
        one.failures = one.failures + 1 if complaint(metric, found) else 0


def _verdict(one: _Watched, now: float) -> MetricVerdict | None:
    """None = there is no data, and the plan says to ignore that."""
    metric, found = one.metric, one.found
    stale_after = STALE_PERIODS * max(metric.every, LOOK_SECONDS)
    if found is None or one.found_at is None or now - one.found_at > stale_after:
        if metric.missing == "ignore":
            return None
        why = one.why_missing or "its last value is too old"
        return MetricVerdict(name=metric.name, verdict="no-data", action=metric.action, why=why)
    broken = complaint(metric, found)
    verdict: Verdict = "pass"
    if broken:
        verdict = "fail" if one.failures >= metric.failures else "inconclusive"
        broken += f" ({one.failures} of {metric.failures} looks in a row)"
    return MetricVerdict(
        name=metric.name, verdict=verdict, value=found.candidate.value, action=metric.action,
        why=broken or told(found),
    )  # fmt: skip


def complaint(metric: Metric, found: Found) -> str:
    """Which bound the values break; "" when none."""
    value = found.candidate.value
    assert value is not None
    if metric.at_most is not None and value > metric.at_most:
        return f"{value:g} is above {metric.at_most:g}"
    if metric.at_least is not None and value < metric.at_least:
        return f"{value:g} is below {metric.at_least:g}"
    if found.stable is None or found.stable.value is None:
        return ""
    stable = found.stable.value
    # Multiplied, not divided: a stable of 0 has no ratio, but "not above it" still has a meaning.
    if metric.ratio_at_most is not None and value > metric.ratio_at_most * stable:
        return f"{value:g} is above {metric.ratio_at_most:g} times stable's {stable:g}"
    if metric.ratio_at_least is not None and value < metric.ratio_at_least * stable:
        return f"{value:g} is below {metric.ratio_at_least:g} times stable's {stable:g}"
    return ""


def told(found: Found) -> str:
    beside = f", stable {found.stable.value:g}" if found.stable and found.stable.value else ""
    return f"{found.candidate.value:g}{beside}"

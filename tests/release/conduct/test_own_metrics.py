"""Metrics of the operators' own: bounds, ratios, looks in a row, and what no data means."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from aiohttp import ClientSession

from gateway.config.settings import Release
from gateway.release.conduct.own_metrics import LOOK_SECONDS, OwnMetrics
from gateway.release.conduct.prometheus import Prometheus, Sample
from gateway.release.judge.evidence import MetricVerdict
from gateway.release.plan.plan import Plan
from gateway.release.plan.read import read_plan
from tests.release.conduct.test_prometheus import serving, vector


def plan(**metric: Any) -> Plan:
    one = {"name": "cost", "query": "cost{{version}}", "every": 10, "failures": 2, **metric}
    document = {"route": "chat", "candidate": "v2", "preset": "canary", "metrics": [one]}
    return read_plan(document)


class Scripted(Prometheus):
    """Answers by version: a number, or a reason why there is none."""

    def __init__(self, **answers: float | str) -> None:
        super().__init__(Release())
        self.answers = answers
        self.asked: list[str] = []

    async def ask(self, session: ClientSession, query: str) -> Sample:
        self.asked.append(query)
        answer = self.answers[query.removeprefix("cost{").removesuffix("}")]
        return Sample(why=answer) if isinstance(answer, str) else Sample(answer)


class Bench:
    """Looks by hand."""

    def __init__(self, wanted: Plan, **answers: float | str) -> None:
        self.now = 100.0
        self.prometheus = Scripted(**answers)
        self.metrics = OwnMetrics(self.prometheus, lambda: self.now)
        self.metrics.watch("r1", wanted, "v1")

    async def look(self, seconds: float = 10.0) -> MetricVerdict:
        self.now += seconds
        await self.metrics._ask_due(None)  # type: ignore[arg-type]  # the scripted one needs none
        (verdict,) = self.metrics.verdicts("r1")
        return verdict


@pytest.mark.parametrize(
    ("bounds", "candidate", "stable", "said"),
    [
        ({"at_most": 5}, 5.0, 0.0, ""),
        ({"at_most": 5}, 5.1, 0.0, "5.1 is above 5"),
        ({"at_least": 5}, 5.0, 0.0, ""),
        ({"at_least": 5}, 4.9, 0.0, "4.9 is below 5"),
        ({"ratio_at_most": 1.2}, 1.2, 1.0, ""),
        ({"ratio_at_most": 1.2}, 1.3, 1.0, "1.3 is above 1.2 times stable's 1"),
        ({"ratio_at_most": 1.2}, 0.0, 0.0, ""),
        ({"ratio_at_least": 0.9}, 0.8, 1.0, "0.8 is below 0.9 times stable's 1"),
    ],
)
async def test_a_value_passes_or_fails_after_so_many_looks_in_a_row(
    bounds: dict[str, float], candidate: float, stable: float, said: str
) -> None:
    query = "cost{{version}}"
    bench = Bench(plan(query=query, **bounds), v1=stable, v2=candidate)
    first, second = await bench.look(), await bench.look()
    assert first.verdict == ("inconclusive" if said else "pass")
    assert second.verdict == ("fail" if said else "pass")
    assert said in second.why
    assert second.value == candidate
    has_ratio = any(name.startswith("ratio") for name in bounds)
    assert len(bench.prometheus.asked) == (4 if has_ratio else 2)


async def test_one_good_look_begins_the_count_anew() -> None:
    bench = Bench(plan(at_most=5), v2=9.0)
    await bench.look()
    bench.prometheus.answers["v2"] = 1.0
    assert (await bench.look()).verdict == "pass"
    bench.prometheus.answers["v2"] = 9.0
    assert (await bench.look()).verdict == "inconclusive"


async def test_no_data_is_a_verdict_of_its_own_and_never_a_pass() -> None:
    bench = Bench(plan(at_most=5), v2="no series")
    (verdict,) = bench.metrics.verdicts("r1")
    assert (verdict.verdict, verdict.why) == ("no-data", "it was not asked for yet")
    verdict = await bench.look()
    assert (verdict.verdict, verdict.why) == ("no-data", "candidate: no series")


async def test_a_value_that_is_too_old_is_no_data() -> None:
    bench = Bench(plan(at_most=5), v2=1.0)
    assert (await bench.look()).verdict == "pass"
    bench.prometheus.answers["v2"] = "cannot be reached"
    assert (await bench.look()).verdict == "pass"
    assert (await bench.look(25.0)).verdict == "no-data"


async def test_no_data_that_the_plan_ignores_is_left_out() -> None:
    bench = Bench(plan(at_most=5, missing="ignore"), v2="no series")
    bench.now += 10
    await bench.metrics._ask_due(None)  # type: ignore[arg-type]
    assert bench.metrics.verdicts("r1") == ()


async def test_it_is_asked_no_more_often_than_the_plan_says() -> None:
    bench = Bench(plan(at_most=5), v2=1.0)
    for _ in range(30):
        await bench.look(1.0)
    assert len(bench.prometheus.asked) == 3


async def test_releases_that_are_over_are_forgotten() -> None:
    bench = Bench(plan(at_most=5, action="rollback"), v2=1.0)
    assert (await bench.look()).action == "rollback"
    bench.metrics.keep_only({"r2"})
    assert bench.metrics.verdicts("r1") == ()
    assert repr(bench.metrics) == "<OwnMetrics of 0 releases>"


async def test_it_asks_by_itself_as_long_as_somebody_wants_to_know() -> None:
    async with serving() as server:
        server.answer = vector("3")
        metrics = OwnMetrics(Prometheus(Release(prometheus_url=server.url)))
        running = asyncio.create_task(metrics.run())
        try:
            metrics.watch("r1", plan(at_most=5), "v1")
            metrics.watch("r1", plan(at_most=5), "v1")
            for _ in range(400):
                (verdict,) = metrics.verdicts("r1")
                if verdict.verdict == "pass":
                    break
                await asyncio.sleep(LOOK_SECONDS / 20)
            assert verdict.value == 3
            assert server.queries == ["cost{v2}"]
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running

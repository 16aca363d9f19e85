"""A release that also asks a Prometheus: what its answers do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.config.settings import Release
from gateway.release.conduct.own_metrics import OwnMetrics
from gateway.release.conduct.prometheus import Prometheus
from tests.release.conduct.conducting import Leader, leader
from tests.release.conduct.notify.receivers import until
from tests.release.conduct.test_prometheus import Server as Asked
from tests.release.conduct.test_prometheus import serving, vector
from tests.servers import Server

METRIC = {"name": "cost", "query": "cost", "at_most": 5, "every": 1, "failures": 1}


@contextlib.asynccontextmanager
async def measured(store: Server) -> AsyncIterator[tuple[Leader, Asked]]:
    """A leader with a Prometheus that is asked in the background, as in a gateway."""
    async with serving() as asked, leader(store) as gateway:
        metrics = OwnMetrics(Prometheus(Release(prometheus_url=asked.url)))
        gateway.controller._metrics = metrics
        running = asyncio.create_task(metrics.run())
        try:
            yield gateway, asked
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running


async def told(gateway: Leader, asked: Asked, verdict: str) -> None:
    """Wait until the answer of now is what the release is told."""
    release = gateway.status.release_id

    def is_told() -> bool:
        return any(one.verdict == verdict for one in gateway.controller._metrics.verdicts(release))

    await until(is_told, f"{verdict} is told")


@pytest.mark.parametrize(("action", "phase"), [("rollback", "rolled-back"), ("hold", "hold")])
async def test_a_metric_that_is_out_of_bounds_does_what_the_plan_says(
    store: Server, action: str, phase: str
) -> None:
    async with measured(store) as (gateway, asked):
        asked.answer = vector("4")
        await gateway.start(metrics=[{**METRIC, "action": action}])
        await told(gateway, asked, "pass")
        await gateway.until("ramp")
        asked.answer = vector("6")
        await told(gateway, asked, "fail")
        status = await gateway.until(phase)
        assert "6 is above 5" in str(status.decisions)


async def test_a_metric_without_data_lets_nothing_pass(store: Server) -> None:
    async with measured(store) as (gateway, asked):
        asked.answer = vector()
        plan: dict[str, Any] = {"metrics": [METRIC]}
        await gateway.start(**plan)
        await told(gateway, asked, "no-data")
        await gateway.until("ramp")
        for _ in range(80):
            status = await gateway.second()
        assert (status.phase, status.stage) == ("ramp", 0)
        assert any("a value of cost" in waits for waits in status.waiting_for)
        asked.answer = vector("4")
        await told(gateway, asked, "pass")
        status = await gateway.second()
        assert status.stage == 1

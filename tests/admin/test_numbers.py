from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from gateway.metrics.numbers import Counted, Numbers
from tests.admin.running import Running
from tests.servers import Server


def counted(finished: int) -> Counted:
    v1, v2 = Numbers(), Numbers()
    for _ in range(3 * finished):
        v1.finished(200, 0.1)
        v1.first_byte_after(0.05)
    for _ in range(finished):
        v2.finished(503, 0.1)
        v2.error("status_5xx")
        v2.error("connect")
    decisions = {
        ("chat", "v1", "stable"): 3 * finished,
        ("chat", "v2", "weight"): finished,
        ("chat", "v2", "whitelist"): finished,
    }
    return Counted(decisions=decisions, numbers={("chat", "v1"): v1, ("chat", "v2"): v2})


async def numbers_when(side: Running, holds: Callable[[Any], bool]) -> Any:
    """The first answer of which `holds`."""
    async with asyncio.timeout(20):
        while True:
            if holds(told := await side.get("/api/v1/numbers")):
                return told
            await asyncio.sleep(0.05)


async def test_versions_stand_side_by_side(side: Running) -> None:
    await numbers_when(side, lambda told: told["seconds"] > 0)
    side.counted = counted(10)
    told = await numbers_when(
        side, lambda told: told["routes"]["chat"]["versions"]["v1"]["requests"] > 0
    )
    chat = told["routes"]["chat"]
    v1, v2, v3 = (chat["versions"][name] for name in ("v1", "v2", "v3"))
    assert (chat["stable"], chat["paused"]) == ("v1", False)
    assert (v1["requests"], v1["share_wanted"], v1["share_by_weight"]) == (30, 0.9, 0.75)
    assert (v2["requests"], v2["share_wanted"], v2["share_by_weight"]) == (10, 0.1, 0.25)
    assert (v1["share"], v2["share"]) == (0.6, 0.4)
    assert (v1["error_ratio"], v2["error_ratio"]) == (0.0, 1.0)
    assert v1["requests_per_second"] * told["seconds"] - 30 < 0.1
    assert 0.08 < v1["duration_seconds"]["p50"] < 0.16
    assert v2["first_byte_seconds"] == {"p50": None, "p95": None, "p99": None}
    assert (v3["requests"], v3["error_ratio"], v3["share"]) == (0, None, 0.0)
    one = await side.get("/api/v1/routes/chat/numbers?seconds=60")
    assert one["routes"]["chat"]["versions"].keys() == {"v1", "v2", "v3"}


async def test_a_paused_route_wants_all_of_stable(side: Running, store: Server) -> None:
    store.cli("HSET gray:route:chat paused 1")
    told = await numbers_when(side, lambda told: told["routes"]["chat"]["paused"])
    chat = told["routes"]["chat"]
    assert chat["versions"]["v1"]["share_wanted"] == 1.0
    assert chat["versions"]["v2"]["share_wanted"] == 0.0


async def test_the_window_has_a_length_that_is_kept(side: Running) -> None:
    for seconds in ("0", "61", "x", "-1"):
        answer = await side.ask("GET", f"/api/v1/numbers?seconds={seconds}")
        assert (answer.status, answer.json["code"]) == (400, "bad_request")

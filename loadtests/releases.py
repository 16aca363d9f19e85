"""Whole releases, one after the other, each with another fault: `python -m loadtests.releases`.

Real processes and a real store; 200 requests/s from ever other users. Told is how each release
ended, what was named as the cause, how long that took since the candidate first did wrong, and how
many of its requests had failed by then. Slow candidates take minutes: the judge looks at latencies
after a version's first minute.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from typing import Any

from aiohttp import ClientSession

from loadtests.gateway_under_test import Running, running_gateway
from loadtests.release_scene import Fault, Models, Story

PLAN: dict[str, Any] = {
    "candidate": "v2",
    "mode": "automatic",
    "unit": "request",
    "harm_budget": 0.05,
    "stages": [
        {"weight": weight, "hold": 10, "minimum_requests": 50} for weight in (5, 25, 50, 100)
    ],
    "bake": {"duration": 10, "holdback": 5},
}
WORST_SECONDS = 600.0
FAULTS: dict[str, Fault] = {
    "is good": "", "fails 1 in 50": "some", "hangs": "hangs", "is 150 ms slower": "slow",
    "stalls its streams": "stalls", "crashes": "all",
}  # fmt: skip


async def tell(
    gateway: Running, models: Models, session: ClientSession, name: str, rate: float
) -> str:
    route = name.replace(" ", "-")
    for line in models.plant(route):
        await gateway.store.call(*line.split(" "))
    data_url = f"http://127.0.0.1:{gateway.data_port}"
    models.users(data_url, route, rate, "/stream" if "streams" in name else "")
    fault = FAULTS[name]
    story = Story(session, gateway.admin_url, route)
    # Who is to be found in a stage must stay in it.
    stages = PLAN["stages"] if not fault else [
        {"weight": 10, "hold": 10, "minimum_requests": 10**9}, {"weight": 100},
    ]  # fmt: skip
    began = time.time()
    await story.start({**PLAN, "stages": stages})
    await story.until("ramp")
    models.faults[route] = fault
    status = await story.until("promoted", "rolled-back", seconds=WORST_SECONDS)
    models.go_home()
    alarms = [one["at"] for one in status["decisions"] if one["kind"] == "alarm"]
    since = models.failed_at.get(route, began)
    taken = (alarms[0] if alarms else status["ended_at"] or time.time()) - since
    causes = ", ".join(status["stopped_by"]) or "-"
    return f"{name:22s} {status['phase']:12s} {causes:12s} {taken:8.1f}"


async def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rate", type=float, default=200.0)
    arguments.add_argument("--only", choices=list(FAULTS), help="one of them")
    wanted = arguments.parse_args()
    print(f"{'a candidate that':22s} {'ended':12s} {'cause':12s} {'seconds':>8s}")
    with Models() as models:
        async with running_gateway(2) as gateway, ClientSession() as session:
            for name in [wanted.only] if wanted.only else FAULTS:
                print(await tell(gateway, models, session, name, wanted.rate), flush=True)


if __name__ == "__main__":
    asyncio.run(main())

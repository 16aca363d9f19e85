"""What `/metrics` tells of the gateway's own processes."""

from __future__ import annotations

from gateway.metrics.standing import ProcessState, Standing, Vitals
from tests.admin.running import Running
from tests.admin.test_prometheus import scrape


async def test_restarts_loops_and_reloads_are_told(side: Running) -> None:
    side.standing = Standing(
        workers=2,
        restarts={"control": 1, "worker 0": 0, "worker 1": 7},
        looping=("worker 1",),
        reloads=3,
        failed_reloads=2,
        reloaded_at=1_700_000_000.0,
        is_reload_good=False,
    )
    numbers = await scrape(side)
    assert numbers["workers_wanted", ()] == 2
    assert numbers["process_restarts_total", ("worker 1",)] == 7
    assert numbers["process_restarts_total", ("control",)] == 1
    loops = {
        labels: value for (name, labels), value in numbers.items() if name == "process_crash_loop"
    }
    assert loops == {("control",): 0, ("worker 0",): 0, ("worker 1",): 1}
    assert numbers["settings_reloads_total", ("success",)] == 3
    assert numbers["settings_reloads_total", ("failure",)] == 2
    assert numbers["settings_last_reload_successful", ()] == 0
    assert numbers["settings_last_reload_success_timestamp_seconds", ()] == 1_700_000_000.0


async def test_each_process_tells_how_it_is(side: Running) -> None:
    vitals = Vitals(
        started_at=1_700_000_000.0,
        descriptors=40,
        most_descriptors=1024,
        resident_bytes=2**25,
        lag_seconds=0.125,
    )
    roles = ("supervisor", "control", "worker 0", "worker 1")
    side.processes += [ProcessState(role=role, vitals=vitals) for role in roles]
    numbers = await scrape(side)
    for role in roles:
        assert numbers["process_start_time_seconds", (role,)] == 1_700_000_000.0
        assert numbers["process_open_fds", (role,)] == 40
        assert numbers["process_max_fds", (role,)] == 1024
        assert numbers["process_resident_memory_bytes", (role,)] == 2**25
    assert numbers["process_loop_lag_seconds", ("worker 1",)] == 0.125
    assert ("process_loop_lag_seconds", ("supervisor",)) not in numbers

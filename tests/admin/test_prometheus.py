from __future__ import annotations

import platform

from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text

from gateway import __version__
from gateway.compiled import build
from gateway.config.settings import Redis
from gateway.metrics.names import ALL, Kind
from gateway.metrics.numbers import DURATION_BOUNDS, ERROR_KINDS, Counted, Numbers
from gateway.metrics.releases import Conducted, FamilyStanding, ReleaseStanding
from gateway.metrics.strata import Observed
from gateway.release.conduct.drill.board import Board
from gateway.release.drill.due import Schedule
from tests.admin.running import Running, plant, redis_settings, revision, running, until
from tests.servers import Server

Scraped = dict[tuple[str, tuple[str, ...]], float]


async def scrape(side: Running) -> Scraped:
    """Every sample by its name and the values of its labels, in the order of `names.py`."""
    answer = await side.ask("GET", "/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain")
    order = {series.full_name: series.labels for series in ALL}
    for series in ALL:
        if series.kind is Kind.HISTOGRAM:
            order |= {f"{series.full_name}_{part}": series.labels for part in ("sum", "count")}
            order[f"{series.full_name}_bucket"] = (*series.labels, "le")
    return {
        (
            sample.name.removeprefix("graygate_"),
            tuple(sample.labels[label] for label in order[sample.name]),
        ): sample.value
        for family in parse_text(answer.body.decode())
        for sample in family.samples
    }


async def test_every_series_is_exposed_with_its_kind_and_help(side: Running) -> None:
    body = (await side.ask("GET", "/metrics")).body.decode()
    families = {family.name: family for family in parse_text(body)}
    for series in ALL:
        family = families.pop(f"graygate_{series.name}")
        assert (family.type, family.documentation) == (series.kind.value, series.help)
    assert not families


async def test_openmetrics_is_spoken_to_those_who_ask_for_it(side: Running) -> None:
    side.counted = worked()
    answer = await side.ask("GET", "/metrics", accept="application/openmetrics-text; version=1.0.0")
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    parsed = parse_openmetrics(answer.body.decode())  # type: ignore[no-untyped-call]  # theirs
    families = {family.name: family for family in parsed}
    assert set(families) == {f"graygate_{series.name}" for series in ALL}
    assert families["graygate_inter_chunk_seconds"].type == "histogram"


async def test_what_is_running_is_told(side: Running) -> None:
    numbers = await scrape(side)
    told = [labels for name, labels in numbers if name == "build_info"]
    assert told == [(__version__, platform.python_version(), build())]


async def test_weights_revision_and_workers_are_told(side: Running) -> None:
    side.workers += [side.worker(), side.worker(sequence=0)]
    numbers = await scrape(side)
    assert numbers["split_weight_ratio", ("chat", "v1")] == 0.9
    assert numbers["split_weight_ratio", ("chat", "v2")] == 0.1
    assert numbers["split_weight_ratio", ("chat", "v3")] == 0
    assert numbers["config_revision", ("chat",)] == 1
    roles = {labels for name, labels in numbers if name == "version_info"}
    assert roles == {
        *(("chat", "v1", "stable"), ("chat", "v2", "candidate"), ("chat", "v3", "candidate")),
    }
    assert (numbers["workers", ()], numbers["workers_current", ()]) == (2, 1)


async def test_a_paused_route_gives_everything_to_stable(side: Running, store: Server) -> None:
    store.cli("HSET gray:route:chat paused 1")
    await until(lambda: side.store.snapshot.routes["chat"].spec.paused, "the route is paused")
    numbers = await scrape(side)
    assert numbers["split_weight_ratio", ("chat", "v1")] == 1
    assert numbers["split_weight_ratio", ("chat", "v2")] == 0


def worked() -> Counted:
    numbers = Numbers()
    for seconds in (0.005, 0.02, 0.021, 1000.0):
        numbers.finished(200, seconds)
    numbers.finished(502, 0.0)
    numbers.first_byte_after(0.03)
    numbers.gap(0.2)
    numbers.error("connect")
    numbers.in_flight, numbers.retries, numbers.mirrored, numbers.is_panicking = 7, 2, 3, True
    numbers.mirror_failures["busy"] = 5
    return Counted(
        decisions={("chat", "v2", "weight"): 3},
        numbers={("chat", "v2"): numbers, ("chat", "v1"): Numbers()},
        endpoints={("chat", "v2", "http://10.0.0.2:1"): 0.5},
        connections=11,
        shed={"lag": 4},
        dropped={"spans": 6},
    )


async def test_what_the_workers_counted_is_told(side: Running) -> None:
    side.counted = worked()
    numbers = await scrape(side)
    v1, v2 = ("chat", "v1"), ("chat", "v2")
    assert numbers["routing_decisions_total", (*v2, "weight")] == 3
    assert numbers["requests_total", (*v2, "200")] == 4
    assert numbers["requests_total", (*v2, "502")] == 1
    assert numbers["errors_total", (*v2, "connect")] == 1
    assert numbers["requests_in_flight", v2] == 7
    assert (numbers["retries_total", v2], numbers["mirrored_total", v2]) == (2, 3)
    assert numbers["mirror_failures_total", (*v2, "busy")] == 5
    assert (numbers["panic_mode", v2], numbers["panic_mode", v1]) == (1, 0)
    assert numbers["endpoint_healthy", (*v2, "http://10.0.0.2:1")] == 0.5
    assert numbers["connections", ()] == 11
    assert numbers["shed_total", ("lag",)] == 4
    assert numbers["telemetry_dropped_total", ("spans",)] == 6


async def test_failures_that_there_were_none_of_are_told_as_well(
    side: Running, store: Server
) -> None:
    """A rate sees a counter rise only from what it showed before."""
    side.counted = worked()
    numbers = await scrape(side)
    told = {labels[1:]: n for (name, labels), n in numbers.items() if name == "errors_total"}
    wanted = {(version, kind): 0 for version in ("v1", "v2", "v3") for kind in ERROR_KINDS}
    assert told == wanted | {("v2", "connect"): 1}
    # What is gone from the table tells what there was.
    store.cli("HDEL gray:route:chat:weights v2")
    store.cli("HDEL gray:route:chat:versions v2 v3")
    await until(
        lambda: set(side.store.snapshot.routes["chat"].spec.versions) == {"v1"}, "v2 is gone"
    )
    gone = {key[1][1:]: n for key, n in (await scrape(side)).items() if key[0] == "errors_total"}
    assert gone == {("v1", kind): 0 for kind in ERROR_KINDS} | {("v2", "connect"): 1}


async def test_units_are_told_of_versions_that_can_be_compared(
    side: Running, store: Server
) -> None:
    store.cli("HSET gray:route:alone:versions v1 http://10.0.0.1:1")
    store.cli("HSET gray:route:alone stable v1 path /alone")
    store.cli("SADD gray:routes alone")
    await until(lambda: "alone" in side.store.snapshot.routes, "the other route is in force")
    found = {("chat", "v1"): 903.4, ("chat", "v2"): 99.7, ("gone", "v1"): 5.0}
    side.observed = Observed(units=found, dropped=3)
    side.counted = worked()
    numbers = await scrape(side)
    units = {labels: n for (name, labels), n in numbers.items() if name == "units"}
    assert units == {("chat", "v1"): 903, ("chat", "v2"): 100, ("chat", "v3"): 0}
    assert numbers["telemetry_dropped_total", ("strata",)] == 3
    assert numbers["telemetry_dropped_total", ("spans",)] == 6


async def test_drills_are_told_of_routes_that_want_them(side: Running) -> None:
    numbers = await scrape(side)
    assert ("drill_overdue", ("chat",)) not in numbers
    assert isinstance(side.drills, Board)
    never = Schedule(route="chat", every=60.0, since=1000.0)
    passed = Schedule(route="other", every=1e12, since=1000.0, passed_at=2000.0)
    side.drills._schedules = {"chat": never, "other": passed}
    numbers = await scrape(side)
    assert numbers["drill_overdue", ("chat",)] == 1
    assert numbers["drill_last_success_timestamp_seconds", ("chat",)] == 0
    assert numbers["drill_overdue", ("other",)] == 0
    assert numbers["drill_last_success_timestamp_seconds", ("other",)] == 2000


async def test_times_are_told_as_histograms(side: Running) -> None:
    side.counted = worked()
    numbers = await scrape(side)
    v2 = ("chat", "v2")
    upto = {
        labels[2]: value
        for (name, labels), value in numbers.items()
        if name == "request_duration_seconds_bucket" and labels[:2] == v2
    }
    assert list(upto) == [*map(str, DURATION_BOUNDS), "+Inf"]
    assert (upto["0.01"], upto["0.02"], upto["0.04"], upto["655.36"], upto["+Inf"]) == (
        *(2, 3, 4, 4, 5),
    )
    assert numbers["request_duration_seconds_count", v2] == 5
    assert numbers["request_duration_seconds_sum", v2] == 1000.046
    assert numbers["time_to_first_byte_seconds_bucket", (*v2, "0.02")] == 0
    assert numbers["time_to_first_byte_seconds_bucket", (*v2, "0.04")] == 1
    assert numbers["inter_chunk_seconds_bucket", (*v2, "0.2")] == 1
    assert numbers["inter_chunk_seconds_sum", v2] == 0.2


async def test_the_numbers_of_the_store_move_with_what_happens_to_it(fresh_valkey: Server) -> None:
    plant(fresh_valkey)
    async with running(redis_settings(fresh_valkey)) as side:
        await revision(side)
        start = await scrape(side)
        assert start["redis_up", ()] == 1
        assert start["watch_mode", ("push",)] == 1
        assert start["snapshot_age_seconds", ()] < 60
        assert ("config_refused", ("chat",)) not in start

        fresh_valkey.cli("HSET gray:route:chat:weights v2 50")
        await until(
            lambda: side.store.snapshot.routes["chat"].spec.weights == {"v2": 50}, "in force"
        )
        good = await scrape(side)
        assert good["config_sequence", ()] > start["config_sequence", ()]
        assert good["config_update_attempt_total", ()] >= start["config_update_attempt_total", ()]
        assert good["config_update_success_total", ()] > start["config_update_success_total", ()]
        name = "config_last_reload_success_timestamp_seconds"
        assert good[name, ()] > start[name, ()]

        fresh_valkey.cli("HSET gray:route:chat:weights v2 140")
        await until(lambda: bool(side.store.snapshot.refused), "nonsense is refused")
        bad = await scrape(side)
        assert bad["config_rejected_total", ("chat", "bad_value")] == 1
        assert bad["config_refused", ("chat",)] == 1
        assert bad["config_revision", ("chat",)] == good["config_revision", ("chat",)]

        fresh_valkey.kill()
        await until(lambda: not side.store.status.is_connected, "the store is missed")
        away = await scrape(side)
        assert away["redis_up", ()] == 0
        assert away["watch_mode", ("none",)] == 1
        assert away["config_update_failure_total", ()] > bad["config_update_failure_total", ()]
        fresh_valkey.start()
        await until(lambda: side.store.status.is_connected, "the store is back")
        assert (await scrape(side))["redis_reconnects_total", ()] == 1


async def test_a_process_that_never_saw_a_store_has_no_age_but_all_series() -> None:
    async with running(Redis(url="unix:///nowhere")) as side:
        numbers = await scrape(side)
        assert numbers["snapshot_age_seconds", ()] != numbers["snapshot_age_seconds", ()]  # NaN
        assert numbers["redis_up", ()] == 0


async def test_labels_cannot_be_made_by_calls(side: Running) -> None:
    before = set(await scrape(side))
    for number in range(20):
        await side.ask("GET", f"/api/v1/routes/r{number}")
        await side.ask("PUT", f"/api/v1/routes/r{number}/weights", {"weights": {"v2": 1}})
    assert set(await scrape(side)) == before


async def test_how_releases_stand_is_told(side: Running) -> None:
    errors = FamilyStanding(e=12.0, e_hold=30.0, rollback_at=400.0, hold_at=80.0)
    advice = FamilyStanding(e=1.0, e_hold=1.5, rollback_at=None, hold_at=80.0)
    running = ReleaseStanding(
        route="chat", candidate="v2", phase="awaiting-approval", stage=2, stages=5, weight=5.0,
        entered_at=900.0, is_held=False, is_latched=False, waits_since=940.0, ticked_at=999.0,
        promotable=25.0, families={"errors": errors, "client-errors": advice},
    )  # fmt: skip
    ended = ReleaseStanding(
        route="code", candidate="v3", phase="rolled-back", stage=1, stages=1, weight=0.0,
        entered_at=100.0, is_held=False, is_latched=True,
    )  # fmt: skip
    side.conducted = Conducted(
        at=1000.0, releases=(running, ended), problems=("text",),
        decisions={("chat", "stage"): 2}, rollbacks={("code", "errors"): 1},
    )  # fmt: skip
    numbers = await scrape(side)
    one, other = ("chat", "v2"), ("code", "v3")
    assert numbers["release_phase", (*one, "awaiting-approval")] == 1
    assert numbers["release_phase", (*other, "rolled-back")] == 1
    assert (numbers["release_stage", one], numbers["release_stages", one]) == (2, 5)
    assert numbers["release_phase_entered_timestamp_seconds", one] == 900
    assert numbers["release_weight_ratio", one] == 0.05
    assert numbers["release_promotable_weight_ratio", one] == 0.25
    assert (numbers["release_latched", one], numbers["release_latched", other]) == (0, 1)
    assert (numbers["release_waiting_seconds", one], numbers["release_held", one]) == (60, 0)
    assert numbers["release_waiting_seconds", other] == 0
    assert numbers["release_last_tick_timestamp_seconds", one] == 999
    assert ("release_last_tick_timestamp_seconds", other) not in numbers
    assert numbers["release_evidence", (*one, "errors")] == 12
    assert numbers["release_hold_evidence", (*one, "errors")] == 30
    assert numbers["release_rollback_threshold", (*one, "errors")] == 400
    assert numbers["release_hold_threshold", (*one, "client-errors")] == 80
    assert ("release_rollback_threshold", (*one, "client-errors")) not in numbers
    assert numbers["release_problem", ("text",)] == 1
    assert numbers["release_decisions_total", ("chat", "stage")] == 2
    assert numbers["release_rollbacks_total", ("code", "errors")] == 1


async def test_without_a_release_nothing_is_told_of_any(side: Running) -> None:
    numbers = await scrape(side)
    assert not [name for name, _ in numbers if name.startswith("release_")]

from __future__ import annotations

from dataclasses import replace

from gateway.config.settings import Redis
from gateway.metrics.standing import Standing
from tests.admin.running import Running, plant, redis_settings, revision, running, until
from tests.servers import Server, free_port


async def test_the_process_is_alive_whatever_else_is_wrong() -> None:
    async with running(Redis(url=f"redis://127.0.0.1:{free_port()}/0")) as side:
        alive = await side.ask("GET", "/healthz")
        assert (alive.status, alive.body) == (200, b"ok\n")
        ready = await side.ask("GET", "/readyz")
        assert ready.status == 503
        assert ready.body == b"not ready: table_loaded, workers_serving\n"
        verbose = await side.ask("GET", "/readyz?verbose")
        assert verbose.status == 503
        assert verbose.json["checks"] == {
            "table_loaded": False,
            "workers_serving": False,
            "no_crash_loop": True,
            "not_draining": True,
        }
        assert verbose.json["table_age_seconds"] is None


async def test_it_is_ready_when_a_worker_routes_by_a_table(side: Running) -> None:
    assert (await side.ask("GET", "/readyz")).status == 503
    side.workers.append(side.worker())
    ready = await side.ask("GET", "/readyz")
    assert (ready.status, ready.body) == (200, b"ok\n")
    told = await side.get("/readyz?verbose")
    assert (told["ready"], told["stale"], told["watch_mode"]) == (True, False, "push")
    assert told["workers"] == [{"worker": 0, "pid": 4711, "sequence": side.store.snapshot.sequence}]
    assert (told["workers_wanted"], told["crash_loop"], told["refused_routes"]) == (2, [], [])


async def test_it_is_not_ready_while_it_drains(side: Running) -> None:
    side.workers.append(side.worker())
    side.standing = Standing(is_draining=True)
    ready = await side.ask("GET", "/readyz")
    assert (ready.status, ready.body) == (503, b"not ready: not_draining\n")
    assert (await side.ask("GET", "/healthz")).status == 200
    verbose = await side.ask("GET", "/readyz?verbose")
    assert verbose.json["checks"]["not_draining"] is False


async def test_it_is_not_ready_while_a_process_does_nothing_but_die(side: Running) -> None:
    side.workers.append(side.worker())
    side.standing = Standing(workers=2, looping=("worker 1",), restarts={"worker 1": 5})
    ready = await side.ask("GET", "/readyz")
    assert (ready.status, ready.body) == (503, b"not ready: no_crash_loop\n")
    verbose = await side.ask("GET", "/readyz?verbose")
    assert verbose.json["crash_loop"] == ["worker 1"]
    assert verbose.json["restarts"] == {"worker 1": 5}


async def test_workers_without_a_table_do_not_make_it_ready(side: Running) -> None:
    side.workers.append(replace(side.worker(), sequence=None))
    assert (await side.ask("GET", "/readyz")).body == b"not ready: workers_serving\n"


async def test_refused_routes_and_a_failed_reload_are_told_and_leave_it_ready(
    side: Running, store: Server
) -> None:
    side.workers.append(side.worker())
    side.standing = Standing(workers=1, is_reload_good=False, reloaded_at=5.0)
    store.cli("HSET gray:route:chat:weights v2 140")
    await until(lambda: bool(side.store.snapshot.refused), "the weight is refused")
    told = await side.get("/readyz?verbose")
    assert (told["ready"], told["refused"], told["refused_routes"]) == (True, 1, ["chat"])
    assert (told["settings_reload_failed"], told["settings_reloaded_at"]) == (True, 5.0)


async def test_it_stays_ready_when_the_store_goes_away(fresh_valkey: Server) -> None:
    plant(fresh_valkey)
    async with running(redis_settings(fresh_valkey)) as side:
        await revision(side)
        side.workers.append(side.worker())
        fresh_valkey.kill()
        await until(lambda: not side.store.status.is_connected, "the store is missed")
        assert (await side.ask("GET", "/readyz")).status == 200
        told = await side.get("/readyz?verbose")
        assert (told["ready"], told["stale"], told["watch_mode"]) == (True, True, "none")
        assert told["watch_note"]


async def test_details_are_for_those_who_have_the_token(store: Server) -> None:
    async with running(redis_settings(store), token="t") as side:
        assert (await side.ask("GET", "/readyz?verbose")).status == 401
        shown = await side.ask("GET", "/readyz?verbose", authorization="Bearer t")
        assert shown.status == 503
        assert "checks" in shown.json

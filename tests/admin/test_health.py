from __future__ import annotations

from gateway.config.settings import Redis
from tests.admin.running import Running, plant, redis_settings, revision, running, until
from tests.servers import Server, free_port


async def test_the_process_is_alive_whatever_else_is_wrong() -> None:
    async with running(Redis(url=f"redis://127.0.0.1:{free_port()}/0")) as side:
        alive = await side.ask("GET", "/healthz")
        assert (alive.status, alive.body) == (200, b"ok\n")
        ready = await side.ask("GET", "/readyz")
        assert (ready.status, ready.body) == (503, b"no\n")
        verbose = await side.ask("GET", "/readyz?verbose")
        assert verbose.status == 503
        assert verbose.json["checks"] == {
            "table_loaded": False,
            "workers_serving": False,
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


async def test_it_is_not_ready_while_it_drains(side: Running) -> None:
    side.workers.append(side.worker())
    side.is_draining = True
    assert (await side.ask("GET", "/readyz")).status == 503
    verbose = await side.ask("GET", "/readyz?verbose")
    assert verbose.json["checks"]["not_draining"] is False


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

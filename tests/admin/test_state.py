from __future__ import annotations

import gateway
from tests.admin.running import Running, until
from tests.servers import Server


async def test_the_picture_holds_routes_store_and_workers(side: Running) -> None:
    side.workers += [side.worker(), side.worker(sequence=1)]
    told = await side.get("/api/v1/state")
    assert told["gateway"] == {"id": "gateway-1", "version": gateway.__version__}
    assert told["routes"] == await side.get("/api/v1/routes")
    assert (told["refused"], told["warnings"]) == ([], [])
    store = told["store"]
    assert (store["connected"], store["watch_mode"], store["error"]) == (True, "push", "")
    assert (store["table_from_disk"], store["leader"]) == (False, True)
    assert 0 <= store["table_age_seconds"] < 60
    assert [worker["sequence"] for worker in told["workers"]] == [told["sequence"], 1]


async def test_what_was_refused_or_doubted_stands_there_with_its_key(
    side: Running, store: Server
) -> None:
    store.cli("HSET gray:route:chat:weights v2 many")
    store.cli("HSET gray:route:chat pathh /x")
    await until(lambda: bool(side.store.snapshot.refused), "the weight is refused")
    told = await side.get("/api/v1/state")
    (refusal,) = told["refused"]
    assert (refusal["route"], refusal["key"]) == ("chat", "gray:route:chat:weights")
    assert "'many'" in refusal["text"]
    assert told["routes"]["chat"]["weights"] == {"v2": 10}
    (warning,) = told["warnings"]
    assert (warning["key"], warning["reason"]) == ("gray:route:chat", "unknown_field")


async def test_a_store_that_lost_everything_is_filled_again(side: Running, store: Server) -> None:
    await side.ask("POST", "/api/v1/routes/chat/whitelist/v2", {"add": ["alice"]})
    await until(lambda: side.store.snapshot.routes["chat"].revision == 2, "it is in force")
    store.cli("FLUSHALL")
    await until(lambda: bool(side.store.snapshot.refused), "the loss is noticed")
    assert "graygate repopulate" in (await side.get("/api/v1/state"))["refused"][0]["text"]
    answer = await side.ask("POST", "/api/v1/repopulate", {"why": "after the crash"})
    assert list(answer.json["routes"]) == ["chat"]
    assert store.cli("SMEMBERS gray:route:chat:whitelist:v2") in ({"alice"}, ["alice"])
    assert store.cli("HGET gray:route:chat:weights v2") == "10"
    await until(lambda: not side.store.snapshot.refused, "nothing is missing any more")
    again = await side.ask("POST", "/api/v1/repopulate", {})
    assert again.json == {"routes": {}}

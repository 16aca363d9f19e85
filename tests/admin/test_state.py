from __future__ import annotations

import time

import gateway
from gateway.metrics.numbers import Counted
from gateway.metrics.standing import ProcessState, Standing, Vitals
from tests.admin.running import Running, until
from tests.servers import Server


async def test_the_picture_holds_routes_store_and_workers(side: Running) -> None:
    side.workers += [side.worker(), side.worker(sequence=1)]
    told = await side.get("/api/v1/state")
    assert abs(told["gateway"].pop("now") - time.time()) < 60
    assert told["gateway"] == {"id": "gateway-1", "version": gateway.__version__}
    assert (told["differs"], told["endpoints"]) == ({}, [])
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


async def test_where_the_store_says_otherwise_each_field_is_shown_with_both_values(
    side: Running, store: Server
) -> None:
    store.cli("HSET gray:route:chat:weights v2 many")
    store.cli("HSET gray:route:chat:versions v3 http://eve:hunter2@10.0.0.3:1")
    store.cli("HSET gray:route:rank stable v1")
    store.cli("SADD gray:routes rank")
    await until(lambda: len(side.store.snapshot.refused) >= 3, "all of it is refused")
    picture = await side.get("/api/v1/state")
    assert picture["store"]["unrecorded"] == []  # what is refused is no change
    told = picture["differs"]
    chat, rank = told["chat"], told["rank"]
    assert (chat["in_force"], chat["revision_in_force"], chat["recorded"]) == (True, 1, False)
    assert {"part": "weights", "field": "v2", "in_force": "10", "in_store": "many"} in chat[
        "fields"
    ]
    assert "http://***@10.0.0.3:1" in [row["in_store"] for row in chat["fields"]]
    assert (rank["in_force"], rank["revision_in_force"]) == (False, None)
    assert rank["fields"] == [
        {"part": "route", "field": "stable", "in_force": None, "in_store": "v1"}
    ]


async def test_a_key_of_another_type_is_a_difference_too(side: Running, store: Server) -> None:
    store.cli("DEL gray:route:chat:weights")
    store.cli("SET gray:route:chat:weights 10")
    await until(lambda: bool(side.store.snapshot.refused), "it is refused")
    fields = (await side.get("/api/v1/state"))["differs"]["chat"]["fields"]
    assert ("weights", "") in [(row["part"], row["field"]) for row in fields]


async def test_endpoints_and_processes_are_told(side: Running) -> None:
    side.counted = Counted(
        endpoints={("chat", "v1", "http://10.0.0.1:1"): 0.5}, shed={"lag": 3}, connections=7
    )
    side.standing = Standing(workers=2, looping=("worker 1",))
    side.processes.append(
        ProcessState(role="worker 0", vitals=Vitals(descriptors=9, lag_seconds=0.25))
    )
    told = await side.get("/api/v1/state")
    assert told["endpoints"] == [
        {"route": "chat", "version": "v1", "endpoint": "http://10.0.0.1:1", "up_for": 0.5}
    ]
    processes = told["processes"]
    assert (processes["connections"], processes["shed"]) == (7, {"lag": 3})
    assert (processes["wanted_workers"], processes["crash_loop"]) == (2, ["worker 1"])
    assert processes["each"]["worker 0"]["lag_seconds"] == 0.25

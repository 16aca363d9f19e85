from __future__ import annotations

import asyncio

import pytest

from gateway.state import answers
from tests.admin.running import Running, plant, redis_settings, revision, running
from tests.servers import Server

WEIGHTS = "/api/v1/routes/chat/weights"


async def test_the_same_call_is_done_once_and_answered_the_same(
    side: Running, store: Server
) -> None:
    body = {"weights": {"v2": 20}, "why": "more"}
    first = await side.ask("PUT", WEIGHTS, body, idempotency_key="k-1")
    await side.ask("PUT", WEIGHTS, {"weights": {"v2": 5}})
    again = await side.ask("PUT", WEIGHTS, body, idempotency_key="k-1")
    assert (again.status, again.json, again.headers["ETag"]) == (200, first.json, '"2"')
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert store.cli("HGET gray:route:chat:weights v2") == "5"
    assert store.cli("XLEN gray:route:chat:history") == 3
    assert "k-1" not in str(store.cli("HGETALL gray:answers"))


async def test_it_is_the_same_at_every_gateway_and_after_a_restart(store: Server) -> None:
    plant(store)
    body = {"weights": {"v2": 20}}
    async with running(redis_settings(store)) as side:
        await revision(side)
        assert (await side.ask("PUT", WEIGHTS, body, idempotency_key="k")).json["changed"]
    async with running(redis_settings(store)) as side:
        again = await side.ask("PUT", WEIGHTS, body, idempotency_key="k")
        assert (again.json["changed"], again.json["revision"]) == (True, 2)


async def test_a_key_stands_for_one_call_of_one_caller(side: Running, store: Server) -> None:
    await side.ask("PUT", WEIGHTS, {"weights": {"v2": 20}}, idempotency_key="k")
    other = await side.ask("PUT", WEIGHTS, {"weights": {"v2": 21}}, idempotency_key="k")
    assert (other.status, other.json["code"]) == (422, "refused")
    assert other.json["detail"] == (
        "This Idempotency-Key was used for another call; take a new one."
    )
    bound = await side.ask(
        "PUT", WEIGHTS, {"weights": {"v2": 20}}, idempotency_key="k", if_match='"1"'
    )
    assert bound.status == 422
    assert store.cli("HGET gray:route:chat:weights v2") == "20"


async def test_a_refused_call_may_be_mended_under_its_key(side: Running) -> None:
    wrong = await side.ask("PUT", WEIGHTS, {"weights": {"v2": 200}}, idempotency_key="k")
    assert wrong.status == 422
    stale = await side.ask(
        "PUT", WEIGHTS, {"weights": {"v2": 20}}, idempotency_key="k", if_match='"9"'
    )
    assert stale.status == 409
    right = await side.ask("PUT", WEIGHTS, {"weights": {"v2": 20}}, idempotency_key="k")
    assert right.status == 200


async def test_of_two_at_the_same_time_one_is_done(side: Running, store: Server) -> None:
    body = {"weights": {"v2": 20}}
    calls = [side.ask("PUT", WEIGHTS, body, idempotency_key="k") for _ in range(8)]
    statuses = [answer.status for answer in await asyncio.gather(*calls)]
    assert set(statuses) <= {200, 409}
    assert 200 in statuses
    assert store.cli("XLEN gray:route:chat:history") == 2


async def test_a_call_whose_end_nobody_knows_is_not_done_again(
    side: Running, store: Server
) -> None:
    body = {"weights": {"v2": 20}}
    await side.ask("PUT", WEIGHTS, body, idempotency_key="k")
    [name] = store.cli("HKEYS gray:answers")
    text = str(store.cli(f"HGET gray:answers {name}"))
    call = text.split('"')[1]
    store.execute("HSET", "gray:answers", name, f'["{call}"]')  # as a kill would have left it
    again = await side.ask("PUT", WEIGHTS, body, idempotency_key="k")
    assert (again.status, again.json["code"]) == (409, "revision_conflict")
    assert "look at the history before you repeat it" in again.json["detail"]
    # After a day it is forgotten.
    store.cli(f"ZADD gray:answers_due 1 {name}")
    assert (await side.ask("PUT", WEIGHTS, body, idempotency_key="k")).status == 200


async def test_only_so_many_answers_are_kept(
    side: Running, store: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "MOST_ANSWERS", 3)
    for number in range(6):
        body = {"weights": {"v2": number}}
        await side.ask("PUT", WEIGHTS, body, idempotency_key=f"k-{number}")
    assert store.cli("HLEN gray:answers") == store.cli("ZCARD gray:answers_due") == 3


async def test_reading_takes_no_notice_and_a_strange_key_is_refused(
    side: Running, store: Server
) -> None:
    assert (await side.ask("GET", "/api/v1/state", idempotency_key="k")).status == 200
    assert store.cli("EXISTS gray:answers") == 0
    long = await side.ask("PUT", WEIGHTS, {"weights": {}}, idempotency_key="k" * 256)
    assert (long.status, long.json["code"]) == (400, "bad_request")
    assert not side.store.snapshot.warnings


async def test_a_key_of_another_type_is_told(side: Running, store: Server) -> None:
    store.cli("SET gray:answers x")
    answer = await side.ask("PUT", WEIGHTS, {"weights": {"v2": 20}}, idempotency_key="k")
    assert answer.status == 503
    assert store.cli("HGET gray:route:chat:weights v2") == "10"


async def test_a_stream_of_ids_is_not_held_for_it(side: Running, store: Server) -> None:
    answer = await side.ask(
        *("POST", "/api/v1/routes/chat/whitelist/v2/ids", b"alice\n"),
        content_type="text/plain",
        idempotency_key="k",
    )
    assert answer.status == 200
    assert store.cli("EXISTS gray:answers") == 0

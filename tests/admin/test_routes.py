from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.admin.running import Running, until
from tests.servers import Server

WEIGHTS = "/api/v1/routes/chat/weights"


async def set_weights(side: Running, **headers: str) -> Any:
    answer = await side.ask("PUT", WEIGHTS, {"weights": {"v2": 20}, "why": "more"}, **headers)
    assert answer.status == 200, answer
    return answer.json


class TestShow:
    async def test_a_route_is_told_with_its_revision_as_its_tag(self, side: Running) -> None:
        answer = await side.ask("GET", "/api/v1/routes/chat")
        assert (answer.status, answer.headers["ETag"]) == (200, '"1"')
        assert answer.headers["Cache-Control"] == "no-store"
        told = answer.json
        assert told["revision"] == 1
        assert told["changed_at_ms"] > 0
        assert (told["stable"], told["weights"], told["paused"]) == ("v1", {"v2": 10}, False)
        assert told["versions"]["v2"] == {
            **{"urls": ["http://10.0.0.2:1"], "rewrite_model": "", "meta": {}}
        }
        assert told["match"] == {"hosts": [], "paths": ["/"], "models": [], "methods": []}
        assert told["lists"] == {
            **{"blacklist": 0, "whitelist/v1": 0},
            **{"whitelist/v2": 0, "whitelist/v3": 0},
        }

    async def test_every_field_of_a_route_is_told(self, side: Running, store: Server) -> None:
        store.cli(
            "HSET gray:route:chat timeout_queue 2 balance rendezvous retries 0 health /ok "
            "body_limit 1MB mirror v3 mirror_percent 5"
        )
        await until(lambda: bool(side.store.snapshot.routes["chat"].spec.mirror), "it is read")
        told = await side.get("/api/v1/routes/chat")
        assert told["options"] == {
            **{"jwt": "verified", "dialect": "problem", "failover": True, "spill_cap": None},
            **{"balance": "rendezvous", "retries": 0},
            **{"max_requests": 1024, "max_pending": 1024, "max_connections": 1024},
            **{"health": "/ok", "health_interval": 2.0, "body_limit": 1_000_000},
            **{"mirror": "v3", "mirror_percent": 5.0, "mirror_credentials": False},
            **{"mirror_self": 20.0, "compare": "", "feedback": 0.0},
            **{"timeout_queue": 2.0, "timeout_connect": None, "timeout_first_byte": None},
            **{"timeout_idle": None, "timeout_total": None},
        }

    async def test_all_routes_are_told_by_name(self, side: Running) -> None:
        one = await side.get("/api/v1/routes/chat")
        assert await side.get("/api/v1/routes") == {"chat": one}

    async def test_notes_of_a_version_are_told_whatever_they_hold(
        self, side: Running, store: Server
    ) -> None:
        versions = "gray:route:chat:versions"
        notes = '{"urls": "http://10.0.0.9:1", "size": 9223372036854775807, "sign": "\\u0000<b>"}'
        store.execute("HSET", versions, "v3", notes)
        await until(
            lambda: bool(side.store.snapshot.routes["chat"].spec.versions["v3"].meta), "it is read"
        )
        # No reader of JSON could be trusted with this one.
        store.execute("HSET", versions, "v2", notes.replace("9223372036854775807", "9" * 40))
        await until(lambda: bool(side.store.snapshot.refused), "it is refused")
        told = await side.get("/api/v1/routes/chat")
        assert told["versions"]["v3"]["meta"] == {"size": 2**63 - 1, "sign": "\0<b>"}
        assert (await side.ask("GET", "/api/v1/state")).status == 200

    async def test_an_unknown_route_is_told_with_those_there_are(
        self, side: Running, store: Server
    ) -> None:
        one = await side.ask("GET", "/api/v1/routes/ghost")
        assert one.json["detail"] == "There is no route 'ghost' in force; there are: chat."
        for number in range(25):
            store.cli(f"HSET gray:route:r{number:02}:versions v1 http://10.0.0.1:1")
            store.cli(f"HSET gray:route:r{number:02} stable v1")
            store.cli(f"SADD gray:routes r{number:02}")
        await until(lambda: len(side.store.snapshot.routes) == 26, "all are in force")
        many = (await side.ask("GET", "/api/v1/routes/ghost")).json["detail"]
        assert many.endswith("r17, r18 and 6 more.")


class TestSetWeights:
    async def test_named_candidates_change_and_the_others_stay(
        self, side: Running, store: Server
    ) -> None:
        answer = await side.ask("PUT", WEIGHTS, {"weights": {"v3": 2.5}, "why": "try v3"})
        assert answer.json == {"revision": 2, "changed": True}
        assert answer.headers["ETag"] == '"2"'
        assert store.cli("HGETALL gray:route:chat:weights") == {"v2": "10", "v3": "2.5"}
        await until(
            lambda: side.store.snapshot.routes["chat"].spec.weights == {"v2": 10, "v3": 2.5},
            "the weights are in force",
        )

    async def test_the_same_again_changes_nothing(self, side: Running) -> None:
        assert await set_weights(side) == {"revision": 2, "changed": True}
        assert await set_weights(side) == {"revision": 2, "changed": False}

    @pytest.mark.parametrize(
        ("weights", "told"),
        [
            ({"v9": 5}, "'v9' is no version of this route."),
            ({"v2": -1}, "the weight of v2 is '-1'; write percent from 0 to 100"),
            ({"v2": 101}, "the weight of v2 is '101'; write percent from 0 to 100"),
            ({"v2": 1e300}, "write percent from 0 to 100"),
            ({"v2": 60, "v3": 60}, "the weights of the candidates add up to 120"),
            ({"v1": 70}, "v1 is stable and takes the rest, which is 90, not 70;"),
        ],
    )
    async def test_what_the_contract_forbids_is_refused_and_not_written(
        self, side: Running, store: Server, weights: dict[str, float], told: str
    ) -> None:
        answer = await side.ask("PUT", WEIGHTS, {"weights": weights})
        assert (answer.status, answer.json["code"]) == (422, "refused")
        assert told in answer.json["detail"]
        assert store.cli("HGETALL gray:route:chat:weights") == {"v2": "10"}
        assert len(await side.get("/api/v1/routes/chat/history")) == 1

    async def test_stable_may_be_named_with_the_rest_and_gets_no_entry(
        self, side: Running, store: Server
    ) -> None:
        answer = await side.ask("PUT", WEIGHTS, {"weights": {"v1": 80, "v2": 20}})
        assert answer.status == 200
        assert store.cli("HGETALL gray:route:chat:weights") == {"v2": "20"}

    async def test_an_entry_of_stable_that_would_be_wrong_now_goes(
        self, side: Running, store: Server
    ) -> None:
        store.cli("HSET gray:route:chat:weights v1 90")
        assert (await side.ask("PUT", WEIGHTS, {"weights": {"v2": 30}})).status == 200
        assert store.cli("HGETALL gray:route:chat:weights") == {"v2": "30"}

    async def test_a_route_that_the_store_lost_is_put_back_first(
        self, side: Running, store: Server
    ) -> None:
        store.cli("FLUSHALL")
        for path, content in (
            (WEIGHTS, {"weights": {"v2": 1}}),
            ("/api/v1/routes/chat/blacklist", {"add": ["bob"]}),
        ):
            answer = await side.ask("PUT" if path == WEIGHTS else "POST", path, content)
            assert answer.status == 404
            assert answer.json["detail"].endswith("put it back first, with: graygate repopulate")
        assert store.cli("KEYS gray:route:*") == []


class TestTwoWriters:
    async def test_of_two_at_the_same_revision_one_wins(self, side: Running) -> None:
        answers = await asyncio.gather(
            *(
                side.ask("PUT", WEIGHTS, {"weights": {"v2": weight}}, if_match='"1"')
                for weight in (20, 30, 40, 50)
            )
        )
        assert sorted(answer.status for answer in answers) == [200, 409, 409, 409]
        assert {a.json["code"] for a in answers if a.status == 409} == {"revision_conflict"}
        assert len(await side.get("/api/v1/routes/chat/history")) == 2

    async def test_those_that_expect_no_revision_both_write(self, side: Running) -> None:
        answers = await asyncio.gather(
            side.ask("PUT", WEIGHTS, {"weights": {"v2": 20}}),
            side.ask("PUT", WEIGHTS, {"weights": {"v3": 30}}, if_match="*"),
        )
        assert sorted(answer.json["revision"] for answer in answers) == [2, 3]
        entries = await side.get("/api/v1/routes/chat/history")
        assert [entry["revision"] for entry in entries] == [3, 2, 1]

    async def test_an_edit_by_redis_cli_between_reading_and_writing_is_a_writer(
        self, side: Running, store: Server
    ) -> None:
        read = await side.ask("GET", "/api/v1/routes/chat")
        store.cli("HSET gray:route:chat:weights v2 33")
        tag = read.headers["ETag"]
        answer = await side.ask("PUT", WEIGHTS, {"weights": {"v2": 20}}, if_match=tag)
        assert (answer.status, answer.json["code"]) == (409, "revision_conflict")
        assert "stands at revision 2 now, not at 1" in answer.json["detail"]
        assert store.cli("HGET gray:route:chat:weights v2") == "33"
        newest = (await side.get("/api/v1/routes/chat/history"))[0]
        assert (newest["by"], newest["revision"]) == ("redis", 2)


class TestRevert:
    async def test_weights_and_lists_come_back(self, side: Running, store: Server) -> None:
        await set_weights(side)
        await side.ask("POST", "/api/v1/routes/chat/whitelist/v2", {"add": ["alice"]})
        answer = await side.ask("POST", "/api/v1/routes/chat/revert", {"revision": 1})
        assert answer.json == {"revision": 4, "changed": True}
        assert store.cli("HGET gray:route:chat:weights v2") == "10"
        assert store.cli("SCARD gray:route:chat:whitelist:v2") == 0
        newest = (await side.get("/api/v1/routes/chat/history"))[0]
        assert newest["why"] == "back to revision 1"

    @pytest.mark.parametrize(
        ("revision", "status"), [(7, 404), (0, 400), (-1, 400), (2**60, 400), ("1", 400)]
    )
    async def test_a_revision_that_never_was_is_refused(
        self, side: Running, revision: object, status: int
    ) -> None:
        answer = await side.ask("POST", "/api/v1/routes/chat/revert", {"revision": revision})
        assert answer.status == status, answer


class TestDelete:
    async def test_a_deleted_route_is_gone_and_can_come_back(self, side: Running) -> None:
        answer = await side.ask("DELETE", "/api/v1/routes/chat?why=retired", if_match='"1"')
        assert answer.json == {"revision": 2, "changed": True}
        await until(lambda: not side.store.snapshot.routes, "the route is gone")
        assert (await side.ask("GET", "/api/v1/routes/chat")).status == 404
        assert (await side.ask("DELETE", "/api/v1/routes/chat")).status == 404
        newest = (await side.get("/api/v1/routes/chat/history"))[0]
        assert (newest["op"], newest["why"]) == ("delete", "retired")
        back = await side.ask("POST", "/api/v1/routes/chat/revert", {"revision": 1})
        assert back.status == 200
        await until(lambda: "chat" in side.store.snapshot.routes, "the route is back")

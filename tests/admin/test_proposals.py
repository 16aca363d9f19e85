"""Four eyes: what gives a candidate more waits for a second person; what gives it less never."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from tests.admin.running import (
    Answer,
    Running,
    Text,
    plant,
    redis_settings,
    revision,
    running,
    until,
)
from tests.admin.test_guard import TOKEN, made
from tests.servers import Server

WEIGHTS = "/api/v1/routes/chat/weights"
RULE = {"when": {"segment": "beta"}, "version": "v2"}


@dataclass(frozen=True, slots=True)
class People:
    """Three people and their tokens at a gateway with four eyes."""

    side: Running
    alice: str  # operator
    bob: str  # approver
    carol: str  # approver

    async def ask(self, token: str, method: str, path: str, content: object = None) -> Answer:
        return await self.side.ask(method, path, content, authorization=f"Bearer {token}")

    async def approve(self, token: str, proposal: str, **content: str) -> Answer:
        return await self.ask(token, "POST", f"/api/v1/proposals/{proposal}/approve", content)

    async def waiting(self) -> list[str]:
        return [one["id"] for one in (await self.ask(self.bob, "GET", "/api/v1/proposals")).json]

    async def history(self, route: str = "chat") -> list[dict[str, str]]:
        told = await self.ask(self.bob, "GET", f"/api/v1/routes/{route}/history")
        history: list[dict[str, str]] = told.json
        return history


@pytest.fixture
async def people(store: Server) -> AsyncIterator[People]:
    plant(store)
    async with running(redis_settings(store), token=TOKEN, four_eyes=True) as side:
        await revision(side)
        yield People(
            side,
            await made(side, "alice", "operator"),
            await made(side, "bob", "approver"),
            await made(side, "carol", "approver"),
        )


async def test_a_raise_is_written_once_a_second_person_consents_and_both_are_named(
    people: People, store: Server
) -> None:
    wanted = {"weights": {"v2": 20}, "why": "looks good"}
    answer = await people.ask(people.alice, "PUT", WEIGHTS, wanted)
    assert answer.status == 202
    [proposal] = answer.json["proposals"]
    assert (proposal["by"], proposal["why"]) == ("alice", "looks good")
    assert proposal["raises"] == ["v2 goes from 10 % to 20 %"]
    assert [change["field"] for change in proposal["changes"]] == ["v2"]
    assert store.cli("HGET gray:route:chat:weights v2") == "10"
    done = await people.approve(people.bob, proposal["id"], why="agreed")
    assert (done.status, done.json["changed"]) == (200, True)
    assert store.cli("HGET gray:route:chat:weights v2") == "20"
    newest = (await people.history())[0]
    assert newest["by"] == "alice"
    assert newest["why"] == "looks good; approved by bob (agreed)"
    assert await people.waiting() == []
    audit = await people.side.ask("GET", "/api/v1/audit", authorization=f"Bearer {TOKEN}")
    lines = audit.body.decode()
    assert '"proposed"' in lines and '"approved"' in lines


async def test_nobody_consents_to_his_own_wish_whatever_his_role_and_tokens(
    people: People, store: Server
) -> None:
    answer = await people.ask(people.bob, "PUT", WEIGHTS, {"weights": {"v2": 20}})
    [proposal] = answer.json["proposals"]
    second = await made(people.side, "bob", "admin")
    for token in (people.bob, second):
        refused = await people.approve(token, proposal["id"])
        assert (refused.status, refused.json["code"]) == (403, "forbidden")
    assert (await people.approve(people.alice, proposal["id"])).status == 403  # no approver
    assert store.cli("HGET gray:route:chat:weights v2") == "10"
    assert (await people.approve(people.carol, proposal["id"])).status == 200
    assert (await people.approve(people.carol, proposal["id"])).status == 404  # once only


@pytest.mark.parametrize(
    ("method", "path", "content"),
    [
        ("PUT", "weights", {"weights": {"v2": 5}}),
        ("PUT", "weights", {"weights": {"v2": 0}}),
        ("PATCH", "", {"route": {"paused": True}}),
        ("POST", "blacklist", {"add": ["eve"]}),
        ("POST", "whitelist/v2", {"remove": ["eve"]}),
        ("PUT", "rules", {"rules": [{"when": {}, "version": "v1"}]}),
        ("POST", "blacklist/ids", Text(b"mallory\n")),
        ("POST", "versions", {"name": "v9", "urls": ["http://10.0.0.9:1"]}),
    ],
)
async def test_what_gives_a_candidate_less_or_nothing_never_waits(
    people: People, method: str, path: str, content: object
) -> None:
    target = f"/api/v1/routes/chat/{path}".rstrip("/")
    answer = await people.ask(people.alice, method, target, content)
    assert answer.status == 200, answer
    assert await people.waiting() == []


@pytest.mark.parametrize(
    ("method", "path", "content"),
    [
        ("PUT", "/routes/chat/weights", {"weights": {"v3": 1}}),
        ("PATCH", "/routes/chat", {"route": {"weights": {"v2": 11}}}),
        ("PATCH", "/routes/chat", {"route": {"stable": "v2"}}),
        ("PUT", "/routes/chat/rules", {"rules": [RULE]}),
        ("POST", "/routes/chat/whitelist/v2", {"add": ["alice"]}),
        ("POST", "/routes/chat/whitelist/v2/ids", Text(b"alice\nbob\n")),
        ("POST", "/apply", {"routes": {"chat": {"weights": {"v2": 30}}}}),
    ],
)
async def test_whatever_gives_it_more_waits_and_is_written_as_proposed(
    people: People, method: str, path: str, content: object
) -> None:
    before = people.side.store.snapshot.routes["chat"].revision
    answer = await people.ask(people.alice, method, f"/api/v1{path}", content)
    assert answer.status == 202, answer
    [proposal] = answer.json["proposals"]
    assert len(await people.history()) == before
    assert (await people.approve(people.bob, proposal["id"])).status == 200
    assert len(await people.history()) == before + 1


async def test_a_revert_that_raises_waits_and_one_that_lowers_does_not(people: People) -> None:
    lowered = await people.ask(people.alice, "PUT", WEIGHTS, {"weights": {"v2": 0}})
    assert lowered.status == 200
    path = "/api/v1/routes/chat/revert"
    raising = await people.ask(people.alice, "POST", path, {"revision": 1})
    assert raising.status == 202
    [proposal] = raising.json["proposals"]
    assert (await people.approve(people.bob, proposal["id"])).status == 200
    assert (await people.ask(people.alice, "POST", path, {"revision": 2})).status == 200


async def test_of_several_routes_those_that_lower_are_written_at_once(
    people: People, store: Server
) -> None:
    store.cli("HSET gray:route:rank:versions v1 http://10.0.0.1:1 v2 http://10.0.0.2:1")
    store.cli("HSET gray:route:rank stable v1 path /rank")
    store.cli("SADD gray:routes rank")
    await revision(people.side, "rank")
    routes = {"chat": {"weights": {"v2": 1}}, "rank": {"weights": {"v2": 1}}}
    answer = await people.ask(people.alice, "POST", "/api/v1/apply", {"routes": routes})
    assert (answer.status, answer.json["written"]) == (202, ["chat"])
    assert [one["route"] for one in answer.json["proposals"]] == ["rank"]


async def test_a_segment_that_rules_ask_for_gains_nobody_without_consent(people: People) -> None:
    path = "/api/v1/segments/beta"
    assert (await people.ask(people.alice, "POST", path, {"add": ["ann"]})).status == 200
    rules = await people.ask(people.alice, "PUT", "/api/v1/routes/chat/rules", {"rules": [RULE]})
    [proposal] = rules.json["proposals"]
    done = await people.approve(people.bob, proposal["id"])
    await until(
        lambda: people.side.store.snapshot.routes["chat"].revision == done.json["revision"],
        "the rule is in force",
    )
    answer = await people.ask(people.alice, "POST", path, {"add": ["ben"]})
    [proposal] = answer.json["proposals"]
    assert proposal["segment"] == "beta"
    assert (await people.ask(people.alice, "POST", path, {"remove": ["ann"]})).status == 200
    # It has moved on since.
    assert (await people.approve(people.bob, proposal["id"])).status == 409
    answer = await people.ask(people.alice, "POST", path, {"add": ["ben"]})
    [proposal] = answer.json["proposals"]
    assert (await people.approve(people.bob, proposal["id"])).status == 200
    assert (await people.ask(people.bob, "GET", path)).json["ids"] == ["ben"]


async def test_what_moved_on_since_is_not_written_and_must_be_proposed_anew(
    people: People, store: Server
) -> None:
    answer = await people.ask(people.alice, "PUT", WEIGHTS, {"weights": {"v2": 20}})
    [proposal] = answer.json["proposals"]
    store.cli("HSET gray:route:chat:weights v3 1")  # by hand, and unnoticed by anybody
    done = await people.approve(people.bob, proposal["id"])
    assert (done.status, done.json["code"]) == (409, "revision_conflict")
    assert await people.waiting() == []
    assert store.cli("HGET gray:route:chat:weights v2") == "10"


async def test_a_proposal_is_refused_by_an_approver_or_taken_back_by_its_maker(
    people: People,
) -> None:
    for token in (people.alice, people.bob):
        answer = await people.ask(people.alice, "PUT", WEIGHTS, {"weights": {"v2": 20}})
        [proposal] = answer.json["proposals"]
        path = f"/api/v1/proposals/{proposal['id']}/refuse"
        other = await made(people.side, "dave", "operator")
        assert (await people.ask(other, "POST", path, {})).status == 403
        assert (await people.ask(token, "POST", path, {})).json["refused"] is True
        assert (await people.approve(people.bob, proposal["id"])).status == 404


async def test_an_import_that_is_too_long_to_be_looked_at_is_refused(people: People) -> None:
    ids = Text(b"".join(b"user-%d\n" % number for number in range(20_001)))
    path = "/api/v1/routes/chat/whitelist/v2/ids"
    for method in ("POST", "PUT"):
        answer = await people.ask(people.alice, method, path, ids)
        assert (answer.status, answer.json["code"]) == (422, "refused")
        assert "takes two people" in answer.json["detail"]
    assert await people.waiting() == []


async def test_a_wish_that_is_wrong_is_refused_and_not_proposed(people: People) -> None:
    answer = await people.ask(people.alice, "PUT", WEIGHTS, {"weights": {"v2": 101}})
    assert (answer.status, answer.json["code"]) == (422, "refused")
    assert await people.waiting() == []


async def test_a_proposal_does_not_wait_for_ever(store: Server) -> None:
    plant(store)
    async with running(
        redis_settings(store), token=TOKEN, four_eyes=True, proposal_seconds=1.0
    ) as side:
        await revision(side)
        bearer = {"authorization": f"Bearer {TOKEN}"}
        answer = await side.ask("PUT", WEIGHTS, {"weights": {"v2": 20}}, **bearer)
        [proposal] = answer.json["proposals"]
        name = proposal["id"]
        text = store.cli(f"HGET gray:proposals {name}")
        over = str(text).replace(f'"expires":{proposal["expires"]}', '"expires":1')
        store.execute("HSET", "gray:proposals", name, over)
        store.execute("HSET", "gray:proposals", "typed", "by hand")
        assert (await side.ask("GET", "/api/v1/proposals", **bearer)).json == []
        assert store.cli("EXISTS gray:proposals") == 0


async def test_the_same_call_with_its_key_again_proposes_once(people: People) -> None:
    headers = {"authorization": f"Bearer {people.alice}", "idempotency_key": "k-1"}
    for _ in range(2):
        answer = await people.side.ask("PUT", WEIGHTS, {"weights": {"v2": 20}}, **headers)
        assert answer.status == 202
    assert len(await people.waiting()) == 1


async def test_releases_have_approvals_of_their_own_and_are_not_hindered(people: People) -> None:
    plan = {"candidate": "v2", "stages": [{"weight": 20}, {"weight": 100}]}
    path = "/api/v1/routes/chat/release"
    assert (await people.ask(people.alice, "POST", path, {"plan": plan})).status == 200
    assert await people.waiting() == []


async def test_what_is_in_force_comes_back_into_a_store_that_lost_it_without_consent(
    people: People, store: Server
) -> None:
    keys = "gray:routes gray:route:chat gray:route:chat:versions gray:route:chat:weights"
    store.cli(f"DEL {keys} gray:route:chat:history")
    await until(lambda: bool(people.side.store.snapshot.refused), "the loss is noticed")
    answer = await people.ask(people.alice, "POST", "/api/v1/repopulate", {})
    assert answer.status == 200, answer
    assert store.cli("HGET gray:route:chat:weights v2") == "10"
    assert await people.waiting() == []


async def test_without_four_eyes_nothing_waits(side: Running) -> None:
    assert (await side.ask("PUT", WEIGHTS, {"weights": {"v2": 20}})).status == 200

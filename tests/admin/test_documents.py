from __future__ import annotations

import asyncio
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.state.tokens import Role
from tests.admin.running import Running, plant, redis_settings, revision, running, until
from tests.admin.table import ROUTE
from tests.servers import Server

CHAT = "/api/v1/routes/chat"
APPLY = "/api/v1/apply"
TOKEN = "bootstrap"


async def test_a_route_is_made_once_and_replaced_but_for_what_moves(
    side: Running, store: Server
) -> None:
    route = {"stable": "v1", "path": ["/rank", "/sort"], "versions": {"v1": "http://10.0.0.4:1"}}
    made = await side.ask("PUT", "/api/v1/routes/rank", {"route": route, "why": "new"})
    assert (made.json, made.headers["ETag"]) == ({"revision": 1, "changed": True}, '"1"')
    again = await side.ask("PUT", "/api/v1/routes/rank?new=true", {"route": route})
    assert (again.status, again.json["code"]) == (409, "in_use")
    store.cli("HSET gray:route:chat dialect openai paused 1 salt s")
    whole = await side.ask("PUT", CHAT, {"route": {**ROUTE, "path": "/v1"}})
    assert whole.status == 200
    assert store.cli("HGETALL gray:route:chat") == {
        **{"stable": "v1", "path": "/v1", "paused": "1", "salt": "s"}
    }
    assert store.cli("HGETALL gray:route:chat:weights") == {"v2": "10"}
    [entry, *_] = await side.get("/api/v1/routes/rank/history")
    assert (entry["why"], entry["by"]) == ("new", "admin")


async def test_a_change_names_what_it_changes(side: Running, store: Server) -> None:
    change = {
        **{"path": "/v1", "failover": False, "timeout_idle": 2.5, "retries": 0},
        **{"versions": {"v3": None, "v2": {"notes": "newer"}}},
    }
    assert (await side.ask("PATCH", CHAT, {"route": change})).status == 200
    assert store.cli("HGETALL gray:route:chat") == {
        **{"stable": "v1", "path": "/v1", "failover": "0", "timeout_idle": "2.5", "retries": "0"}
    }
    assert store.cli("HGETALL gray:route:chat:versions") == {
        **{"v1": "http://10.0.0.1:1", "v2": '{"urls":["http://10.0.0.2:1"],"notes":"newer"}'}
    }
    await side.ask("PATCH", CHAT, {"route": {"path": None, "timeout_idle": None}})
    assert store.cli("HGETALL gray:route:chat") == {"stable": "v1", "failover": "0", "retries": "0"}


async def test_what_is_wrong_is_told_field_by_field(side: Running, store: Server) -> None:
    change = {
        **{"dialect": "klingon", "host": "a b/", "balance": "x", "weights": {"v2": 101, "v9": 1}},
        "rules": [{"when": {"heder": {}}, "version": "v2"}, {"when": {}}],
    }
    answer = await side.ask("PATCH", CHAT, {"route": change})
    assert (answer.status, answer.json["code"]) == (422, "refused")
    errors = {error["field"]: error["text"] for error in answer.json["errors"]}
    assert set(errors) == {
        *("dialect", "host", "balance", "weights.v2", "weights.v9", "rules[0]", "rules[1]")
    }
    assert "'heder' is no condition. Did you mean header?" in errors["rules[0]"]
    unknown = await side.ask("PATCH", CHAT, {"route": {"dialekt": "openai", "hosts": {}}})
    assert [(error["field"], error["text"]) for error in unknown.json["errors"]] == [
        ("dialekt", "is no field of a route; did you mean dialect?"),
        ("hosts", "is no field of a route; did you mean host?"),
    ]
    assert store.cli("XLEN gray:route:chat:history") == 1


async def test_a_version_in_use_is_not_left_out_by_replacing(side: Running, store: Server) -> None:
    store.cli("SADD gray:route:chat:whitelist:v3 alice")
    fewer = {"stable": "v1", "versions": {"v1": "http://10.0.0.1:1", "v2": "http://10.0.0.2:1"}}
    answer = await side.ask("PUT", CHAT, {"route": fewer})
    assert (answer.status, answer.json["code"]) == (409, "in_use")
    assert answer.json["detail"] == "v3 of chat is in use: its whitelist holds 1 id."
    retired = {"versions": {"v3": {"state": "retired"}}}
    answer = await side.ask("PATCH", CHAT, {"route": retired})
    assert answer.json["detail"] == "v3 of chat is in use: its whitelist holds 1 id."
    null = await side.ask("PATCH", CHAT, {"route": {"versions": {"v2": None}}})
    assert null.json["detail"] == "v2 of chat is in use: it has a weight of 10 %."


async def test_C14_of_two_writers_of_one_revision_one_is_told(side: Running, store: Server) -> None:
    calls = [
        side.ask("PATCH", CHAT, {"route": {"path": f"/{name}"}}, if_match='"1"')
        for name in ("a", "b")
    ]
    answers = await asyncio.gather(*calls)
    assert sorted(answer.status for answer in answers) == [200, 409]
    [won] = [name for name, one in zip("ab", answers, strict=True) if one.status == 200]
    assert store.cli("HGET gray:route:chat path") == f"/{won}"


async def test_C14_an_edit_by_hand_is_a_writer_too(side: Running, store: Server) -> None:
    read = (await side.ask("GET", CHAT)).headers["ETag"]
    store.cli("HSET gray:route:chat timeout_idle 7")
    answer = await side.ask("PATCH", CHAT, {"route": {"timeout_idle": 9}}, if_match=read)
    assert (answer.status, answer.json["code"]) == (409, "revision_conflict")
    assert store.cli("HGET gray:route:chat timeout_idle") == "7"
    # Without a revision nothing is lost either: what was typed is in the history, and comes first.
    await side.ask("PATCH", CHAT, {"route": {"timeout_idle": 9}})
    newest, by_hand, _ = await side.get(f"{CHAT}/history")
    assert [(one["via"], one["changes"][0]["after"]) for one in (by_hand, newest)] == [
        ("redis", "7"), ("api", "9"),
    ]  # fmt: skip


async def test_apply_tells_each_route_and_writes_those_that_differ(
    side: Running, store: Server
) -> None:
    routes = {"chat": {"path": "/v1"}, "rank": {**ROUTE, "path": "/rank"}}
    dry = await side.ask("POST", f"{APPLY}?dry_run=true", {"routes": routes})
    assert (dry.json["dry_run"], dry.json["changed"]) == (True, 2)
    assert store.cli("XLEN gray:route:chat:history") == 1
    done = (await side.ask("POST", APPLY, {"routes": routes, "why": "git"})).json
    assert done["routes"] == [
        {
            **{"route": "chat", "op": "change", "revision": 2},
            "changes": [{"part": "route", "field": "path", "before": None, "after": "/v1"}],
        },
        {**done["routes"][1], "route": "rank", "op": "create", "revision": 1},
    ]
    again = (await side.ask("POST", APPLY, {"routes": routes})).json
    assert [(one["op"], one["revision"]) for one in again["routes"]] == [("same", 2), ("same", 1)]
    assert store.cli("XLEN gray:route:chat:history") == 2
    strange = await side.ask("POST", f"{APPLY}?prune=perhaps", {"routes": {}})
    assert (strange.status, strange.json["detail"]) == (400, "prune takes true or false.")


async def test_of_many_routes_none_is_written_when_one_is_wrong(
    side: Running, store: Server
) -> None:
    routes = {"chat": {"path": "/v1"}, "rank": {"path": "rank"}}
    answer = await side.ask("POST", APPLY, {"routes": routes})
    assert {error["field"] for error in answer.json["errors"]} == {
        *("routes.rank.stable", "routes.rank.path")
    }
    assert store.cli("HEXISTS gray:route:chat path") == 0


async def test_taking_routes_away_takes_an_approver(store: Server) -> None:
    plant(store)
    async with running(redis_settings(store), token=TOKEN) as side:
        await revision(side)
        tokens = {}
        for role in (Role.OPERATOR, Role.APPROVER):
            made = await side.ask(
                "POST", "/api/v1/tokens", {"name": "t", "role": str(role)},
                authorization=f"Bearer {TOKEN}",
            )  # fmt: skip
            tokens[role] = f"Bearer {made.json['token']}"
        path = f"{APPLY}?prune=true"
        keep = {"routes": {"rank": {"stable": "v1", "versions": {"v1": "http://10.0.0.4:1"}}}}
        refused = await side.ask("POST", path, keep, authorization=tokens[Role.OPERATOR])
        assert (refused.status, refused.json["code"]) == (403, "forbidden")
        assert refused.json["detail"] == (
            "Taking routes or versions away takes the role approver; t is operator."
        )
        fewer = {"route": {"versions": {"v3": None}}}
        patched = await side.ask("PATCH", CHAT, fewer, authorization=tokens[Role.OPERATOR])
        assert (patched.status, patched.json["code"]) == (403, "forbidden")
        dry = await side.ask(
            "POST", f"{path}&dry_run=true", keep, authorization=tokens[Role.OPERATOR]
        )
        assert [one["op"] for one in dry.json["routes"]] == ["create", "delete"]
        done = await side.ask("POST", path, keep, authorization=tokens[Role.APPROVER])
        assert done.json["changed"] == 2
        await until(lambda: list(side.store.snapshot.routes) == ["rank"], "the route is gone")


THINGS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
NAMES = st.sampled_from(
    ["stable", "path", "host", "versions", "weights", "rules", "retries", "mirror", "salt", "x"]
)
PARTS = st.dictionaries(
    st.sampled_from(["v1", "v2", "urls", "meta", "state", "when", "version", "scores"]),
    THINGS,
    max_size=4,
)


async def test_A18_whatever_is_sent_it_is_done_or_refused(side: Running) -> None:
    documents: list[object] = []

    @given(st.dictionaries(NAMES, THINGS | PARTS | st.lists(PARTS, max_size=2), max_size=4))
    @settings(max_examples=150, database=None, deadline=None)
    def collect(document: object) -> None:
        documents.append(document)

    await asyncio.to_thread(collect)
    for document in documents:
        body = json.dumps({"routes": {"chat": document}}).encode()
        answer = await side.ask("POST", f"{APPLY}?dry_run=true", body)
        assert answer.status in (200, 400, 422), (document, answer)
        single = json.dumps({"route": document}).encode()
        answer = await side.ask("PATCH", CHAT, single)
        assert answer.status in (200, 400, 409, 422), (document, answer)


async def test_a_route_is_not_deleted_while_a_release_of_it_runs(
    side: Running, store: Server
) -> None:
    store.execute("HSET", "gray:route:chat:release", "release", "r-1", "running", "1")
    told = "The release r-1 of chat is running; end it first, with: graygate release abort chat"
    keep = {"routes": {"rank": {"stable": "v1", "versions": {"v1": "http://10.0.0.4:1"}}}}
    for method, path, body in (("DELETE", CHAT, None), ("POST", f"{APPLY}?prune=true", keep)):
        refused = await side.ask(method, path, body)
        assert (refused.status, refused.json["code"]) == (409, "in_use")
        assert refused.json["detail"] == told
    assert store.cli("EXISTS gray:route:chat gray:route:rank") == 1, "nothing was written"
    store.execute("HSET", "gray:route:chat:release", "running", "0")
    assert (await side.ask("DELETE", CHAT)).status == 200


async def test_pruning_takes_at_least_one_route_to_keep(side: Running, store: Server) -> None:
    for query in ("?prune=true", "?prune=true&dry_run=true"):
        refused = await side.ask("POST", APPLY + query, {"routes": {}})
        assert (refused.status, refused.json["code"]) == (422, "refused")
        assert "this would delete every route" in refused.json["detail"]
    assert store.cli("EXISTS gray:route:chat") == 1


async def test_an_empty_body_is_called_empty(side: Running) -> None:
    for body in (b"", b" \n"):
        refused = await side.ask("POST", APPLY, body)
        assert (refused.status, refused.json["detail"]) == (
            400,
            "The body is empty; it takes JSON.",
        )

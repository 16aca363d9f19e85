from __future__ import annotations

import pytest

from gateway.routing.spec import RouteSpec
from gateway.state.raw import RawRoute, RouteState
from tests.admin.running import Running, until
from tests.servers import Server

VERSIONS = "/api/v1/routes/chat/versions"


async def test_a_version_is_told_with_what_uses_it(side: Running, store: Server) -> None:
    store.cli("SADD gray:route:chat:whitelist:v2 alice bob")
    store.cli('RPUSH gray:route:chat:rules \'{"when": {}, "weights": {"v2": 3}}\'')
    await until(
        lambda: (
            bool(side.store.snapshot.routes["chat"].spec.rules)
            and len(side.store.snapshot.lists["route/chat/whitelist/v2"]) == 2
        ),
        "it is read",
    )
    answer = await side.ask("GET", f"{VERSIONS}/v2")
    assert answer.headers["ETag"] == f'"{side.store.snapshot.routes["chat"].revision}"'
    assert answer.json == {
        **{"urls": ["http://10.0.0.2:1"], "rewrite_model": "", "meta": {}, "state": "active"},
        **{"is_stable": False, "weight": 10.0},
        "used_by": [
            *("it has a weight of 10 %", "rule 0 sends requests there"),
            "its whitelist holds 2 ids",
        ],
    }
    told = await side.get(VERSIONS)
    assert list(told) == ["v1", "v2", "v3"]
    assert told["v1"]["used_by"] == ["it is stable"]
    assert (told["v1"]["weight"], told["v3"]["used_by"]) == (90.0, [])


async def test_a_retired_version_is_told_and_gets_no_traffic(side: Running, store: Server) -> None:
    assert (await side.ask("POST", f"{VERSIONS}/v3/retire", {"why": "old"})).status == 200
    await until(lambda: "v3" in side.store.snapshot.routes["chat"].spec.retired, "it is read")
    route = await side.get("/api/v1/routes/chat")
    assert ("v3" in route["versions"], route["retired"]["v3"]["urls"]) == (
        False, ["http://10.0.0.3:1"],
    )  # fmt: skip
    assert (await side.get(f"{VERSIONS}/v3"))["state"] == "retired"
    refused = await side.ask("POST", "/api/v1/routes/chat/whitelist/v3", {"add": ["alice"]})
    assert (refused.status, "belongs to no version" in refused.json["detail"]) == (422, True)
    # By hand it is refused like any version that is not there; the last good form stays.
    store.cli("HSET gray:route:chat:weights v3 5")
    await until(lambda: bool(side.store.snapshot.refused), "it is refused")
    [refusal] = side.store.snapshot.refused
    assert "It is retired; bring it back with: graygate version restore chat v3" in refusal.text
    assert side.store.snapshot.routes["chat"].spec.weights == {"v2": 10.0}


async def test_a_version_that_gets_an_id_at_the_same_time_is_not_removed(
    side: Running, store: Server
) -> None:
    """The id is added after the whitelist was looked at: the two cannot both be done."""
    writer = side.store.writer
    read = writer.judge

    def judge(raw: RawRoute, after: RouteState) -> RouteSpec:
        store.cli("XADD gray:route:chat:history 2-1 state {} at 1 print x")
        return read(raw, after)

    writer.judge = judge  # type: ignore[method-assign]
    done = await side.ask("DELETE", f"{VERSIONS}/v3", if_match='"1"')
    assert (done.status, done.json["code"]) == (409, "revision_conflict")
    assert store.cli("HEXISTS gray:route:chat:versions v3") == 1


async def test_in_use_is_a_conflict_with_what_uses_it(side: Running) -> None:
    for method, path in (("DELETE", f"{VERSIONS}/v2"), ("POST", f"{VERSIONS}/v2/retire")):
        answer = await side.ask(method, path, {} if method == "POST" else None)
        assert (answer.status, answer.json["code"]) == (409, "in_use")
        assert answer.json["detail"] == "v2 of chat is in use: it has a weight of 10 %."


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://169.254.169.254/latest", "upstream.denied_networks"),
        ("http://[::ffff:169.254.169.254]", "upstream.denied_networks"),
        ("http://2852039166", "hides an address"),
        ("http://0xa9fea9fe/", "hides an address"),
        ("http://0251.0376.0251.0376", "hides an address"),
        ("http://169.254.43518", "hides an address"),
        ("http://127.0.0.1:8081", "the gateway's own admin port"),
        ("http://localhost:8080", "the gateway's own data port"),
        ("file:///etc/passwd", "does not begin with http://"),
        ("gopher://10.0.0.1", "does not begin with http://"),
        ("http://user:hunter2@10.0.0.1", "it holds a user or password"),
        ("http://10.0.0.1/\r\nX: y", "printable ASCII"),
        ("http://[fe80::1]", "upstream.denied_networks"),
    ],
)
async def test_A08_A09_where_no_endpoint_may_be_none_is_written(
    side: Running, store: Server, url: str, told: str
) -> None:
    answer = await side.ask("POST", VERSIONS, {"name": "v9", "urls": [url]})
    assert (answer.status, answer.json["code"]) == (422, "refused")
    [error] = answer.json["errors"]
    assert error["field"] == "versions.v9"
    assert told in error["text"]
    assert "hunter2" not in answer.body.decode()
    assert store.cli("HEXISTS gray:route:chat:versions v9") == 0


async def test_A20_the_same_is_refused_when_it_is_typed_by_hand(
    side: Running, store: Server
) -> None:
    store.cli("HSET gray:route:chat:versions v3 http://169.254.169.254")
    await until(lambda: bool(side.store.snapshot.refused), "it is refused")
    assert side.store.snapshot.routes["chat"].spec.versions["v3"].urls == ("http://10.0.0.3:1",)


async def test_notes_change_one_by_one_and_null_takes_one_away(
    side: Running, store: Server
) -> None:
    body = {"name": "v4", "urls": ["http://10.0.0.4:1"], "meta": {"created": "x", "a": 1, "b": 2}}
    assert (await side.ask("POST", VERSIONS, body)).json == {"revision": 2, "changed": True}
    change = {"meta": {"a": None, "c": [3]}, "rewrite_model": "m"}
    assert (await side.ask("PATCH", f"{VERSIONS}/v4", change)).json["revision"] == 3
    assert (await side.ask("PATCH", f"{VERSIONS}/v4", change)).json["changed"] is False
    assert store.cli("HGET gray:route:chat:versions v4") == (
        '{"urls":["http://10.0.0.4:1"],"rewrite_model":"m","created":"x","b":2,"c":[3]}'
    )
    wrong = {"meta": {"scores": {"a": "high"}, "digest": 5}}
    answer = await side.ask("PATCH", f"{VERSIONS}/v4", wrong)
    assert {error["field"] for error in answer.json["errors"]} == {"meta.scores", "meta.digest"}
    empty = await side.ask("PATCH", f"{VERSIONS}/v4", {"urls": []})
    assert (empty.status, empty.json["errors"][0]["field"]) == (422, "urls")

"""What is read of a request to decide it, and what the decision does to it."""

from __future__ import annotations

import json

import pytest

from gateway.routing.spec import RouteSpec, RuleSpec, VersionSpec
from tests.proxy.conftest import Start
from tests.proxy.link import until
from tests.proxy.message import read_head
from tests.proxy.model import Model
from tests.proxy.side import Feed, Side, closed_port


def posted(body: bytes, *, chunked: bool = False, path: bytes = b"/") -> bytes:
    head = b"POST " + path + b" HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    if not chunked:
        return head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    half = len(body) // 2
    parts = b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in (body[:half], body[half:]) if p)
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + parts + b"0\r\n\r\n"


def dead() -> str:
    return f"http://127.0.0.1:{closed_port()}"


# The model in the body.


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
async def test_the_model_in_the_body_chooses_the_route_and_the_body_is_passed_on(
    side: Side, feed: Feed, chunked: bool
) -> None:
    side.use(side.spec(), side.spec(name="other", models=("gpt-x",), stable="v2"))
    body = b'{ "messages":[{"role":"user","content":"\\u00e9"}], "model":"gpt-x", "x":1 }'
    answer = await side.once(posted(body, chunked=chunked), feed=feed)
    assert answer.one("x-graygate-version") == "v2"
    assert side.model.requests[0].body == body


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b"[1]",
        b'"gpt-x"',
        b'{"model": 7}',
        b'{"model": null}',
        b'{"model": ["gpt-x"]}',
        b'{"model": "gpt-x"',
        b'{"model": "GPT-X"}',
        b'{"nested": {"model": "gpt-x"}}',
        b'\xef\xbb\xbf{"model": "gpt-x"}',
        b'{"model": "\xff"}',
        b'{"model": "\\ud800"}',
        b"[" * 100_000,
        b'{"a":' * 50_000,
    ],
)
async def test_a_body_that_names_no_model_is_passed_on_as_it_is(side: Side, body: bytes) -> None:
    side.use(side.spec(), side.spec(name="other", models=("gpt-x",), stable="v2"))
    answer = await side.once(posted(body))
    assert (answer.status, answer.one("x-graygate-version")) == (200, "v1")
    assert side.model.requests[0].body == body


async def test_a_request_without_a_body_is_matched_without_it(side: Side, feed: Feed) -> None:
    side.use(side.spec(), side.spec(name="other", models=("gpt-x",), stable="v2"))
    answer = await side.once(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", feed=feed)
    assert answer.one("x-graygate-version") == "v1"


async def test_what_was_asked_before_without_a_body_says_nothing_of_the_model(side: Side) -> None:
    side.use(side.spec(), side.spec(name="other", models=("gpt-x",), stable="v2"))
    client = await side.dial()
    for body, version in ((b"", "v1"), (b'{"model": "gpt-x"}', "v2"), (b"{}", "v1")):
        for _ in range(2):
            assert (await client.ask(posted(body))).one("x-graygate-version") == version


async def test_a_model_that_no_route_takes_is_a_404(side: Side, feed: Feed) -> None:
    side.use(side.spec(models=("gpt-x",)))
    client = await side.dial()
    await feed(client, posted(b'{"model": "gpt-y"}'))
    answer = await client.answer()
    assert (answer.status, answer.code) == (404, "no_route")
    if not answer.closes:
        assert (await client.ask(posted(b'{"model": "gpt-x"}'))).status == 200
    assert len(side.model.requests) == (0 if answer.closes else 1)


async def test_a_rule_on_the_model_and_a_unit_in_the_body_are_found(side: Side) -> None:
    side.use(side.spec(rules=(RuleSpec(when={"model": "gpt-x"}, version="v2"),)))
    answer = await side.once(posted(b'{"model": "gpt-x"}'))
    assert answer.one("x-graygate-reason") == "rule"
    side.use(side.spec(unit=("body:user",)), v2=frozenset({b"alice"}))
    answer = await side.once(posted(b'{"user": "alice"}'))
    assert answer.one("x-graygate-reason") == "whitelist"
    answer = await side.once(posted(b'{"user": ["alice"]}'))
    assert answer.one("x-graygate-reason") == "stable"


async def test_where_nothing_in_the_body_decides_it_is_not_waited_for(side: Side) -> None:
    client = await side.dial()
    client.send(posted(b"x" * 100)[:-50])
    await until(lambda: bool(side.model.heads), "the model has the head before the body is there")
    client.send(b"x" * 50)
    assert (await client.answer()).status == 200


# How much of it is read.


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
async def test_a_body_that_decides_is_read_up_to_the_limit(start: Start, chunked: bool) -> None:
    side = await start(limits={"decision_body_bytes": 1000})
    side.use(side.spec(unit=("body:user",)))
    body = b'{"user": "alice", "x": "' + b"y" * 1000
    assert (await side.once(posted(body[:1000], chunked=chunked))).status == 200
    seen = len(side.model.received)
    client = await side.dial()
    client.send(posted(body[:1001], chunked=chunked))
    answer = await client.answer()
    assert (answer.status, answer.code, answer.closes) == (413, "body_too_large", True)
    await client.to_end(None)
    assert len(side.model.received) == seen


async def test_by_default_that_is_a_mebibyte(side: Side) -> None:
    side.use(side.spec(unit=("body:user",)))
    assert (await side.once(posted(b" " * 2**20))).status == 200
    client = await side.dial()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (2**20 + 1))
    answer = await client.answer()
    assert (answer.status, answer.code) == (413, "body_too_large")
    side.use(side.spec())
    assert (await side.once(posted(b" " * (2**20 + 1)))).status == 200


async def test_the_routes_body_limit_holds_where_the_body_chose_the_route(side: Side) -> None:
    side.use(side.spec(), side.spec(name="other", models=("gpt-x",), body_limit=30))
    small = b'{"model": "gpt-x"}'
    assert (await side.once(posted(small))).status == 200
    answer = await side.once(posted(small + b" " * 20))
    assert (answer.status, answer.code) == (413, "body_too_large")
    assert (await side.once(posted(b'{"model": "other"}' + b" " * 20))).status == 200


# Another name for the model.


def renaming(side: Side) -> RouteSpec:
    versions = {
        "v1": VersionSpec(urls=(side.model.url,)),
        "v2": VersionSpec(urls=(side.model.url,), rewrite_model="llama-70b"),
    }
    return side.spec(versions=versions)


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
async def test_a_version_is_asked_for_its_own_model(side: Side, feed: Feed, chunked: bool) -> None:
    side.use(renaming(side), v2=frozenset({b"alice"}))
    body = b'{"temperature": 1.10, "model": "gpt-x", "messages": [ {"content": "model"} ]}'
    request = posted(body, chunked=chunked).replace(b"Host: a", b"Host: a\r\nX-User-Id: alice", 1)
    answer = await side.once(request, feed=feed)
    assert (answer.status, answer.one("x-graygate-version")) == (200, "v2")
    got = side.model.requests[0]
    assert json.loads(got.body) == {**json.loads(body), "model": "llama-70b"}
    assert b"1.10" in got.body, "other values keep their very bytes"
    assert got.one("content-length") == str(len(got.body))


async def test_a_version_without_a_name_of_its_own_gets_the_body_as_it_came(side: Side) -> None:
    side.use(renaming(side))
    body = b'{ "model":"gpt-x" }'
    await side.once(posted(body))
    assert side.model.requests[0].body == body


@pytest.mark.parametrize("body", [b"no json", b'{"x": 1}', b"[1]", b""])
async def test_where_no_model_is_named_none_is_put_in(side: Side, body: bytes) -> None:
    side.use(renaming(side), v2=frozenset({b"alice"}))
    request = posted(body).replace(b"Host: a", b"Host: a\r\nX-User-Id: alice", 1)
    assert (await side.once(request)).status == 200
    assert side.model.requests[0].body == body


async def test_after_a_failover_the_model_is_that_of_the_new_version(side: Side) -> None:
    versions = {
        "v1": VersionSpec(urls=(side.model.url,), rewrite_model="old"),
        "v2": VersionSpec(urls=(dead(),), rewrite_model="new"),
    }
    side.use(side.spec(versions=versions, weights={"v2": 100}))
    answer = await side.once(posted(b'{"model": "gpt-x"}'))
    assert (answer.status, answer.one("x-graygate-reason")) == (200, "failover")
    assert json.loads(side.model.requests[0].body) == {"model": "old"}


async def test_a_rewritten_body_needs_no_100_of_the_model(side: Side) -> None:
    side.use(renaming(side), v2=frozenset({b"alice"}))
    body = b'{"model": "gpt-x"}'
    request = posted(body).replace(
        b"Host: a", b"Host: a\r\nX-User-Id: alice\r\nExpect: 100-continue", 1
    )
    client = await side.dial()
    client.send(request.removesuffix(body))
    assert (await read_head(client)).status == 100
    client.send(body)
    assert (await client.answer()).status == 200
    assert json.loads(side.model.requests[0].body) == {"model": "llama-70b"}


# What the answer tells.


async def test_the_answer_names_version_and_reason(side: Side) -> None:
    side.use(side.spec(), v2=frozenset({b"alice"}), blacklist=frozenset({b"mallory"}))
    seen = {}
    for user in ("alice", "mallory", "bob"):
        answer = await side.ask(X_User_Id=user)
        seen[user] = (answer.one("x-graygate-version"), answer.one("x-graygate-reason"))
    assert seen == {
        "alice": ("v2", "whitelist"),
        "mallory": ("v1", "blacklist"),
        "bob": ("v1", "stable"),
    }
    assert side.plane.decisions == {
        ("chat", "v2", "whitelist"): 1,
        ("chat", "v1", "blacklist"): 1,
        ("chat", "v1", "stable"): 1,
    }
    assert (side.codes("v1"), side.codes("v2")) == ({200: 2}, {200: 1})


@pytest.mark.parametrize("version", [True, False])
@pytest.mark.parametrize("reason", [True, False])
async def test_C7_each_of_them_can_be_switched_off(
    start: Start, version: bool, reason: bool
) -> None:
    side = await start(answers={"version_header": version, "reason_header": reason})
    for spec in (side.spec(), side.spec(versions={"v1": VersionSpec(urls=(dead(),))})):
        side.use(spec)
        answer = await side.ask()
        assert ("x-graygate-version" in answer.names) == version
        assert ("x-graygate-reason" in answer.names) == reason
        assert "x-request-id" in answer.names
    assert side.model.last.one("x-graygate-version") == "v1", "the model is told all the same"


async def test_the_table_is_swapped_between_two_requests_of_a_connection(side: Side) -> None:
    client = await side.dial()
    assert (await client.ask()).one("x-graygate-version") == "v1"
    side.use(side.spec(weights={"v2": 100}))
    assert (await client.ask()).one("x-graygate-version") == "v2"
    side.use()
    assert (await client.ask()).status == 404


async def test_a_request_keeps_the_table_that_it_began_with(side: Side) -> None:
    client = await side.dial()
    client.send(posted(b"x" * 100)[:-50])
    await until(lambda: bool(side.model.heads), "it has begun")
    side.use(side.spec(name="other", stable="v2"))
    client.send(b"x" * 50)
    answer = await client.answer()
    assert (answer.status, answer.one("x-graygate-version")) == (200, "v1")
    assert side.in_flight() == 0


# When a version is down.


def split(side: Side, v1: str, v2: str, **changes: object) -> None:
    versions = {"v1": VersionSpec(urls=(v1,)), "v2": VersionSpec(urls=(v2,))}
    side.use(side.spec(versions=versions, **changes))


async def test_a_candidate_that_is_known_to_be_down_gets_no_more_weight(side: Side) -> None:
    split(side, side.model.url, dead(), weights={"v2": 100})
    for _ in range(20):
        answer = await side.ask()
        assert (answer.status, answer.one("x-graygate-version")) == (200, "v1")
    assert side.errors("v2")["connect"] <= 6
    assert side.plane.decisions["chat", "v1", "failover"] == 20


async def test_when_stable_is_down_a_candidate_gets_its_share_and_no_more(
    side: Side, other: Model
) -> None:
    split(side, dead(), other.url, weights={"v2": 10})
    statuses = [(await side.ask(X_User_Id=f"u{n}")).status for n in range(200)]
    assert 5 < statuses.count(200) < 45
    assert len(other.requests) == statuses.count(200)


async def test_with_a_spill_cap_it_gets_as_much_as_that(side: Side, other: Model) -> None:
    split(side, dead(), other.url, weights={"v2": 10}, spill_cap=50)
    statuses = [(await side.ask(X_User_Id=f"u{n}")).status for n in range(200)]
    assert 60 < statuses.count(200) < 140
    assert len(other.requests) == statuses.count(200)


async def test_the_same_units_are_spilled_each_time(side: Side, other: Model) -> None:
    split(side, dead(), other.url, weights={"v2": 10}, spill_cap=50)
    users = [f"u{n}" for n in range(60)]
    first = [(await side.ask(X_User_Id=user)).status == 200 for user in users]
    second = [(await side.ask(X_User_Id=user)).status == 200 for user in users]
    assert first == second


async def test_who_is_whitelisted_gets_stable_when_the_candidate_is_down(side: Side) -> None:
    versions = {"v1": VersionSpec(urls=(side.model.url,)), "v2": VersionSpec(urls=(dead(),))}
    side.use(side.spec(versions=versions), v2=frozenset({b"alice"}))
    answer = await side.ask(X_User_Id="alice")
    assert (answer.status, answer.one("x-graygate-reason")) == (200, "failover")


async def test_a_paused_route_spills_nothing(side: Side, other: Model) -> None:
    split(side, dead(), other.url, weights={"v2": 10}, spill_cap=50, paused=True)
    for n in range(20):
        assert (await side.ask(X_User_Id=f"u{n}")).status in (502, 503)
    assert other.received == b""

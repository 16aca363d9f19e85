from __future__ import annotations

import pytest

from gateway.routing.jwt import JwtVerifier
from gateway.routing.lists import blacklist_name, whitelist_name
from gateway.routing.spec import RouteSpec, VersionSpec
from gateway.routing.table import Identity, Table, compile_route
from tests.routing.requests import request, route, rule


def test_a_route_is_compiled_with_its_lists() -> None:
    lists = {
        whitelist_name("chat", "v10"): frozenset({b"a"}),
        whitelist_name("chat", "v2"): frozenset({b"b"}),
        whitelist_name("other", "v2"): frozenset({b"c"}),
        blacklist_name("chat"): frozenset({b"d"}),
    }
    compiled = route(lists, versions=("v1", "v2", "v10"))
    assert compiled.whitelists == (("v2", frozenset({b"b"})), ("v10", frozenset({b"a"})))
    assert b"d" in compiled.blacklist


def test_lists_that_are_not_there_are_empty() -> None:
    compiled = route()
    assert compiled.whitelists == ()
    assert b"a" not in compiled.blacklist


def test_a_route_knows_what_must_be_read_of_a_body() -> None:
    assert not route().wants_model
    assert not route().wants_body_user
    assert route(rules=(rule({"not": {"model": "m"}}),)).wants_model
    assert route(unit=("header:x", "body:user")).wants_body_user


def test_a_route_knows_whether_bodies_must_be_read_at_all() -> None:
    assert not route().wants_body
    assert route(rules=(rule({"model": "m"}),)).wants_body
    assert route(unit=("body:user",)).wants_body
    plain, rewritten = (
        VersionSpec(urls=("http://a",)),
        VersionSpec(urls=("http://b",), rewrite_model="m-2"),
    )
    spec = RouteSpec(name="chat", stable="v1", versions={"v1": plain, "v2": rewritten}, salt="s")
    assert compile_route(spec, {}, Identity()).wants_body


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("header:X-User-Id", {b"x-user-id"}),
        ("cookie:uid", {b"cookie"}),
        ("jwt:sub", {b"authorization"}),
        ("query:user", set()),
        ("body:user", set()),
        ("ip", set()),
    ],
)
def test_a_route_knows_the_headers_its_units_come_from(source: str, names: set[bytes]) -> None:
    assert route(unit=(source,)).header_names == names


@pytest.mark.parametrize(
    ("when", "names"),
    [
        ({"header": {"X-Plan": "gold", "x-b": ["c"]}}, {b"x-plan", b"x-b"}),
        ({"cookie": {"a": "b"}}, {b"cookie"}),
        ({"not": {"any": [{"path": "/"}, {"header": {"X-Deep": "1"}}]}}, {b"x-deep"}),
        ({"query": {"a": "b"}, "path": "/", "unit": "u", "share": {"percent": 1, "salt": "s"}},
         set()),
    ],
)  # fmt: skip
def test_a_route_knows_the_headers_its_rules_look_at(
    when: dict[str, object], names: set[bytes]
) -> None:
    assert route(unit=("ip",), rules=(rule(when),)).header_names == names


def test_the_override_header_is_looked_at_where_a_key_verifies_it() -> None:
    assert route(unit=("ip",), identity=Identity(override_key=b"k")).header_names == {
        b"x-graygate-override"
    }


def test_a_table_knows_the_headers_of_all_its_routes() -> None:
    chat, embed = route(unit=("header:a", "header:b")), route(name="embed", unit=("header:b", "ip"))
    table = Table([chat, embed])
    assert table.header_names == {b"a", b"b"}
    assert Table().header_names == frozenset()
    assert table.with_changes([], 2, removed={"chat"}).header_names == {b"b"}
    assert table.with_changes([route(unit=("header:c",))], 2).header_names == {b"b", b"c"}


def test_a_table_that_looks_at_the_same_headers_holds_the_same_set() -> None:
    table = Table([route(unit=("header:a",)), route(name="embed", unit=("header:b",))])
    newer = table.with_changes([route(unit=("header:a",), weights={"v2": 5.0})], 2)
    assert newer.header_names is table.header_names


def test_a_rule_without_a_name_is_called_by_its_position() -> None:
    compiled = route(rules=(rule({}, name="first"), rule({})))
    assert [each.name for each in compiled.rules] == ["first", "rule 1"]


def test_a_route_says_how_it_splits() -> None:
    assert repr(route(weights={"v2": 10.0})) == ("<Route chat: stable v1, <Intervals v2 0-10 %>>")


def test_a_route_at_other_weights_is_another_route() -> None:
    old = route({blacklist_name("chat"): frozenset({b"d"})}, weights={"v2": 10.0})
    new = old.with_weights({"v2": 20.0})
    assert old.spec.weights == {"v2": 10.0}
    assert new.spec.weights == {"v2": 20.0}
    assert new.blacklist is old.blacklist
    with pytest.raises(ValueError, match="not between 0 and 100"):
        old.with_weights({"v2": 120.0})


def test_an_identity_reaches_the_route() -> None:
    identity = Identity(jwt=JwtVerifier("secret"), override_key=b"key")
    assert route(identity=identity).override_key == b"key"


def test_a_table_finds_routes_by_request_and_by_name() -> None:
    chat, embed = route(paths=("/v1/chat",)), route(name="embed", paths=("/v1/embed",))
    table = Table([chat, embed], sequence=7)
    assert table.match(request(path=b"/v1/chat")) is chat
    assert table.match(request(path=b"/v1/embed/x")) is embed
    assert table.match(request(path=b"/")) is None
    assert table.route("embed") is embed
    assert table.route("nothing") is None
    assert not table.wants_model(request())
    assert repr(table) == "<Table 7 of 2 routes>"


def test_an_empty_table_matches_nothing() -> None:
    assert Table().match(request()) is None
    assert Table().sequence == 0


def test_a_change_makes_a_new_table_and_shares_the_rest() -> None:
    chat, embed = route(paths=("/v1/chat",)), route(name="embed", paths=("/v1/embed",))
    table = Table([chat, embed], sequence=1)
    changed = chat.with_weights({"v2": 50.0})
    newer = table.with_changes([changed], sequence=2)
    assert table.route("chat") is chat
    assert newer.route("chat") is changed
    assert newer.match(request(path=b"/v1/chat")) is changed
    assert newer.route("embed") is embed
    assert newer.sequence == 2
    assert newer._matcher is table._matcher


def test_routes_come_and_go_and_move() -> None:
    table = Table([route(), route(name="embed", paths=("/v1/embed",))])
    without = table.with_changes([], 1, removed={"chat"})
    assert without.match(request(path=b"/v1/chat")) is None
    moved = without.with_changes([route(name="embed", paths=("/v2",))], 2)
    assert moved.match(request(path=b"/v1/embed")) is None
    assert moved.match(request(path=b"/v2/embed")) is moved.route("embed")

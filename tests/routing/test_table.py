from __future__ import annotations

import pytest

from gateway.routing.jwt import JwtVerifier
from gateway.routing.lists import blacklist_name, whitelist_name
from gateway.routing.table import Identity, Table
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

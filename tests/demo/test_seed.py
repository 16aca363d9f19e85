from __future__ import annotations

from gateway.demo.seed import Found, questions, seed

URLS = {"v1": "http://127.0.0.1:9101", "v2": "http://127.0.0.1:9102"}
NEW_URLS = {"v1": "http://127.0.0.1:9201", "v2": "http://127.0.0.1:9202"}

V1 = '{"urls":["http://127.0.0.1:9101"],"demo":true}'
V2 = '{"urls":["http://127.0.0.1:9102"],"demo":true}'
NEW_V1 = V1.replace("9101", "9201")
NEW_V2 = V2.replace("9102", "9202")

VERSIONS = "gray:route:chat:versions"
ROUTE = (
    *("HSET", "gray:route:chat", "stable", "v1", "path", "/"),
    *("unit", "header:x-user-id cookie:uid ip", "dialect", "openai"),
)


def test_an_empty_store_gets_the_route_and_its_name_last() -> None:
    assert seed(Found(), URLS) == [
        ("HSET", VERSIONS, "v1", V1, "v2", V2),
        ("HSET", "gray:route:chat:weights", "v2", "10"),
        ROUTE,
        ("SADD", "gray:routes", "chat"),
    ]


def test_every_key_has_the_prefix_of_the_settings() -> None:
    commands = [*seed(Found(), URLS, "{gray}:"), *questions("{gray}:")]
    assert all(command[1].startswith("{gray}:") for command in commands)


def test_a_later_run_changes_nothing_but_the_urls() -> None:
    found = Found(routes={"chat"}, versions={"v1": V1, "v2": V2})
    assert seed(found, NEW_URLS) == [
        ("HSET", VERSIONS, "v1", NEW_V1),
        ("HSET", VERSIONS, "v2", NEW_V2),
    ]


def test_urls_that_are_right_already_are_left_alone() -> None:
    found = Found(routes={"chat"}, versions={"v1": V1, "v2": V2})
    assert seed(found, URLS) == []


def test_a_version_that_the_operator_removed_or_replaced_stays_so() -> None:
    removed = Found(routes={"chat"}, versions={"v1": V1})
    assert seed(removed, NEW_URLS) == [("HSET", VERSIONS, "v1", NEW_V1)]
    for own in ("http://10.0.0.1", '{"urls":["http://10.0.0.1"]}', '["demo"]', "{", ""):
        replaced = Found(routes={"chat"}, versions={"v1": V1, "v2": own})
        assert seed(replaced, NEW_URLS) == [("HSET", VERSIONS, "v1", NEW_V1)]


def test_what_the_operator_noted_at_a_demo_version_is_kept() -> None:
    noted = '{"urls":["http://127.0.0.1:9102"],"demo":true,"digest":"sha256:1"}'
    found = Found(routes={"chat"}, versions={"v1": V1, "v2": noted})
    [(_, _, _, entry)] = seed(found, {"v2": NEW_URLS["v2"]})
    assert entry == noted.replace("9102", "9202")


def test_a_route_of_the_same_name_that_is_no_demo_is_not_touched() -> None:
    found = Found(routes={"chat"}, versions={"v1": "http://10.0.0.1", "v2": "http://10.0.0.2"})
    assert seed(found, URLS) == []


def test_a_store_with_routes_of_its_own_gets_none_of_ours() -> None:
    assert seed(Found(routes={"search"}), URLS) == []

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.routing.bucket import bucket, percent_of
from gateway.routing.decide import decide
from gateway.routing.decision import Decision, Reason
from gateway.routing.facts import RequestFacts
from gateway.routing.lists import TableBuilder, blacklist_name, segment_name, whitelist_name
from gateway.routing.override import sign_override
from gateway.routing.table import Identity, Route
from tests.routing.requests import never, of_user, request, route, rule

NOW = 1000.0
KEY = b"override key"
UNITS = [b"user-%d" % number for number in range(2000)]


def decided(compiled: Route, facts: RequestFacts) -> Decision:
    return decide(compiled, facts, now=NOW, draw=never)


def versions(compiled: Route) -> dict[bytes, str]:
    return {unit: decided(compiled, of_user(unit)).version for unit in UNITS}


def overriding(value: str) -> RequestFacts:
    return request(headers={b"x-user-id": b"alice", b"x-graygate-override": value.encode()})


def test_a_unit_below_the_weight_goes_to_the_candidate() -> None:
    compiled = route(weights={"v2": 30.0})
    for unit in UNITS:
        place = bucket(b"chat", unit)
        is_below = percent_of(place) < 30
        assert decided(compiled, of_user(unit)) == Decision(
            route="chat",
            version="v2" if is_below else "v1",
            reason=Reason.WEIGHT if is_below else Reason.STABLE,
            unit=unit,
            source="header:x-user-id",
            rule=None,
            bucket=place,
        )


def test_without_weights_everyone_is_on_stable() -> None:
    decision = decided(route(), of_user(b"alice"))
    assert (decision.version, decision.reason) == ("v1", Reason.STABLE)


@pytest.mark.parametrize(
    ("drawn", "version", "reason"), [(0.0, "v2", Reason.WEIGHT), (0.31, "v1", Reason.STABLE)]
)
def test_a_request_without_a_unit_draws_its_place(
    drawn: float, version: str, reason: Reason
) -> None:
    compiled = route({blacklist_name("chat"): frozenset({b""})}, weights={"v2": 30.0})
    decision = decide(compiled, request(), now=NOW, draw=lambda: drawn)
    assert (decision.version, decision.reason) == (version, reason)
    assert (decision.unit, decision.source) == (None, "")


def test_the_largest_draw_is_still_on_the_circle() -> None:
    compiled = route(weights={"v2": 100.0})
    decision = decide(compiled, request(), now=NOW, draw=lambda: 1 - 2**-53)
    assert decision.version == "v2"


# Lists


def test_a_listed_unit_goes_where_its_list_says() -> None:
    lists = {
        blacklist_name("chat"): frozenset({b"bob"}),
        whitelist_name("chat", "v2"): frozenset({b"alice", b"bob"}),
        whitelist_name("chat", "v1"): frozenset({b"carol"}),
    }
    compiled = route(lists, weights={"v2": 100.0})
    results = {unit: decided(compiled, of_user(unit)) for unit in (b"alice", b"bob", b"carol")}
    assert [(each.version, each.reason) for each in results.values()] == [
        ("v2", Reason.WHITELIST),
        ("v1", Reason.BLACKLIST),
        ("v1", Reason.WHITELIST),
    ]


def test_of_two_whitelists_the_first_version_in_natural_order_wins() -> None:
    listed = frozenset({b"alice"})
    lists = {whitelist_name("chat", version): listed for version in ("v10", "v9")}
    compiled = route(lists, versions=("v1", "v10", "v9"))
    assert decided(compiled, of_user(b"alice")).version == "v9"


def test_a_large_list_is_as_good_as_a_small_one() -> None:
    builder = TableBuilder(1000)
    builder.add(UNITS[:1000])
    compiled = route({whitelist_name("chat", "v2"): builder.finish()})
    assert list(versions(compiled).values()) == ["v2"] * 1000 + ["v1"] * 1000


# Rules


def test_the_first_rule_that_holds_decides() -> None:
    rules = (
        rule({"header": {"x-plan": "gold"}}, "v2", name="gold"),
        rule({"segment": "staff"}, "v1"),
        rule({"segment": ["staff", "beta"]}, "v2"),
    )
    lists = {
        segment_name("staff"): frozenset({b"bob"}),
        segment_name("beta"): frozenset({b"bob", b"carol"}),
    }
    compiled = route(lists, rules=rules)
    gold = request(headers={b"x-user-id": b"bob", b"x-plan": b"gold"})
    results = [decided(compiled, f) for f in (gold, of_user(b"bob"), of_user(b"carol"))]
    assert [(each.version, each.rule) for each in results] == [
        ("v2", "gold"),
        ("v1", "rule 1"),
        ("v2", "rule 2"),
    ]
    assert {each.reason for each in results} == {Reason.RULE}
    assert decided(compiled, of_user(b"dave")).reason is Reason.STABLE


def test_a_rule_with_weights_splits_by_the_same_places_and_stable_takes_the_rest() -> None:
    compiled = route(rules=(rule({}, None, weights={"v2": 30.0}),), weights={"v2": 0.0})
    plain = route(weights={"v2": 30.0})
    assert versions(compiled) == versions(plain)
    decision = decided(compiled, of_user(UNITS[0]))
    assert decision.reason is Reason.RULE
    assert decision.bucket == bucket(b"chat", UNITS[0])


def test_lists_come_before_rules() -> None:
    lists = {
        whitelist_name("chat", "v1"): frozenset({b"alice"}),
        blacklist_name("chat"): frozenset({b"bob"}),
    }
    compiled = route(lists, rules=(rule({}, "v2"),))
    units = (b"alice", b"bob", b"carol")
    assert [decided(compiled, of_user(unit)).version for unit in units] == ["v1", "v1", "v2"]


# Paused


def test_a_paused_route_keeps_lists_and_rules_and_gives_no_weight() -> None:
    rules = (
        rule({"header": {"x-plan": "gold"}}, "v2"),
        rule({"header": {"x-plan": "test"}}, None, weights={"v2": 100.0}),
    )
    lists = {whitelist_name("chat", "v2"): frozenset({b"alice"})}
    compiled = route(lists, rules=rules, weights={"v2": 100.0}, paused=True)

    def of_plan(plan: bytes) -> Decision:
        return decided(compiled, request(headers={b"x-user-id": b"bob", b"x-plan": plan}))

    assert decided(compiled, of_user(b"alice")).version == "v2"
    assert of_plan(b"gold").version == "v2"
    assert (of_plan(b"test").version, of_plan(b"test").reason) == ("v1", Reason.RULE)
    assert (of_plan(b"").version, of_plan(b"").reason) == ("v1", Reason.STABLE)


# Override


def test_a_signed_override_comes_before_everything() -> None:
    lists = {blacklist_name("chat"): frozenset({b"alice"})}
    compiled = route(lists, identity=Identity(override_key=KEY))
    decision = decided(compiled, overriding(sign_override(KEY, "chat", "v2", 2000)))
    assert (decision.version, decision.reason, decision.unit) == ("v2", Reason.OVERRIDE, b"alice")


@pytest.mark.parametrize(
    "value",
    [
        sign_override(KEY, "chat", "v2", 999),
        sign_override(KEY, "chat", "v3", 2000),
        sign_override(KEY, "embed", "v2", 2000),
        sign_override(b"", "chat", "v2", 2000),
        "v2",
    ],
)
def test_any_other_override_is_ignored(value: str) -> None:
    compiled = route(identity=Identity(override_key=KEY))
    assert decided(compiled, overriding(value)).reason is Reason.STABLE


def test_without_a_key_no_override_counts() -> None:
    for key in (KEY, b""):
        facts = overriding(sign_override(key, "chat", "v2", 2000))
        assert decided(route(), facts).reason is Reason.STABLE


# Same user, same version


@settings(deadline=None, derandomize=True, max_examples=25)
@given(st.integers(0, 100), st.integers(0, 100))
def test_raising_the_weight_moves_nobody_off_the_candidate(one: int, other: int) -> None:
    low, high = sorted((one, other))
    before = versions(route(weights={"v2": float(low)}))
    after = versions(route(weights={"v2": float(high)}))
    assert all(after[unit] == "v2" for unit in UNITS if before[unit] == "v2")


def test_lowering_to_zero_leaves_nobody_but_the_listed() -> None:
    lists = {whitelist_name("chat", "v2"): frozenset(UNITS[:3])}
    compiled = route(lists, weights={"v2": 50.0}).with_weights({"v2": 0.0})
    assert [unit for unit, version in versions(compiled).items() if version == "v2"] == UNITS[:3]


def test_deleting_a_weight_is_the_same_as_setting_it_to_zero() -> None:
    names = ("v1", "v2", "v3", "v4")
    zero = route(versions=names, weights={"v2": 0.0, "v3": 20.0, "v4": 20.0})
    gone = route(versions=names, weights={"v3": 20.0, "v4": 20.0})
    assert versions(zero) == versions(gone)


def test_two_routes_and_two_releases_choose_independent_units() -> None:
    salts = ("chat", "embed", "chat:2024-06-01")
    groups = [
        {unit for unit, version in versions(compiled).items() if version == "v2"}
        for compiled in (route(weights={"v2": 50.0}, salt=salt) for salt in salts)
    ]
    for first, second in ((0, 1), (0, 2), (1, 2)):
        both = len(groups[first] & groups[second])
        assert abs(both - 500) < 3 * (2000 * 0.25 * 0.75) ** 0.5

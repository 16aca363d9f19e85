from __future__ import annotations

import pytest

from gateway.routing.decide import decide
from gateway.routing.decision import Reason
from gateway.routing.explain import Explanation, explain, explain_unit, preview
from gateway.routing.lists import blacklist_name, whitelist_name
from gateway.routing.override import sign_override
from gateway.routing.table import Identity
from tests.routing.requests import never, of_user, request, route, rule

NOW = 1000.0
LISTS = {
    blacklist_name("chat"): frozenset({b"bob"}),
    whitelist_name("chat", "v2"): frozenset({b"alice"}),
}
RULES = (rule({"header": {"x-plan": "gold"}}, "v2", name="gold"),)
UNITS = [b"user-%d" % number for number in range(2000)]


def told(explanation: Explanation) -> list[tuple[bool, str]]:
    return [(step.is_hit, step.text) for step in explanation.steps]


def test_every_step_is_told_in_order() -> None:
    compiled = route(LISTS, Identity(override_key=b"key"), rules=RULES, weights={"v2": 30.0})
    explanation = explain(compiled, of_user(b"user-1"), NOW)
    assert told(explanation) == [
        (False, "The request carries no valid override."),
        (False, "The unit is not on the blacklist."),
        (False, "The unit is not on the whitelist of v2."),
        (False, "The conditions of gold do not hold."),
        (False, "Its place belongs to no candidate's weight."),
        (True, "Stable v1 takes the rest."),
    ]
    assert [step.reason for step in explanation.steps] == [
        Reason.OVERRIDE,
        Reason.BLACKLIST,
        Reason.WHITELIST,
        Reason.RULE,
        Reason.WEIGHT,
        Reason.STABLE,
    ]
    assert explanation.decision.version == "v1"
    assert explanation.percent == pytest.approx(41.0727941)
    assert list(explanation.intervals) == ["v2"]
    assert explanation.intervals["v2"][0] == pytest.approx((0.0, 30.0))


@pytest.mark.parametrize(
    ("unit", "plan", "last"),
    [
        (b"bob", b"", "The unit is on the blacklist."),
        (b"alice", b"", "The unit is on the whitelist of v2."),
        (b"user-1", b"gold", "The conditions of gold hold."),
        (b"user-2", b"", "Its place belongs to the weight of v2."),
    ],
)
def test_the_last_step_is_the_one_that_decided(unit: bytes, plan: bytes, last: str) -> None:
    compiled = route(LISTS, rules=RULES, weights={"v2": 30.0})
    facts = request(headers={b"x-user-id": unit, b"x-plan": plan})
    explanation = explain(compiled, facts, NOW)
    assert told(explanation)[-1] == (True, last)
    assert [is_hit for is_hit, _ in told(explanation)].count(True) == 1


def test_an_override_is_told() -> None:
    compiled = route(identity=Identity(override_key=b"key"))
    value = sign_override(b"key", "chat", "v2", 2000).encode()
    explanation = explain(compiled, request(headers={b"x-graygate-override": value}), NOW)
    assert told(explanation) == [(True, "A valid override names version v2.")]
    assert explanation.percent is None


def test_a_paused_route_says_so() -> None:
    explanation = explain_unit(route(weights={"v2": 30.0}, paused=True), b"user-2")
    assert told(explanation)[1:] == [
        (False, "The route is paused: no weight applies."),
        (True, "Stable v1 takes the rest."),
    ]
    assert explanation.intervals == {}


def test_a_request_without_a_unit_is_told_that_it_draws() -> None:
    explanation = explain(route(weights={"v2": 100.0}), request(), NOW)
    assert told(explanation) == [
        (True, "Its place belongs to the weight of v2."),
        (True, "No unit was found: each request draws its place anew, here the middle was taken."),
    ]
    assert explanation.percent is None


def test_the_explanation_is_the_decision() -> None:
    compiled = route(LISTS, rules=RULES, weights={"v2": 30.0})
    for unit in (*UNITS[:200], b"alice", b"bob"):
        facts = of_user(unit)
        assert explain(compiled, facts, NOW).decision == decide(
            compiled, facts, now=NOW, draw=never
        )
        assert explain_unit(compiled, unit).decision.version == (
            explain(compiled, facts, NOW).decision.version
        )


def test_a_unit_alone_is_judged_by_rules_on_a_bare_request() -> None:
    explanation = explain_unit(route(rules=RULES), b"user-1")
    assert (False, "The conditions of gold do not hold.") in told(explanation)
    assert explanation.decision.source == "given"


def test_a_preview_counts_who_would_move() -> None:
    compiled = route(LISTS, weights={"v2": 30.0})
    seen = preview(compiled, {"v2": 60.0}, [*UNITS, b"alice", b"bob"])
    assert seen.units == 2002
    assert set(seen.moved) == {("v1", "v2")}
    assert seen.before["v2"] + seen.moved["v1", "v2"] == seen.after["v2"]
    assert abs(seen.moved["v1", "v2"] - 600) < 80


def test_a_preview_of_less_moves_back_and_of_the_same_moves_nobody() -> None:
    compiled = route(LISTS, weights={"v2": 30.0})
    back = preview(compiled, {}, [*UNITS, b"alice"])
    assert set(back.moved) == {("v2", "v1")}
    assert back.after == {"v1": 2000, "v2": 1}
    assert preview(compiled, {"v2": 30.0}, UNITS).moved == {}


def test_a_preview_of_impossible_weights_is_refused() -> None:
    with pytest.raises(ValueError, match="no candidate v7"):
        preview(route(), {"v7": 1.0}, [])

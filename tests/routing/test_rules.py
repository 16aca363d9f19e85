from __future__ import annotations

from typing import Any

import pytest

from gateway.routing.bucket import bucket, threshold
from gateway.routing.facts import RequestFacts
from gateway.routing.lists import TableBuilder, segment_name
from gateway.routing.rules import MAX_DEPTH, NO_LISTS, Lists, compile_rule, reads, segments_of
from tests.routing.requests import request, rule

VERSIONS = ("v1", "v2", "v10")
FACTS = request(
    method="POST",
    path=b"/v1/chat/completions",
    query=b"beta=1&lang=de",
    headers={b"x-plan": b"gold", b"cookie": b"group=b", b"user-agent": b"curl/8"},
    ip="10.1.2.3",
    model="gpt-4o",
)
SEGMENTS: Lists = {
    segment_name("beta"): frozenset({b"alice"}),
    segment_name("staff"): frozenset({b"bob"}),
}


def holds(when: dict[str, Any], facts: RequestFacts = FACTS, unit: bytes | None = b"alice") -> bool:
    return compile_rule(rule(when), VERSIONS, SEGMENTS).holds(facts, unit)


TRUE: list[dict[str, Any]] = [
    {},
    {"header": {"X-Plan": "gold"}},
    {"header": {"x-plan": {"equals": "gold"}}},
    {"header": {"x-plan": ["silver", "gold"]}},
    {"header": {"user-agent": {"prefix": "curl/"}, "x-plan": "gold"}},
    {"header": {"user-agent": {"prefix": "curl/"}, "x-plan": "gold", "x-no": {"present": False}}},
    {"header": {"x-missing": {"present": False}}},
    {"cookie": {"group": "b"}},
    {"query": {"beta": "1", "lang": {"in": ["de", "at"]}}},
    {"path": {"prefix": "/v1/"}},
    {"path": "/v1/chat/completions"},
    {"host": "Models.Example.com"},
    {"host": {"glob": "*.example.com"}},
    {"method": "post"},
    {"method": ["PUT", "POST"]},
    {"model": {"glob": "gpt-4*"}},
    {"unit": "alice"},
    {"unit": {"regex": "[a-m].*"}},
    {"ip": "10.0.0.0/8"},
    {"ip": "10.1.2.3"},
    {"ip": "::ffff:10.0.0.0/104"},
    {"ip": ["2001:db8::/32", "192.0.2.0/24", "10.1.0.0/16"]},
    {"segment": "beta"},
    {"segment": ["staff", "beta"]},
    {"share": {"percent": 100, "salt": "exp"}},
    {"any": [{"method": "GET"}, {"model": "gpt-4o"}]},
    {"not": {"method": "GET"}},
    {"not": {"method": "POST", "model": "other"}},
    {"method": "POST", "model": "gpt-4o", "segment": "beta", "ip": "10.0.0.0/8"},
]

FALSE: list[dict[str, Any]] = [
    {"header": {"x-plan": "silver"}},
    {"header": {"x-missing": "gold"}},
    {"header": {"x-plan": "gold", "x-missing": "gold"}},
    {"cookie": {"group": "a"}},
    {"query": {"beta": "0"}},
    {"path": "/v1"},
    {"host": "example.com"},
    {"method": "GET"},
    {"model": "gpt-4"},
    {"unit": "bob"},
    {"ip": "192.168.0.0/16"},
    {"ip": ["2001:db8::/32", "::/0"]},
    {"segment": "staff"},
    {"segment": "unknown"},
    {"share": {"percent": 0, "salt": "exp"}},
    {"any": [{"method": "GET"}, {"model": "other"}]},
    {"not": {}},
    {"not": {"not": {"method": "GET"}}},
    {"method": "POST", "model": "other"},
    {"method": "POST", "model": "gpt-4o", "segment": "staff", "ip": "10.0.0.0/8"},
]


@pytest.mark.parametrize("when", TRUE, ids=str)
def test_a_condition_that_is_met_holds(when: dict[str, Any]) -> None:
    assert holds(when)


@pytest.mark.parametrize("when", FALSE, ids=str)
def test_a_condition_that_is_not_met_does_not_hold(when: dict[str, Any]) -> None:
    assert not holds(when)


@pytest.mark.parametrize(
    "when",
    [
        {"segment": "beta"},
        {"share": {"percent": 100, "salt": "x"}},
        {"unit": {"glob": "*"}},
        {"model": {"glob": "*"}},
        {"ip": "0.0.0.0/0"},
    ],
)
def test_a_condition_on_what_a_request_lacks_does_not_hold(when: dict[str, Any]) -> None:
    assert not holds(when, request(ip="unknown"), None)
    assert holds({"not": when}, request(ip="unknown"), None)


def test_a_large_segment_is_not_asked_for_a_unit_that_is_not_there() -> None:
    lists = {segment_name("beta"): TableBuilder(0).finish()}
    assert not compile_rule(rule({"segment": "beta"}), VERSIONS, lists).holds(FACTS, None)


def test_ip_knows_both_kinds_of_addresses() -> None:
    assert holds({"ip": "2001:db8::/32"}, request(ip="2001:db8::1"))
    assert not holds({"ip": "2001:db8::/32"}, request(ip="2001:db9::1"))
    assert not holds({"ip": "0.0.0.0/0"}, request(ip="2001:db8::1"))
    assert holds({"ip": "10.0.0.0/8"}, request(ip="::ffff:10.9.9.9"))
    assert holds({"ip": "10.1.2.3/8"}, request(ip="10.9.9.9"))


def test_a_share_is_the_same_part_of_all_units_every_time() -> None:
    places = threshold(20)
    for number in range(500):
        unit = b"user-%d" % number
        expected = bucket(b"exp1", unit) < places
        assert holds({"share": {"percent": 20, "salt": "exp1"}}, unit=unit) == expected


def test_a_rule_sends_to_its_version_or_splits() -> None:
    compiled = compile_rule(rule({}, "v2", name="beta testers"), VERSIONS)
    assert (compiled.name, compiled.version) == ("beta testers", "v2")
    assert repr(compiled) == "<Rule 'beta testers' -> 'v2'>"
    split = compile_rule(rule({}, None, weights={"v10": 50.0, "v1": 50.0}), VERSIONS, stable="v1")
    assert split.version is None
    assert repr(split) == "<Rule '' -> <Intervals v10 50-100 %>>"


def nested(depth: int, kind: str) -> dict[str, Any]:
    when: dict[str, Any] = {"method": "GET"}
    for _ in range(depth):
        when = {"not": when} if kind == "not" else {"any": [when]}
    return when


@pytest.mark.parametrize(
    ("when", "sentence"),
    [
        ({"heeder": {"x": "1"}}, "when: 'heeder' is no condition. Did you mean header?"),
        ({"zzz": 1}, "when: 'zzz' is no condition. Known are: header, cookie,"),
        ({"header": {"x-plan": 7}}, "when.header.x-plan: must be a text in quotes"),
        ({"header": {"x-plan": {"prefx": "a"}}}, "when.header.x-plan: 'prefx' is no matcher"),
        ({"header": "x-plan"}, "when.header: must be an object of names"),
        ({"cookie": {}}, "when.cookie: must be an object of names"),
        ({"query": {"a": {"regex": "("}}}, "when.query.a: missing ): ("),
        ({"path": 1}, "when.path: must be a text"),
        ({"ip": "10.0.0.0/33"}, "when.ip: '10.0.0.0/33' is no network; write 10.0.0.0/8"),
        ({"ip": [7]}, "when.ip: 7 is no network"),
        ({"ip": []}, "when.ip: must list 1 to 1000 networks"),
        ({"ip": ["10.0.0.1"] * 1001}, "when.ip: must list 1 to 1000 networks"),
        ({"segment": 7}, "when.segment: must be the name of a segment"),
        ({"segment": []}, "when.segment: must be the name of a segment"),
        ({"segment": ["a", ""]}, "when.segment: must be the name of a segment"),
        ({"share": 20}, 'when.share: must be an object such as {"percent": 20, "salt": "exp1"}'),
        ({"share": {"percent": 20}}, "when.share: must be an object such as"),
        ({"share": {"percent": "20", "salt": "a"}}, "when.share.percent: must be a number"),
        ({"share": {"percent": True, "salt": "a"}}, "when.share.percent: must be a number"),
        ({"share": {"percent": 101, "salt": "a"}}, "when.share.percent: must be a number"),
        ({"share": {"percent": 20, "salt": ""}}, "when.share.salt: must be a text"),
        ({"any": {}}, "when.any: must be a list of at least one"),
        ({"any": []}, "when.any: must be a list of at least one"),
        ({"any": [{}, {"pth": "/"}]}, "when.any[1]: 'pth' is no condition. Did you mean path?"),
        ({"any": ["x"]}, "when.any[0]: must be an object of conditions"),
        ({"not": "x"}, "when.not: must be an object of conditions"),
        ({"not": {"path": 1}}, "when.not.path: must be a text"),
        (nested(MAX_DEPTH, "not"), ".not: conditions are nested deeper than 8"),
        (nested(MAX_DEPTH, "any"), ".any[0]: conditions are nested deeper than 8"),
        ({"header": {f"x-{n}": "a" for n in range(200)}}, "may hold 200 conditions at most"),
        ({"any": [{"path": "/"}] * 200}, "may hold 200 conditions at most"),
        (
            {"any": [{"path": {"regex": f"(a?){{99}}b{n}"}} for n in range(150)]},
            "].path: the patterns of this rule are too large together",
        ),
    ],
)
def test_a_wrong_condition_is_refused_with_its_position(
    when: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError) as caught:
        compile_rule(rule(when), VERSIONS)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_conditions_may_be_nested_up_to_the_limit() -> None:
    assert holds(nested(MAX_DEPTH - 2, "not"), request(method="GET"))
    assert holds(nested(MAX_DEPTH - 1, "any"), request(method="GET"))


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ({"version": None}, "exactly one of version and weights"),
        ({"version": "v2", "weights": {"v2": 10.0}}, "exactly one of version and weights"),
        ({"version": "v20"}, "'v20' is no version of this route. Did you mean v2?"),
        ({"version": None, "weights": {"v3x": 10.0}}, "'v3x' is no version of this route."),
        ({"version": None, "weights": {"v2": 60.0, "v10": 60.0}}, "add up to 120 percent"),
    ],
)
def test_a_rule_must_lead_somewhere(parts: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError) as caught:
        compile_rule(rule({}, **parts), VERSIONS, NO_LISTS, stable="v1")
    assert sentence in str(caught.value)


def test_the_segments_that_a_rule_needs_are_known_beforehand() -> None:
    when = {
        "segment": "a",
        "not": {"segment": ["b", "c"]},
        "any": [{"segment": "d"}, {"not": {"any": [{"segment": "e"}]}}, {"path": "/"}],
        "header": {"segment": "not one"},
    }
    assert segments_of(when) == {"a", "b", "c", "d", "e"}
    assert segments_of({"path": "/"}) == frozenset()


def test_what_a_rule_needs_is_known_even_of_an_invalid_one() -> None:
    when: dict[str, Any] = {"segment": ["a", 7], "any": "x", "not": ["y"]}
    assert segments_of(when) == {"a"}
    assert segments_of(nested(5000, "not")) == frozenset()
    assert reads({"any": [{"model": "m"}]}, "model")
    assert not reads({"any": [{"path": "m"}]}, "model")

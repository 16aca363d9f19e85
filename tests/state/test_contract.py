"""What operators type is taken over when it is right, and refused with a sentence when not."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.routing.spec import RouteSpec
from gateway.state.contract import MAX_FINDINGS, MAX_VALUE_BYTES, Verdict, validate
from gateway.state.keys import Keys
from gateway.state.raw import RawRoute, Unreadable
from tests.state.samples import raw_route

KEYS = Keys()


def judged(raw: RawRoute) -> Verdict:
    verdict = validate(raw, KEYS)
    assert (verdict.spec is None) == bool(verdict.refused)
    return verdict


def refusal_of(raw: RawRoute) -> tuple[str, str, str]:
    """The key, reason and text of the only refusal."""
    [refusal] = judged(raw).refused
    return refusal.key, refusal.reason, refusal.text


def test_the_least_route_has_a_stable_version_and_its_url() -> None:
    spec = judged(RawRoute("chat", {b"stable": b"v1"}, {b"v1": b"http://h:1"})).spec
    assert spec is not None
    assert (spec.stable, spec.weights, spec.paths, spec.salt) == ("v1", {}, ("/",), "chat")
    assert spec.versions["v1"].urls == ("http://h:1",)


def test_every_field_of_a_route_is_understood() -> None:
    fields = {
        b"stable": b"v1",
        b"host": b"API.example.com, *.example.org",
        b"path": b"/v1 /v2/models",
        b"model": b"gpt-x llama/3",
        b"methods": b"post get",
        b"unit": b"header:x-user-id cookie:uid ip",
        b"salt": b"s1",
        b"dialect": b"openai",
        b"failover": b"no",
        b"spill_cap": b"25.5",
        b"timeout_first_byte": b"2.5",
        b"timeout_total": b"60",
        b"paused": b"1",
        b"jwt": b"trusted",
        b"timeout_queue": b"0.5",
        b"balance": b"rendezvous",
        b"retries": b"3",
        b"max_requests": b"8",
        b"max_pending": b"0",
        b"max_connections": b"9",
        b"health": b"/health",
        b"health_interval": b"5",
        b"body_limit": b"64KiB",
        b"mirror": b"v2",
        b"mirror_percent": b"12.5",
        b"mirror_credentials": b"1",
    }
    verdict = judged(raw_route(route=fields))
    spec = verdict.spec
    assert spec is not None
    assert verdict.warnings == []
    assert spec.hosts == ("api.example.com", "*.example.org")
    assert spec.paths == ("/v1", "/v2/models")
    assert spec.models == ("gpt-x", "llama/3")
    assert spec.methods == ("POST", "GET")
    assert spec.unit == ("header:x-user-id", "cookie:uid", "ip")
    assert (spec.salt, spec.dialect, spec.failover, spec.spill_cap) == ("s1", "openai", False, 25.5)
    assert spec.timeouts == {"first_byte": 2.5, "total": 60.0, "queue": 0.5}
    assert (spec.balance, spec.retries, spec.body_limit) == ("rendezvous", 3, 65_536)
    assert (spec.max_requests, spec.max_pending, spec.max_connections) == (8, 0, 9)
    assert (spec.health_path, spec.health_interval) == ("/health", 5.0)
    assert (spec.mirror, spec.mirror_percent, spec.mirror_credentials) == ("v2", 12.5, True)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(spec), type=RouteSpec) == spec
    assert (spec.paused, spec.jwt) == (True, "trusted")


def test_a_version_is_urls_or_json_with_urls_and_notes() -> None:
    versions = {
        b"v1": b"http://a:1 http://b:2",
        b"v2": b'{"urls": ["https://c"], "model": "m-2", "scores": {"acc": 0.9}, '
        b'"rewrite_model": "m-2-awq"}',
    }
    spec = judged(raw_route(versions=versions)).spec
    assert spec is not None
    assert spec.versions["v1"].urls == ("http://a:1", "http://b:2")
    assert spec.versions["v2"].urls == ("https://c",)
    assert spec.versions["v2"].rewrite_model == "m-2-awq"
    assert spec.versions["v2"].meta == {"model": "m-2", "scores": {"acc": 0.9}}


def test_a_running_release_gives_the_salt_unless_one_is_set() -> None:
    spec = judged(raw_route(release_id="r7")).spec
    assert spec is not None
    assert spec.salt == "chat:r7"
    spec = judged(raw_route(release_id="r7", route={b"stable": b"v1", b"salt": b"mine"})).spec
    assert spec is not None
    assert spec.salt == "mine"


@pytest.mark.parametrize(
    ("weight", "percent"), [(b"0", 0), (b"100", 100), (b"12.5", 12.5), (b" 7 ", 7), (b"007", 7)]
)
def test_a_weight_is_percent_with_decimals(weight: bytes, percent: float) -> None:
    spec = judged(raw_route(weights={b"v2": weight})).spec
    assert spec is not None
    assert spec.weights == {"v2": percent}


@pytest.mark.parametrize(
    "weight",
    [b"", b"-1", b"101", b"100.5", b"NaN", b"inf", b"1e1", b"ten", b"10%", b"1_0", b"0x10", b"+5",
     b".5", b"5.", "\u0661\u0660".encode(), b"1,5", b"0.0000001"],
)  # fmt: skip
def test_K04_a_weight_that_is_no_percent_is_refused(weight: bytes) -> None:
    key, reason, text = refusal_of(raw_route(weights={b"v2": weight}))
    assert (key, reason) == ("gray:route:chat:weights", "bad_value")
    assert "v2" in text
    assert "0 to 100" in text


def test_K04_a_weight_of_an_unknown_version_is_refused_with_a_guess() -> None:
    versions = {b"v1": b"http://a", b"canary": b"http://b"}
    key, reason, text = refusal_of(raw_route(versions=versions, weights={b"canry": b"5"}))
    assert (key, reason) == ("gray:route:chat:weights", "unknown_version")
    assert "canary" in text


def test_K04_candidates_above_100_together_are_refused() -> None:
    versions = {b"v1": b"http://a", b"v2": b"http://b", b"v3": b"http://c"}
    weights = {b"v2": b"60", b"v3": b"40.5"}
    key, reason, text = refusal_of(raw_route(versions=versions, weights=weights))
    assert (key, reason) == ("gray:route:chat:weights", "sum_over_100")
    assert "100.5" in text


def test_a_weight_of_stable_is_tolerated_and_doubted_when_it_disagrees_with_the_rest() -> None:
    agrees = judged(raw_route(weights={b"v1": b"90", b"v2": b"10"}))
    assert agrees.spec is not None
    assert agrees.spec.weights == {"v2": 10}
    assert agrees.warnings == []
    differs = judged(raw_route(weights={b"v1": b"50", b"v2": b"10"}))
    assert differs.spec is not None
    assert differs.spec.weights == {"v2": 10}
    assert "HDEL gray:route:chat:weights v1" in differs.warnings[0].text


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (b"", "has no URL"),
        (b"127.0.0.1:9001", "http://"),
        (b"ftp://h", "http://"),
        (b"file:///etc/passwd", "http://"),
        (b"http://", "no host"),
        (b"http://h:0", "port 0"),
        (b"http://h:99999", "no URL"),
        (b"http://user:hunter2@h", "credentials"),
        (b"http://h/p?x=1", "query"),
        (b"http://h/#f", "query"),
        ("http://h\u00e9".encode(), "ASCII"),
        (b"http://h\x00", "ASCII"),
        (b'{"urls": []}', "has no URL"),
        (b'{"urls": [5]}', "has no URL"),
        (b'{"url": "http://h"}', "has no URL"),
    ],
)
def test_K04_a_url_that_is_no_endpoint_is_refused(url: bytes, said: str) -> None:
    raw = raw_route(versions={b"v1": b"http://a", b"v2": url})
    refusals = judged(raw).refused
    assert (refusals[0].key, refusals[0].reason) == ("gray:route:chat:versions", "bad_url")
    assert said in refusals[0].text
    assert "hunter2" not in refusals[0].text


def test_K04_json_of_a_version_that_is_broken_or_too_deep_is_refused() -> None:
    for text in (b'{"urls": ["http://h"', b'{"a":' * 100_000):
        raw = raw_route(versions={b"v1": b"http://a", b"v2": text}, weights={})
        _, reason, _ = refusal_of(raw)
        assert reason in ("bad_value", "too_large")


def test_a_missing_stable_says_what_to_type() -> None:
    key, reason, text = refusal_of(raw_route(route={}, weights={}))
    assert (key, reason) == ("gray:route:chat", "missing")
    assert "HSET gray:route:chat stable v1" in text


def test_an_unknown_stable_is_refused() -> None:
    key, reason, _ = refusal_of(raw_route(route={b"stable": b"v9"}))
    assert (key, reason) == ("gray:route:chat", "unknown_version")


def test_K04_a_mirror_that_is_no_version_is_refused_with_a_guess() -> None:
    versions = {b"v1": b"http://a", b"v2": b"http://b", b"shadow": b"http://c"}
    fields = {b"stable": b"v1", b"mirror": b"shadwo"}
    key, reason, text = refusal_of(raw_route(versions=versions, route=fields))
    assert (key, reason) == ("gray:route:chat", "unknown_version")
    assert "Did you mean shadow?" in text


def test_a_mirror_is_not_doubted_while_the_versions_cannot_be_read() -> None:
    fields = {b"stable": b"v1", b"mirror": b"shadow"}
    wrong = Unreadable("wrong_type", "is not a hash")
    refused = judged(raw_route(versions=wrong, weights={}, route=fields)).refused
    assert [refusal.key for refusal in refused] == ["gray:route:chat:versions"]


@pytest.mark.parametrize(
    ("name", "needed"),
    [
        ("health_interval", "health"),
        ("mirror_percent", "mirror"),
        ("mirror_credentials", "mirror"),
        ("mirror_self", "compare"),
    ],
)
def test_a_field_that_does_nothing_alone_is_doubted(name: str, needed: str) -> None:
    verdict = judged(raw_route(route={b"stable": b"v1", name.encode(): b"1"}))
    assert verdict.spec is not None
    [doubt] = verdict.warnings
    assert (doubt.reason, doubt.text) == (
        "without_effect",
        f"field {name} has no effect without {needed}",
    )


def test_an_unknown_field_is_doubted_and_not_refused() -> None:
    verdict = judged(raw_route(route={b"stable": b"v1", b"fallover": b"1"}))
    assert verdict.spec is not None
    assert "failover" in verdict.warnings[0].text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("host", "http://h"), ("host", "h:80"), ("host", "a..b"), ("host", "  "),
        ("path", "chat"), ("path", "/a/../b"), ("path", "//a"), ("path", "/a?b"),
        ("methods", "GE T/"), ("unit", "header"), ("unit", "heder:x"), ("unit", ""),
        ("dialect", "soap"), ("failover", "maybe"), ("paused", "2"), ("jwt", "blindly"),
        ("spill_cap", "101"), ("timeout_idle", "0"), ("timeout_idle", "-5"),
        ("timeout_total", "NaN"), ("timeout_connect", "99999999"), ("timeout_queue", "0"),
        ("balance", "random"), ("retries", "6"), ("max_requests", "0"), ("max_pending", "-1"),
        ("max_connections", "many"), ("health", "health"), ("health_interval", "0"),
        ("body_limit", "10 parsecs"), ("mirror", ""), ("mirror_credentials", "2"),
    ],
)  # fmt: skip
def test_K04_a_field_with_a_wrong_value_is_refused_by_name(name: str, value: str) -> None:
    fields = {b"stable": b"v1", name.encode(): value.encode()}
    key, reason, text = refusal_of(raw_route(route=fields))
    assert (key, reason) == ("gray:route:chat", "bad_value")
    assert text.startswith(f"{name}: ")


def test_a_rule_sends_to_a_version_or_splits_by_weights() -> None:
    rules = (
        b'{"when": {"header": {"x-plan": "pro"}}, "version": "v2", "name": "pros"}',
        b'{"when": {"segment": "beta"}, "weights": {"v2": 50, "v1": 50}}',
    )
    spec = judged(raw_route(rules=rules)).spec
    assert spec is not None
    assert (spec.rules[0].version, spec.rules[0].name) == ("v2", "pros")
    assert spec.rules[1].weights == {"v2": 50.0}


@pytest.mark.parametrize(
    "rule",
    [
        b"", b"null", b"[]", b"{", b'{"version": "v2"}', b'{"when": {}, "verion": "v2"}',
        b'{"when": {}}', b'{"when": {}, "version": "v2", "weights": {"v2": 1}}',
        b'{"when": {"heder": {"a": "b"}}, "version": "v2"}',
        b'{"when": {"header": {"a": {"regex": "("}}}, "version": "v2"}',
        b'{"when": ' + b'{"not": ' * 50 + b"{}" + b"}" * 50 + b', "version": "v2"}',
        b'{"when": ' + b'{"not": ' * 5000,
        b'{"when": {}, "weights": {"v2": "NaN"}}', b'{"when": {}, "weights": {"v2": 1e400}}',
        b'{"when": {}, "weights": {"v2": -1}}', b'{"when": {"path": "\xff"}, "version": "v2"}',
    ],
)  # fmt: skip
def test_K04_a_bad_rule_is_refused_by_its_position(rule: bytes) -> None:
    good = b'{"when": {"path": "/x"}, "version": "v2"}'
    refusals = judged(raw_route(rules=(good, rule))).refused
    assert refusals[0].key == "gray:route:chat:rules"
    assert refusals[0].reason in ("bad_rule", "bad_value")
    assert "rule 1" in refusals[0].text or "weight of v2" in refusals[0].text


def test_a_rule_for_an_unknown_version_is_refused() -> None:
    _, reason, text = refusal_of(raw_route(rules=(b'{"when": {}, "version": "v9"}',)))
    assert reason == "unknown_version"
    assert "v9" in text


def pattern_rule(repeats: int) -> bytes:
    when = {"header": {"x": {"regex": f"(a|b){{{repeats}}}"}}}
    return json.dumps({"when": when, "version": "v2"}).encode()


def test_K04_patterns_that_are_too_large_in_all_rules_together_are_refused_once() -> None:
    one = pattern_rule(200)
    assert judged(raw_route(rules=(one,))).spec is not None
    key, reason, text = refusal_of(raw_route(rules=(one,) * 50))
    assert (key, reason) == ("gray:route:chat:rules", "bad_rule")
    assert "the patterns of all rules of this route are too large together" in text
    assert text.startswith("rule ")


def test_two_hundred_rules_with_patterns_as_people_write_them_are_fine() -> None:
    when = {"header": {"x-model": {"glob": "gpt-4o-*"}}, "path": {"regex": "/v[0-9]+/chat"}}
    rule = json.dumps({"when": when, "version": "v2"}).encode()
    assert judged(raw_route(rules=(rule,) * 200)).spec is not None


def test_K04_huge_values_are_refused_and_not_quoted() -> None:
    blob = b"x" * (MAX_VALUE_BYTES + 1)
    for raw in (
        raw_route(route={b"stable": b"v1", b"host": blob}),
        raw_route(versions={b"v1": b"http://a", b"v2": b"http://b", b"v3": blob}),
        raw_route(rules=(blob,)),
    ):
        refusals = judged(raw).refused
        assert refusals[0].reason == "too_large"
        assert all(len(refusal.text) < 500 for refusal in refusals)


def test_K04_bytes_that_are_no_text_are_refused() -> None:
    _, reason, text = refusal_of(raw_route(route={b"stable": b"v1", b"host": b"\xff\xfe"}))
    assert reason == "bad_value"
    assert "UTF-8" in text


def test_K04_everything_that_is_wrong_is_said_at_once() -> None:
    raw = raw_route(
        route={b"stable": b"v1", b"dialect": b"soap", b"path": b"x"},
        weights={b"v2": b"-1", b"v9": b"5"},
        rules=(b"{",),
    )
    keys = [refusal.key for refusal in judged(raw).refused]
    assert sorted(keys) == [
        "gray:route:chat", "gray:route:chat", "gray:route:chat:rules",
        "gray:route:chat:weights", "gray:route:chat:weights",
    ]  # fmt: skip


def test_K04_a_key_of_the_wrong_type_is_one_refusal_of_that_key() -> None:
    wrong = Unreadable("wrong_type", "is not a hash")
    assert refusal_of(raw_route(weights=wrong))[:2] == ("gray:route:chat:weights", "wrong_type")
    assert refusal_of(raw_route(route=wrong))[:2] == ("gray:route:chat", "wrong_type")
    assert refusal_of(raw_route(rules=wrong))[:2] == ("gray:route:chat:rules", "wrong_type")
    versions = judged(raw_route(versions=wrong, weights={})).refused
    assert [refusal.key for refusal in versions] == ["gray:route:chat:versions"]


def test_hostile_names_cannot_drive_a_terminal() -> None:
    raw = raw_route(weights={b"\x1b[2Jv2": b"5"})
    _, _, text = refusal_of(raw)
    assert "\x1b" not in text


def test_a_script_gone_wild_fills_neither_the_log_nor_the_time() -> None:
    many = {b"f%d" % n: b"x" for n in range(5_000)}
    verdict = validate(raw_route(route={b"stable": b"v1", **many}), KEYS)
    assert verdict.spec is None
    assert verdict.refused[0].reason == "too_large"
    some = dict(list(many.items())[:150])
    verdict = validate(raw_route(route={b"stable": b"v1", **some}), KEYS)
    assert verdict.spec is not None
    assert len(verdict.warnings) == MAX_FINDINGS
    assert len(validate(raw_route(weights=some), KEYS).refused) == MAX_FINDINGS


@pytest.mark.parametrize("nines", [20, 400, 5_000])
def test_numbers_beyond_all_machines_are_refused(nines: int) -> None:
    number = b"9" * nines
    rule = b'{"when": {"path": "/"}, "weights": {"v2": ' + number + b"}}"
    assert validate(raw_route(rules=(rule,)), KEYS).spec is None
    version = b'{"urls": "http://127.0.0.1:1", "note": [{"n": ' + number + b"}]}"
    verdict = validate(raw_route(versions={b"v1": b"http://h", b"v2": version}), KEYS)
    assert verdict.spec is None


def with_v2(text: bytes) -> RawRoute:
    return raw_route(versions={b"v1": b"http://h", b"v2": text})


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
        ),
        max_leaves=8,
    )
)
def test_whatever_json_stands_in_the_store_is_refused_or_can_be_sent_on(value: object) -> None:
    text = json.dumps(value).encode()
    for raw in (
        raw_route(rules=(text,)),
        raw_route(rules=(b'{"when": ' + text + b', "version": "v2"}',)),
        raw_route(rules=(b'{"when": {"path": "/"}, "weights": ' + text + b"}",)),
        with_v2(b'{"urls": "http://h", "x": ' + text + b"}"),
        with_v2(b'{"urls": ' + text + b"}"),
    ):
        spec = validate(raw, KEYS).spec
        if spec is not None:
            assert msgspec.msgpack.decode(msgspec.msgpack.encode(spec), type=RouteSpec) == spec

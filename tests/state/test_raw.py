"""The fingerprint of a route is the same here and in the store, whatever bytes it is made of."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.state.keys import Keys, Part
from gateway.state.raw import RawRoute, RouteState, Unreadable, fingerprint, number
from gateway.state.script import WRITE
from tests.servers import Server
from tests.state.samples import raw_route, recorded

KEYS = Keys()
pairs = st.dictionaries(st.binary(max_size=40), st.binary(max_size=40), max_size=6)
text_pairs = st.dictionaries(st.text(max_size=20), st.text(max_size=20), max_size=4)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(pairs, pairs, pairs, st.lists(st.binary(max_size=40), max_size=5))
def test_the_script_finds_the_same_fingerprint_for_any_bytes(
    store: Server,
    route: dict[bytes, bytes],
    versions: dict[bytes, bytes],
    weights: dict[bytes, bytes],
    rules: list[bytes],
) -> None:
    ours = fingerprint(route, versions, weights, rules)
    parts = (Part.VERSIONS, Part.WEIGHTS, Part.RULES, Part.HISTORY)
    keys = [KEYS.routes, KEYS.route("x"), *(KEYS.part("x", part) for part in parts), KEYS.leader]
    with store.client(decode_responses=False) as client:
        client.flushdb()
        for key, content in zip(keys[1:4], (route, versions, weights), strict=True):
            if content:
                client.hset(key, items=[word for pair in content.items() for word in pair])
        if rules:
            client.rpush(keys[4], *rules)

        def outcome(claimed: str) -> object:
            return client.eval(WRITE, len(keys), *keys, 0, claimed, "", 10, 0, 0, 0, 0)[0]

        assert outcome(ours) == b"same"
        assert outcome(ours[::-1] + "0") == b"conflict"


@given(pairs, pairs, pairs, st.lists(st.binary(max_size=40), max_size=5))
def test_moving_a_byte_from_one_part_to_another_changes_the_fingerprint(
    route: dict[bytes, bytes],
    versions: dict[bytes, bytes],
    weights: dict[bytes, bytes],
    rules: list[bytes],
) -> None:
    whole = fingerprint(route, versions, weights, rules)
    if route != versions:
        assert fingerprint(versions, route, weights, rules) != whole
    assert fingerprint(route, versions, weights, [*rules, b""]) != whole
    assert fingerprint({**route, b"new" * 20: b""}, versions, weights, rules) != whole


@given(text_pairs, text_pairs, text_pairs, st.lists(st.text(max_size=20), max_size=4))
def test_text_survives_the_way_from_the_store_into_the_history_and_back(
    route: dict[str, str], versions: dict[str, str], weights: dict[str, str], rules: list[str]
) -> None:
    state = RouteState(route, versions, weights, tuple(rules))
    raw = RawRoute(
        "chat",
        {k.encode(): v.encode() for k, v in route.items()},
        {k.encode(): v.encode() for k, v in versions.items()},
        {k.encode(): v.encode() for k, v in weights.items()},
        tuple(rule.encode() for rule in rules),
    )
    assert raw.state() == state
    assert raw.fingerprint() == state.fingerprint()
    assert raw.is_empty == state.is_empty
    assert msgspec.json.decode(msgspec.json.encode(state), type=RouteState) == state


def test_the_order_of_fields_does_not_matter_and_that_of_rules_does() -> None:
    one, two = {b"a": b"1", b"b": b"2"}, {b"b": b"2", b"a": b"1"}
    assert fingerprint(one, {}, {}, []) == fingerprint(two, {}, {}, [])
    assert fingerprint({}, {}, {}, [b"a", b"b"]) != fingerprint({}, {}, {}, [b"b", b"a"])


def test_a_key_that_cannot_be_read_leaves_no_fingerprint_and_is_not_empty() -> None:
    raw = raw_route(weights=Unreadable("wrong_type", "is not a hash"))
    assert not raw.is_readable
    assert not raw.is_empty
    assert raw.fingerprint() == ""
    assert raw.state().weights == {}
    assert raw_route(rules=Unreadable("wrong_type", "is not a list")).state().rules == ()


def test_a_route_is_recorded_while_the_newest_entry_describes_it() -> None:
    raw = recorded(raw_route(), 3)
    assert raw.is_recorded
    assert not replace(raw, weights={b"v2": b"11"}).is_recorded
    assert not raw_route().is_recorded


def test_bytes_that_are_no_text_are_noticed() -> None:
    assert raw_route().is_text
    assert not raw_route(weights={b"\xff": b"1"}).is_text
    assert not raw_route(rules=(b"\xff",)).is_text


@pytest.mark.parametrize(
    ("text", "value"),
    [(b"0", 0), (b"17", 17), (b"%d" % 2**53, 2**53), (b"%d" % (2**53 + 1), None), (b"", None),
     (b"-1", None), (b"1.5", None), (b" 1", None), ("²".encode(), None), (b"9" * 5000, None)],
)  # fmt: skip
def test_numbers_that_people_typed_are_read_or_are_none(text: bytes, value: int | None) -> None:
    assert number(text) == value

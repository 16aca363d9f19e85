from __future__ import annotations

import msgspec
import pytest

from gateway.routing.exposure import raised, segment_raised
from gateway.routing.spec import RouteSpec, RuleSpec, VersionSpec

ONE = VersionSpec(urls=("http://10.0.0.1:1",))
TO_V2 = RuleSpec(when={"segment": "beta"}, version="v2")
TO_V3 = RuleSpec(when={"path": "/x"}, version="v3")
SPLIT = RuleSpec(when={}, weights={"v2": 5.0})
TO_STABLE = RuleSpec(when={"segment": "staff"}, version="v1")
HELD = RouteSpec(
    name="chat",
    stable="v1",
    versions={"v1": ONE, "v2": ONE, "v3": ONE},
    retired={"v0": ONE},
    weights={"v2": 10.0},
    rules=(TO_STABLE, TO_V2),
    spill_cap=20.0,
)


def changed(**fields: object) -> RouteSpec:
    return msgspec.structs.replace(HELD, **fields)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"weights": {"v2": 10.5}}, "v2 goes from 10 % to 10.5 %"),
        ({"weights": {"v2": 10.0, "v3": 1.0}}, "v3 goes from 0 % to 1 %"),
        ({"weights": {"v2": 0.0, "v3": 1.0}}, "v3 goes from 0 % to 1 %"),
        ({"stable": "v2", "weights": {}}, "stable becomes v2, which was v1"),
        ({"versions": {**HELD.versions, "v0": ONE}, "retired": {}}, "v0 is brought back"),
        ({"spill_cap": 21.0}, "spill_cap goes from 20 to 21"),
        ({"rules": (TO_STABLE, TO_V2, TO_V3)}, "rules may send more to a candidate"),
        ({"rules": (TO_STABLE, TO_V2, SPLIT)}, "rules may send more to a candidate"),
        ({"rules": (TO_V2, TO_STABLE)}, "rules may send more to a candidate"),
        ({"rules": (TO_V2,)}, "rules may send more to a candidate"),
        ({"rules": (TO_V3,)}, "rules may send more to a candidate"),
    ],
)
def test_what_gives_a_candidate_more_is_told(fields: dict[str, object], told: str) -> None:
    assert told in raised(HELD, changed(**fields), {})


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"weights": {}},
        {"weights": {"v2": 9.5}},
        {"paused": True},
        {"paused": True, "weights": {"v2": 50.0}},
        {"rules": (TO_STABLE,)},
        {"rules": (TO_STABLE, TO_STABLE, TO_V2)},
        {"rules": (RuleSpec(when={}, version="v1"), TO_STABLE, TO_V2)},
        {"spill_cap": None},
        {"spill_cap": 1.0},
        {"paths": ("/other",)},
        {"versions": {"v1": ONE}, "retired": {"v2": ONE, "v3": ONE, "v0": ONE}, "weights": {}},
    ],
)
def test_what_gives_it_less_or_the_same_never_is(fields: dict[str, object]) -> None:
    assert raised(HELD, changed(**fields), {}) == ()


def test_the_end_of_a_pause_raises_what_was_paused() -> None:
    assert raised(changed(paused=True), HELD, {}) == ("v2 goes from 0 % to 10 %",)


def test_a_new_route_raises_by_its_weights_and_rules_only() -> None:
    assert raised(None, changed(weights={}, rules=(TO_STABLE,)), {}) == ()
    assert raised(None, HELD, {}) == (
        "v2 goes from 0 % to 10 %",
        "rules may send more to a candidate",
    )


@pytest.mark.parametrize(
    ("name", "added", "removed", "told"),
    [
        ("whitelist/v2", 2, 0, "2 ids come onto whitelist/v2"),
        ("whitelist/v2", 0, 2, None),
        ("blacklist", 2, 0, None),
        ("blacklist", 0, 2, "2 ids go from blacklist"),
        ("whitelist/v1", 2, 0, None),
        ("whitelist/v1", 0, 1, "1 ids go from whitelist/v1"),
    ],
)
def test_ids_raise_by_the_list_they_come_onto_or_go_from(
    name: str, added: int, removed: int, told: str | None
) -> None:
    def ids(count: int) -> frozenset[bytes]:
        return frozenset(b"%d" % number for number in range(count))

    moves = {f"route/chat/{name}": (ids(added), ids(removed))}
    assert raised(HELD, HELD, moves) == (() if told is None else (told,))


@pytest.mark.parametrize(
    ("rule", "by_added", "by_removed"),
    [
        (TO_V2, True, False),
        (RuleSpec(when={"segment": "beta"}, version="v1"), False, True),
        (RuleSpec(when={"not": {"segment": "beta"}}, version="v2"), True, True),
        (RuleSpec(when={"not": {"segment": "beta"}}, version="v1"), True, True),
        (RuleSpec(when={"segment": "other"}, version="v2"), False, False),
    ],
)
def test_a_segment_raises_by_the_rules_that_ask_for_it(
    rule: RuleSpec, by_added: bool, by_removed: bool
) -> None:
    routes = {"chat": changed(rules=(rule,))}
    assert bool(segment_raised("beta", routes, True, False)) is by_added
    assert bool(segment_raised("beta", routes, False, True)) is by_removed
    assert segment_raised("beta", routes, False, False) == ()

from __future__ import annotations

from gateway.admin.differences import difference_of
from gateway.routing.spec import RouteSpec, VersionSpec
from gateway.state.contract import Verdict
from gateway.state.keeper import Reading
from gateway.state.raw import RawRoute, RouteState, Unreadable
from gateway.state.snapshot import HeldRoute

RAW = RawRoute(
    "chat",
    route={b"stable": b"v1"},
    versions={b"v1": b"http://a"},
    weights={},
    rules=(b"one", b"two"),
    revision=3,
)
STATE = RouteState({"stable": "v1"}, {"v1": "http://a"}, {}, ("one", "two"))
SPEC = RouteSpec(name="chat", stable="v1", versions={"v1": VersionSpec(urls=("http://a",))})
HELD = HeldRoute(SPEC, STATE, revision=3, fingerprint=RAW.fingerprint())


def reading(raw: RawRoute, *, is_recorded: bool = True) -> Reading:
    return Reading(raw, Verdict(), None, frozenset(), is_recorded)


def fields(raw: RawRoute, held: HeldRoute | None = HELD) -> list[tuple[object, ...]]:
    found = difference_of(held, reading(raw))
    assert found is not None
    rows = found["fields"]
    assert isinstance(rows, list)
    return [(row["part"], row["field"], row["in_force"], row["in_store"]) for row in rows]


def test_a_route_that_is_in_force_as_it_stands_differs_in_nothing() -> None:
    assert difference_of(HELD, reading(RAW)) is None
    assert difference_of(HELD, None) is None
    assert difference_of(None, reading(RawRoute("chat"))) is None


def test_one_that_is_not_recorded_is_told_without_fields() -> None:
    found = difference_of(HELD, reading(RAW, is_recorded=False))
    assert found is not None
    assert (found["in_force"], found["recorded"], found["fields"]) == (True, False, [])


def test_what_was_added_changed_or_taken_away_is_told_part_by_part() -> None:
    raw = RawRoute(
        "chat",
        route={b"host": b"x"},
        versions={b"v1": b"http://u:p@b"},
        rules=(b"one", b"2", b"three"),
    )
    assert fields(raw) == [
        ("route", "host", None, "x"),
        ("route", "stable", "v1", None),
        ("versions", "v1", "http://a", "http://***@b"),
        ("rules", "2", "two", "2"),
        ("rules", "3", None, "three"),
    ]


def test_what_cannot_be_read_is_one_row_with_the_reason() -> None:
    wrong = Unreadable("wrong_type", "it is a string")
    raw = RawRoute("chat", route=RAW.route, versions=wrong, weights={}, rules=wrong)
    assert fields(raw) == [
        ("versions", "", None, "it is a string"),
        ("rules", "", None, "it is a string"),
    ]


def test_what_is_too_long_is_cut() -> None:
    raw = RawRoute("chat", route={b"stable": b"v" * 1000})
    assert ("route", "stable", None, "v" * 300) in fields(raw, None)

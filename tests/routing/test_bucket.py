from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from fractions import Fraction
from math import sqrt
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xxhash import xxh3_64_intdigest

from gateway.routing.bucket import (
    CIRCLE,
    Intervals,
    allocate,
    bucket,
    natural_key,
    percent_of,
    threshold,
)
from tests.routing.xxh3 import xxh3_64

VECTORS = json.loads(Path(__file__).with_name("vectors.json").read_text(encoding="utf-8"))

# Eight candidates in natural order; the tests use the first few of them.
NAMES = ("v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9")

percents = st.integers(0, 100 * 10**6).map(lambda micro: micro / 10**6)


# The published formula


def test_the_oracle_is_xxh3() -> None:
    for size in range(1, 129):
        data = bytes((37 * place + size) % 256 for place in range(size))
        assert xxh3_64(data) == xxh3_64_intdigest(data)


def test_there_are_20_published_vectors() -> None:
    assert len(VECTORS) == 20


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"{vector['salt']}:{vector['unit']}")
def test_a_published_vector_holds(vector: dict[str, str]) -> None:
    salt, unit = vector["salt"].encode(), vector["unit"].encode()
    place = bucket(salt, unit)
    assert f"{place:016x}" == vector["bucket"]
    assert place == xxh3_64(salt + b":" + unit)
    micro = Fraction(place, 2**64) * 100 * 10**6
    assert Fraction(vector["percent"]) * 10**6 == int(micro)
    assert percent_of(place) == pytest.approx(float(vector["percent"]), abs=1e-6)


@pytest.mark.parametrize(
    ("percent", "places"),
    [
        (0, 0),
        (100, 2**64),
        (50, 2**63),
        (25, 2**62),
        (12.5, 2**61),
        (10, 1844674407370955161),
        (0.1, 18446744073709551),
        (0.000001, 184467440737),
        (0.0000004, 0),
        (99.999999, 18446743889242110878),
    ],
)
def test_a_weight_owns_places_in_whole_millionths_of_a_percent(percent: float, places: int) -> None:
    assert threshold(percent) == places
    assert places == round(percent * 10**6) * 2**64 // 10**8


# Natural order


def test_names_sort_as_people_do() -> None:
    names = ["v10", "v2", "v1", "v2.10", "v2.9", "beta", "v", "10", "9", "v02", "v2-rc1"]
    assert sorted(names, key=natural_key) == [
        "9",
        "10",
        "beta",
        "v",
        "v1",
        "v02",
        "v2",
        "v2-rc1",
        "v2.9",
        "v2.10",
        "v10",
    ]


def test_numbers_of_any_length_sort() -> None:
    assert natural_key("v" + "9" * 10_000) < natural_key("v1" + "0" * 10_000)


# Who owns which places


def test_candidates_grow_from_opposite_ends_and_quarters() -> None:
    intervals = allocate(NAMES, dict.fromkeys(NAMES[:4], 10))
    assert repr(intervals) == "<Intervals v2 0-10 %, v5 40-50 %, v4 50-60 %, v3 90-100 %>"


def test_eight_candidates_have_eight_corners() -> None:
    intervals = allocate(NAMES, dict.fromkeys(NAMES, 12.5))
    firsts = [percent_of(intervals.of(name)[0][0]) for name in NAMES]
    assert firsts == [0, 87.5, 50, 37.5, 25, 12.5, 75, 62.5]


def test_one_candidate_at_100_owns_the_whole_circle() -> None:
    intervals = allocate(NAMES, {"v2": 100})
    assert intervals.of("v2") == ((0, CIRCLE),)
    assert intervals.find(0) == intervals.find(CIRCLE - 1) == "v2"


def test_candidates_that_add_up_to_100_leave_nothing_to_stable() -> None:
    intervals = allocate(NAMES, {"v2": 33.333333, "v3": 33.333333, "v4": 33.333334})
    assert None not in intervals.owners
    assert sum(end - first for name in NAMES for first, end in intervals.of(name)) == CIRCLE


@pytest.mark.parametrize("weights", [{}, {"v2": 0.0}, {"v2": 0.0, "v4": 0.0}])
def test_candidates_at_0_own_nothing(weights: dict[str, float]) -> None:
    intervals = allocate(NAMES, weights)
    assert intervals.owners == [None]
    assert intervals.find(0) is intervals.find(CIRCLE - 1) is None
    assert repr(intervals) == "<Intervals empty>"


def test_a_candidate_goes_around_what_earlier_ones_own() -> None:
    intervals = allocate(NAMES, {"v2": 60, "v4": 40})
    assert intervals.of("v2") == ((0, threshold(60)),)
    assert intervals.of("v4") == ((threshold(60), CIRCLE),)
    split = allocate(NAMES, {"v2": 10, "v3": 10, "v4": 60})
    assert [(round(percent_of(a)), round(percent_of(b))) for a, b in split.of("v4")] == [
        (10, 30),
        (50, 90),
    ]


def test_a_weight_at_0_keeps_the_place_of_the_others() -> None:
    with_zero = allocate(NAMES, {"v2": 0, "v3": 5, "v5": 5})
    without = allocate(NAMES, {"v3": 5, "v5": 5})
    assert (with_zero.cuts, with_zero.owners) == (without.cuts, without.owners)


def test_borders_belong_to_the_upper_arc() -> None:
    intervals = Intervals({(10, 20): "a", (20, 30): "b"})
    owners = [intervals.find(place) for place in (9, 10, 19, 20, 29, 30)]
    assert owners == [None, "a", "a", "b", "b", None]


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        ({"v1": 5}, "no candidate v1"),
        ({"v2": -1}, "not between 0 and 100"),
        ({"v2": float("nan")}, "not between 0 and 100"),
        ({"v2": 100.5}, "not between 0 and 100"),
        ({"v2": 60, "v3": 40.000001}, "add up to 100"),
    ],
)
def test_impossible_weights_are_refused(weights: dict[str, float], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        allocate(NAMES, weights)


def keeps_everyone(before: Intervals, after: Intervals, names: tuple[str, ...]) -> bool:
    """Whether each place that a candidate owned is still its own."""
    return all(
        any(start <= first and end <= stop for start, stop in after.of(name))
        for name in names
        for first, end in before.of(name)
    )


def sizes(intervals: Intervals, name: str) -> int:
    return sum(end - first for first, end in intervals.of(name))


@settings(deadline=None, derandomize=True, max_examples=500)
@given(percents, percents, percents)
def test_raising_a_weight_moves_nobody_off_with_two_candidates(
    first: float, second: float, raised: float
) -> None:
    first, raised = sorted((first, raised))
    second = min(second, 100 - raised)
    for a, b in (("v2", "v3"), ("v3", "v2"), ("v4", "v5"), ("v9", "v8")):
        before = allocate(NAMES, {a: first, b: second})
        after = allocate(NAMES, {a: raised, b: second})
        assert keeps_everyone(before, after, (a, b))


@settings(deadline=None, derandomize=True, max_examples=300)
@given(st.lists(percents, min_size=8, max_size=8), st.integers(0, 7), percents)
@pytest.mark.parametrize("count", [4, 8])
def test_raising_a_weight_moves_nobody_off_with_up_to_eight_candidates_of_their_share(
    count: int, weights: list[float], index: int, raised: float
) -> None:
    most = 100 / count
    held = {NAMES[i]: weights[i] * most / 100 for i in range(count)}
    name = NAMES[index % count]
    before = allocate(NAMES, held)
    after = allocate(NAMES, held | {name: max(held[name], raised * most / 100)})
    assert keeps_everyone(before, after, NAMES)


@settings(deadline=None, derandomize=True, max_examples=300)
@given(st.lists(percents, min_size=1, max_size=8))
def test_everyone_owns_exactly_what_the_weight_says(weights: list[float]) -> None:
    held: dict[str, float] = {}
    for name, percent in zip(NAMES, weights, strict=False):
        held[name] = min(percent, int((100 - sum(held.values())) * 10**6) / 10**6)
    intervals = allocate(NAMES, held)
    for name, percent in held.items():
        assert abs(sizes(intervals, name) - threshold(percent)) <= len(held)


# Statistics, over ids that are the same in every run


def as_number(number: int) -> bytes:
    return b"%d" % number


def as_user(number: int) -> bytes:
    return b"user-%08d" % number


def as_uuid(number: int) -> bytes:
    digits = hashlib.md5(b"%d" % number).hexdigest()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])).encode()


def as_email(number: int) -> bytes:
    return b"person.%d@mail%d.example.com" % (number, number % 7)


def is_within_3_sigma(hits: int, trials: int, chance: float) -> bool:
    return abs(hits - trials * chance) <= 3 * sqrt(trials * chance * (1 - chance))


@pytest.mark.slow
@pytest.mark.parametrize("shape", [as_number, as_user, as_uuid, as_email])
def test_a_million_ids_follow_the_weights(shape: Callable[[int], bytes]) -> None:
    intervals = allocate(NAMES, {"v2": 1, "v3": 10, "v4": 25})
    find = intervals.find
    count = 1_000_000
    hits = dict.fromkeys((*NAMES, None), 0)
    for number in range(count):
        hits[find(bucket(b"chat", shape(number)))] += 1
    for name, percent in (("v2", 1), ("v3", 10), ("v4", 25), (None, 64)):
        assert is_within_3_sigma(hits[name], count, percent / 100)
    assert hits["v5"] == 0


def cohort(salt: bytes, percent: float, count: int) -> Iterator[bool]:
    places = threshold(percent)
    return (bucket(salt, as_user(number)) < places for number in range(count))


@pytest.mark.parametrize(
    "salts", [(b"chat", b"embed"), (b"chat:2024-06-01", b"chat:2024-07-01"), (b"a", b"b")]
)
def test_cohorts_of_two_salts_are_independent(salts: tuple[bytes, bytes]) -> None:
    count = 200_000
    pairs = zip(cohort(salts[0], 10, count), cohort(salts[1], 10, count), strict=True)
    both = sum(first and second for first, second in pairs)
    assert is_within_3_sigma(both, count, 0.01)

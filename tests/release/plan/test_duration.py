from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.release.plan.duration import MAX_SECONDS, said, seconds_of, written


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("90s", 90), ("5m", 300), ("1h30m", 5400), ("7d", 604_800), ("1 h 30 m", 5400),
        ("1H", 3600), (0, 0), (12.5, 12.5), ("0s", 0), ("366d", MAX_SECONDS),
    ],
)  # fmt: skip
def test_a_duration_is_read(value: object, seconds: float) -> None:
    assert seconds_of(value) == seconds


@pytest.mark.parametrize(
    "value",
    ["", "5", "m", "5x", "-5m", "5m1h", "1.5h", "367d", -1, True, None, [], float("nan"), "1e3s"],
)
def test_what_is_none_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"duration|range"):
        seconds_of(value)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"), (0.25, "0.2 s"), (45, "45 s"), (60, "1 min"), (90, "1 min 30 s"),
        (3600, "1 h"), (3661, "1 h 1 min"), (3605, "1 h"),
        (5400, "1 h 30 min"), (90_000, "1 d 1 h"), (-5, "0 s"),
    ],
)  # fmt: skip
def test_a_duration_is_said_in_two_parts_at_most(seconds: float, text: str) -> None:
    assert said(seconds) == text


@given(st.integers(1, MAX_SECONDS))
def test_what_is_written_is_read_back(seconds: int) -> None:
    assert seconds_of(written(float(seconds))) == seconds


def test_fractions_and_nothing_stay_numbers() -> None:
    assert (written(0.5), written(0.0)) == ("0.5", "0")

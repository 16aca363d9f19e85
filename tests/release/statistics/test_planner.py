from __future__ import annotations

from math import inf

import pytest

from gateway.release.statistics.planner import (
    detect_seconds,
    detectable_rate,
    forbidden_ratio,
    growth,
    harmless_requests,
    proof_requests,
)

# At 200 requests a second: stable's rate, the candidate's, the share, seconds.
PLANNED = [
    (0.001, 0.005, 0.01, 912),
    (0.001, 0.02, 0.01, 92),
    (0.01, 0.03, 0.01, 284),
    (0.001, 0.005, 0.1, 108),
    (0.001, 0.005, 0.5, 50),
    (0.001, 0.002, 0.5, 426),
]


@pytest.mark.parametrize(("stable", "candidate", "share", "seconds"), PLANNED)
def test_the_time_to_find_a_worse_candidate_is_the_published_one(
    stable: float, candidate: float, share: float, seconds: int
) -> None:
    assert detect_seconds(200.0, share, stable, candidate) == pytest.approx(seconds, abs=1.0)


@pytest.mark.parametrize(("ratio", "requests"), [(2, 13_300), (3, 4500), (5, 1700)])
def test_the_requests_that_prove_no_harm_are_the_published_ones(
    ratio: float, requests: int
) -> None:
    assert proof_requests(0.001, ratio) == pytest.approx(requests, rel=0.02)


def test_an_equal_or_better_candidate_is_never_found() -> None:
    assert detect_seconds(200.0, 0.1, 0.01, 0.01) == inf
    assert detect_seconds(200.0, 0.1, 0.01, 0.001) == inf
    assert detect_seconds(0.0, 0.1, 0.01, 0.5) == inf


def test_errors_where_stable_has_none_are_found() -> None:
    assert growth(200.0, 0.01, 0.0, 0.02) > 0.0
    assert detect_seconds(200.0, 0.01, 0.0, 0.02) < 100.0


def test_what_can_be_found_in_a_time_takes_just_that_time() -> None:
    rate = detectable_rate(200.0, 0.01, 0.001, 300.0)
    assert rate is not None
    assert detect_seconds(200.0, 0.01, 0.001, rate) == pytest.approx(300.0, rel=0.01)


def test_no_rate_at_all_may_be_enough() -> None:
    assert detectable_rate(1.0, 0.01, 0.001, 60.0) is None


def test_harm_that_is_forbidden_depends_on_the_weight() -> None:
    assert forbidden_ratio(0.001, 0.05, 0.0025) == pytest.approx(51.0)
    assert forbidden_ratio(0.001, 1.0, 0.0025) == pytest.approx(3.5)
    assert forbidden_ratio(0.0, 1.0, 0.0025) == inf


def test_a_higher_weight_needs_more_requests() -> None:
    needed = [harmless_requests(0.001, weight, 0.0025) for weight in (0.05, 0.25, 0.5, 1.0)]
    assert needed == sorted(needed)
    assert needed[-1] == pytest.approx(proof_requests(0.001, 3.5))
    assert harmless_requests(0.0, 1.0, 0.0025) == pytest.approx(1638, abs=1)


def test_what_needs_no_proof_or_can_have_none_takes_for_ever() -> None:
    assert proof_requests(0.0, 2.0) == inf
    assert proof_requests(0.01, 1.0) == inf

from __future__ import annotations

from math import exp, log
from random import Random

import pytest

from gateway.release.statistics.promotion import harmless_weight, ln_harmless
from loadtests.simulate.world import poisson

BUDGET, ALPHA = 0.0025, 0.05


def test_it_is_the_mean_over_three_alternatives() -> None:
    bad, requests, rate, ratio = 3, 4000, 0.001, 3.0
    expected = requests * rate
    terms = []
    for fraction in (1.0, 0.5, 0.2):
        likely = 1 + (ratio - 1) * (1 - fraction)
        terms.append(exp(bad * log(likely / ratio) + expected * (ratio - likely)))
    excess = rate * (ratio - 1)
    got = ln_harmless(bad, requests, expected, excess)
    assert got == pytest.approx(log(sum(terms) / 3))


def test_at_the_limit_itself_evidence_has_a_mean_of_one() -> None:
    requests, expected, excess = 2000, 2.0, 0.0025
    forbidden = expected + requests * excess
    mean, chance = 0.0, exp(-forbidden)
    for bad in range(60):
        mean += chance * exp(ln_harmless(bad, requests, expected, excess))
        chance *= forbidden / (bad + 1)
    assert mean == pytest.approx(1.0)


def test_a_stable_version_without_errors_is_no_trouble() -> None:
    assert ln_harmless(0, 10_000, 0.0, 0.0025) > log(20)
    assert ln_harmless(5, 100, 0.0, 0.0025) < 0.0
    assert ln_harmless(0, 0, 0.0, 0.0025) == pytest.approx(0.0)


def test_nothing_forbidden_refutes_nothing() -> None:
    assert ln_harmless(0, 100, 0.0, 0.0) == 0.0


def test_more_requests_without_harm_allow_a_higher_weight() -> None:
    weights = [
        harmless_weight(0, requests, requests * 0.001, BUDGET, ALPHA)
        for requests in (0, 100, 400, 1000, 3000)
    ]
    assert weights == sorted(weights)
    assert weights[0] == 0.0
    assert 0.0 < weights[1] < weights[2] < 1.0
    assert weights[-1] == 1.0


def test_the_weight_is_where_the_evidence_just_suffices() -> None:
    bad, requests, expected = 1, 900, 0.9
    weight = harmless_weight(bad, requests, expected, BUDGET, ALPHA)
    assert 0.0 < weight < 1.0
    assert ln_harmless(bad, requests, expected, BUDGET / weight) == pytest.approx(log(20), abs=1e-5)
    assert ln_harmless(bad, requests, expected, BUDGET / (weight * 1.01)) < log(20)


def test_a_candidate_that_harms_by_more_than_the_budget_is_rarely_let_through() -> None:
    dice, passed = Random(2), 0
    for _ in range(300):
        bad = requests = 0
        for _ in range(60):
            requests += 100
            bad += poisson(dice, 0.35)  # 0.1 % and the budget of 0.25 % on top
            if harmless_weight(bad, requests, requests * 0.001, BUDGET, ALPHA) >= 1.0:
                passed += 1
                break
    assert passed <= 0.05 * 300 + 3 * (0.05 * 0.95 * 300) ** 0.5

from __future__ import annotations

import random
from itertools import pairwise
from math import comb, exp, log

import pytest

from gateway.release.statistics.draws import (
    RATE_EFFECTS,
    TAIL_EFFECTS,
    Draws,
    Effects,
    ln_bound,
    two_points,
)

# Published with the design of the judge: candidate, all, bad, effect.
BOUNDS = [
    ((2, 200, 1, 100.0), 0.688135),
    ((2, 200, 100, 1.25), 0.235508),
    ((100, 200, 100, 1.25), 11.481318),
    ((20, 100, 5, 3.0), 1.662993),
]
# Candidate, stable, bad ones of the candidate, of stable: ln of the evidence after each.
SEQUENCE = [
    ((2, 198, 1, 0), 2.392524),
    ((1, 199, 0, 1), 2.130039),
    ((3, 197, 2, 0), 9.001943),
    ((2, 198, 1, 1), 12.214112),
]


def ln_exact(candidate: int, total: int, bad: int, effect: float) -> float:
    """The moment itself, from the definition."""
    ways = comb(total, bad)
    least, most = max(0, bad - (total - candidate)), min(candidate, bad)
    moment = sum(
        comb(candidate, x) * comb(total - candidate, bad - x) / ways * effect**x
        for x in range(least, most + 1)
    )
    return log(moment)


def random_draw(dice: random.Random) -> tuple[int, int, int, float]:
    total = dice.randint(2, 120)
    effect = exp(dice.uniform(log(1.01), log(100.0)))
    return dice.randint(1, total), total, dice.randint(1, total), effect


@pytest.mark.parametrize(("draw", "expected"), BOUNDS)
def test_the_bound_is_the_published_one(draw: tuple[int, int, int, float], expected: float) -> None:
    assert ln_bound(*draw) == pytest.approx(expected, abs=5e-7)


def test_a_sequence_of_strata_gives_the_published_evidence() -> None:
    draws = Draws.over(RATE_EFFECTS)
    for (candidate, stable, candidate_bad, stable_bad), expected in SEQUENCE:
        total, bad = candidate + stable, candidate_bad + stable_bad
        draws.observe(RATE_EFFECTS, candidate, total, bad, candidate_bad)
        assert draws.ln_e() == pytest.approx(expected, abs=5e-7)


def test_the_bound_is_never_below_the_exact_moment() -> None:
    dice = random.Random(11)
    for _ in range(10_000):
        draw = random_draw(dice)
        assert ln_bound(*draw) >= ln_exact(*draw) - 1e-9, draw


@pytest.mark.parametrize("effect", [1.15, 3.0, 100.0])
@pytest.mark.parametrize("draw", [(7, 90, 1), (1, 90, 30), (89, 90, 1)])
def test_the_bound_is_exact_where_only_one_request_is_at_stake(
    draw: tuple[int, int, int], effect: float
) -> None:
    assert ln_bound(*draw, effect) == pytest.approx(ln_exact(*draw, effect), abs=1e-12)


@pytest.mark.parametrize("effects", [RATE_EFFECTS, TAIL_EFFECTS])
def test_evidence_has_a_mean_of_at_most_one_under_a_fair_draw(effects: Effects) -> None:
    candidate, total, bad = 12, 40, 9
    mean = 0.0
    for x in range(bad + 1):
        draws = Draws.over(effects)
        draws.observe(effects, candidate, total, bad, x)
        chance = comb(candidate, x) * comb(total - candidate, bad - x) / comb(total, bad)
        mean += chance * exp(draws.ln_e())
    assert 0.5 < mean <= 1.0


@pytest.mark.parametrize(
    "stratum",
    [(0, 200, 5, 0), (200, 200, 5, 5), (20, 200, 0, 0)],
    ids=["no candidate", "no stable", "nothing bad"],
)
def test_a_stratum_that_could_not_have_gone_otherwise_says_nothing(
    stratum: tuple[int, int, int, int],
) -> None:
    draws = Draws.over(RATE_EFFECTS)
    draws.observe(RATE_EFFECTS, *stratum)
    draws.observe_beyond(RATE_EFFECTS, 1.25, *stratum)
    assert draws.ln_e() == 0.0


def test_the_bound_of_nothing_is_nothing() -> None:
    assert ln_bound(0, 200, 5, 3.0) == 0.0
    assert ln_bound(5, 200, 0, 3.0) == 0.0


def test_when_everything_is_bad_nothing_is_learnt() -> None:
    draws = Draws.over(RATE_EFFECTS)
    draws.observe(RATE_EFFECTS, 20, 200, 200, 20)
    assert draws.ln_e() == pytest.approx(0.0, abs=1e-12)


def test_the_two_points_keep_mean_and_variance() -> None:
    candidate, total, bad = 30, 100, 12
    n, r, q = two_points(candidate, total, bad)
    mean = candidate * bad / total
    variance = mean * (1 - bad / total) * (total - candidate) / (total - 1)
    assert n * (1 - r + r * q) == pytest.approx(mean)
    assert n * r * q * (1 - q) == pytest.approx(variance)


def test_more_bad_requests_on_the_candidate_are_more_evidence() -> None:
    found = []
    for x in range(6):
        draws = Draws.over(RATE_EFFECTS)
        draws.observe(RATE_EFFECTS, 20, 200, 5, x)
        found.append(draws.ln_e())
    assert all(less < more for less, more in pairwise(found))


def test_beyond_a_margin_of_one_it_is_the_plain_comparison_of_poisson_events() -> None:
    draws = Draws.over(Effects(2.0))
    draws.observe_beyond(Effects(2.0), 1.0, 10, 100, 3, 2)
    assert draws.ln_e() == pytest.approx(2 * log(2.0) - 3 * log(1.1))


def test_at_the_margin_itself_poisson_events_give_a_mean_of_one() -> None:
    candidate, total, bad, margin = 25, 100, 8, 1.25
    share = candidate * margin / (candidate * margin + total - candidate)
    mean = 0.0
    for x in range(bad + 1):
        draws = Draws.over(RATE_EFFECTS)
        draws.observe_beyond(RATE_EFFECTS, margin, candidate, total, bad, x)
        mean += comb(bad, x) * share**x * (1 - share) ** (bad - x) * exp(draws.ln_e())
    assert mean == pytest.approx(1.0)


def test_noise_divides_the_logarithms() -> None:
    draws = Draws.over(Effects(2.0))
    draws.observe(Effects(2.0), 10, 100, 3, 3)
    assert draws.ln_e(4.0) == pytest.approx(draws.ln_e() / 4.0)


def test_fresh_evidence_is_what_came_after_the_mark() -> None:
    draws, later = Draws.over(RATE_EFFECTS), Draws.over(RATE_EFFECTS)
    draws.observe(RATE_EFFECTS, 2, 200, 1, 1)
    mark = list(draws.logs)
    draws.observe(RATE_EFFECTS, 3, 200, 2, 2)
    later.observe(RATE_EFFECTS, 3, 200, 2, 2)
    assert draws.ln_e_since(mark) == pytest.approx(later.ln_e())

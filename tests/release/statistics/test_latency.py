from __future__ import annotations

from collections import Counter
from itertools import combinations
from math import ceil, comb, exp, floor, log
from random import Random

import pytest

from gateway.metrics.strata import edge_of as measured_edge
from gateway.release.statistics.latency import (
    GROWTH,
    QUANTILES,
    SUMS,
    TILTS,
    Scale,
    Scores,
    Slower,
    edge_of,
    freeze,
    slide_of,
)


def lognormal(dice: Random, count: int, factor: float = 1.0) -> Counter[int]:
    times = (factor * 0.2 * exp(dice.gauss(0.0, 1.0)) for _ in range(count))
    return Counter(floor(log(time) / log(GROWTH)) for time in times)


@pytest.fixture(scope="module")
def scale() -> Scale:
    found = freeze(lognormal(Random(1), 50_000))
    assert found is not None
    return found


def evidence(scale: Scale, candidate: Counter[int], stable: Counter[int], slide: int = 0) -> Slower:
    slower, scores, slid = Slower.over(scale), Scores(scale), Scores(scale, (slide,))
    mine, others = sum(candidate.values()), sum(stable.values())
    for cut, threshold in enumerate(scale.thresholds):
        over = sum(n for bucket, n in candidate.items() if bucket >= threshold + slide)
        stable_over = sum(n for bucket, n in stable.items() if bucket >= threshold)
        slower.observe_tail(cut, mine, mine + others, over + stable_over, over)
    slower.observe_rank(mine, slid.sums(candidate), others, scores.sums(stable))
    return slower


def test_buckets_are_those_that_workers_count_in() -> None:
    for bucket in (-50, 0, 7, 120):
        assert edge_of(bucket) == pytest.approx(measured_edge(bucket))


@pytest.mark.parametrize(("margin", "slide"), [(0.0, 0), (0.05, 1), (0.06, 2), (0.1, 2), (0.2, 4)])
def test_a_margin_is_whole_buckets(margin: float, slide: int) -> None:
    assert slide_of(margin) == slide
    assert slide >= ceil(log(1 + margin) / log(GROWTH) - 1e-9)


def test_thresholds_are_the_quantiles_of_stable(scale: Scale) -> None:
    times = [edge_of(threshold) for threshold in scale.thresholds]
    expected = (0.2, 0.393, 0.72, 1.036, 2.05, 4.4)
    assert times == pytest.approx(expected, rel=0.06)
    assert len(times) == len(QUANTILES)


def test_scores_rise_from_none_to_all_and_end_at_the_cap(scale: Scale) -> None:
    assert list(scale.scores) == sorted(scale.scores)
    assert scale.scores[0] < 0.001
    assert scale.scores[-1] == pytest.approx(0.975, abs=0.005)
    assert scale.cap == scale.thresholds[QUANTILES.index(0.95)]


def test_no_times_make_no_scale() -> None:
    assert freeze({}) is None


def test_times_that_are_all_equal_make_one_threshold_above_them() -> None:
    scale = freeze({10: 5000})
    assert scale is not None
    assert scale.thresholds == (11,)
    assert scale.scores == pytest.approx((0.5, 1.0))


def test_sums_are_those_of_scores_and_of_their_exponentials(scale: Scale) -> None:
    histogram = {scale.lowest - 5: 2, scale.lowest + 3: 4, scale.cap + 9: 1}
    sums = Scores(scale).sums(histogram, beyond=2)
    scores = [0.0] * 2 + [scale.scores[3]] * 4 + [scale.scores[-1]] * 3
    assert sums[0] == pytest.approx(sum(score - 0.5 for score in scores))
    for place, tilt in enumerate(TILTS):
        rising = sum(exp(tilt * (score - 0.5)) for score in scores)
        falling = sum(exp(-tilt * (score - 0.5)) for score in scores)
        assert sums[1 + place] == pytest.approx(rising)
        assert sums[1 + len(TILTS) + place] == pytest.approx(falling)
    assert len(sums) == SUMS


def test_no_request_sums_up_to_nothing(scale: Scale) -> None:
    assert Scores(scale).sums({}) == [0.0] * SUMS


def test_a_slide_makes_times_quicker_by_so_many_buckets(scale: Scale) -> None:
    scores, slid, slides = Scores(scale), Scores(scale, (2,)), Scores(scale, (0, 2, 5))
    bucket = scale.lowest + 20
    assert slid.sums({bucket: 3}) == scores.sums({bucket - 2: 3})
    times = {scale.lowest - 9: 1, scale.lowest + 1: 2, bucket: 3, scale.cap: 4, scale.cap + 7: 5}
    assert slides.slid_sums(times, beyond=6) == [
        scores.sums({bucket - slide: count for bucket, count in times.items()}, beyond=6)
        for slide in (0, 2, 5)
    ]


def test_a_million_requests_in_a_bucket_do_not_run_into_the_next_sum(scale: Scale) -> None:
    scores = Scores(scale, (0, 1))
    once, often = ({bucket: count for bucket in (scale.lowest, scale.cap)} for count in (1, 10**8))
    for sums, many in zip(scores.slid_sums(once), scores.slid_sums(often), strict=True):
        assert many == pytest.approx([10**8 * one for one in sums], rel=1e-12)


def test_rank_evidence_has_a_mean_of_at_most_one_whichever_arm_is_smaller() -> None:
    scale = freeze({0: 4, 1: 3, 2: 2, 3: 1})
    assert scale is not None
    scores, requests = Scores(scale), [0, 0, 1, 1, 2, 2, 3]
    for size in (2, 5):
        mean = 0.0
        for chosen in combinations(range(len(requests)), size):
            mine = Counter(requests[place] for place in chosen)
            others = Counter(requests) - mine
            slower = Slower.over(scale)
            slower.observe_rank(size, scores.sums(mine), len(requests) - size, scores.sums(others))
            mean += exp(max(slower.rank)) / comb(len(requests), size)
            assert all(part <= 5.0 for part in slower.rank)
        means = [0.0] * len(TILTS)
        for chosen in combinations(range(len(requests)), size):
            mine = Counter(requests[place] for place in chosen)
            slower = Slower.over(scale)
            slower.observe_rank(
                size,
                scores.sums(mine),
                len(requests) - size,
                scores.sums(Counter(requests) - mine),
            )
            for place, part in enumerate(slower.rank):
                means[place] += exp(part) / comb(len(requests), size)
        assert all(0.7 < found <= 1.0 + 1e-12 for found in means)


def test_a_slower_candidate_is_found_and_a_quicker_one_is_not(scale: Scale) -> None:
    dice = Random(2)
    stable = lognormal(dice, 5000)
    assert evidence(scale, lognormal(dice, 5000, 1.3), stable).ln_e() > log(400)
    assert evidence(scale, lognormal(dice, 5000, 0.8), stable).ln_e() < 0.0


def test_a_slower_tail_alone_is_found_by_the_tails(scale: Scale) -> None:
    dice = Random(3)
    candidate = Counter(
        {bucket + (14 if bucket >= scale.thresholds[4] else 0): n
         for bucket, n in lognormal(dice, 20_000).items()}
    )  # fmt: skip
    slower = evidence(scale, candidate, lognormal(dice, 20_000))
    assert slower.tails[-1].ln_e() > log(400)
    assert max(slower.rank) < log(20)


def test_a_margin_forgives_what_is_within_it(scale: Scale) -> None:
    dice = Random(4)
    candidate, stable = lognormal(dice, 5000, 1.15), lognormal(dice, 5000)
    assert evidence(scale, candidate, stable).ln_e() > log(20)
    assert evidence(scale, candidate, stable, slide=3).ln_e() < log(20)


def test_with_the_roles_swapped_it_proves_that_a_candidate_keeps_up(scale: Scale) -> None:
    dice, scores = Random(5), Scores(scale)
    found = {}
    for factor in (1.0, 1.1):
        candidate, stable = lognormal(dice, 3000, factor), lognormal(dice, 30_000)
        slower = Slower.over(scale)
        for cut, threshold in enumerate(scale.thresholds):
            over = sum(n for bucket, n in candidate.items() if bucket >= threshold + 2)
            stable_over = sum(n for bucket, n in stable.items() if bucket >= threshold)
            slower.observe_tail(cut, 30_000, 33_000, over + stable_over, stable_over)
        slid = Scores(scale, (2,)).sums(candidate)
        slower.observe_rank(30_000, scores.sums(stable), 3000, slid)
        found[factor] = slower.ln_e()
    assert found[1.0] > log(20)
    assert found[1.1] < log(20)


def test_an_arm_without_requests_says_nothing(scale: Scale) -> None:
    slower = Slower.over(scale)
    slower.observe_rank(0, [0.0] * SUMS, 100, [1.0] * SUMS)
    slower.observe_rank(100, [1.0] * SUMS, 0, [0.0] * SUMS)
    assert slower.ln_e() == pytest.approx(0.0)


def test_fresh_evidence_is_what_came_after_the_mark(scale: Scale) -> None:
    dice = Random(6)
    slower = evidence(scale, lognormal(dice, 500, 1.4), lognormal(dice, 500))
    mark = evidence(scale, Counter(), Counter())
    assert slower.ln_e_since(mark) == pytest.approx(slower.ln_e())
    assert slower.ln_e_since(slower) == pytest.approx(0.0)

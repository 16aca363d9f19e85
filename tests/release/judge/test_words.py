from __future__ import annotations

import pytest

from gateway.release.judge import words
from gateway.release.judge.baseline import Baseline
from gateway.release.judge.counts import Counts
from gateway.release.judge.families import LatencyFamily
from gateway.release.judge.late import Late
from gateway.release.judge.settings import JudgeSettings
from gateway.release.judge.strata import TailCounts
from gateway.release.statistics.curve import Curve
from tests.release.judge.parts import timed_baseline


def told_of(name: str, counts: Counts) -> str:
    curve = Curve()
    total = counts.candidate + counts.stable
    curve.observe(
        counts.candidate, total, counts.candidate_bad + counts.stable_bad, counts.candidate_bad
    )
    return words.of_rates(name, counts, curve.estimate(), curve.interval())


def test_errors_are_told_with_both_versions_and_their_ratio() -> None:
    counts = Counts(2000, 20, 198_000, 200)
    told = told_of("errors", counts)
    assert told.startswith("errors: 20 of 2,000 requests failed on the candidate (1 %), ")
    assert "200 of 198,000 on stable (0.101 %), 9.9 times stable's rate (95 %: " in told


@pytest.mark.parametrize(
    ("name", "words_of_it"),
    [
        ("feedback", "ratings were bad"),
        ("shadow", "mirrored answers differed"),
        ("client-errors", "the client's fault"),
        ("refusals", "events were bad"),
    ],
)
def test_each_family_has_its_own_words(name: str, words_of_it: str) -> None:
    counts = Counts(10, 1, 10, 1)
    assert words_of_it in told_of(name, counts)


def test_one_version_alone_is_nothing_to_compare() -> None:
    assert told_of("errors", Counts(10, 1, 0, 0)) == "errors: nothing to compare yet"


def test_ends_that_are_not_known_are_said_to_be_open() -> None:
    assert "(95 %: 0 to any)" in told_of("errors", Counts(1000, 1, 1000, 0))
    assert words.ratio(None, None) == ""


def test_nothing_of_nothing_is_no_share() -> None:
    assert words.share(0, 0) == "no data"


def watched(is_alone: bool) -> Late:
    late = Late()
    for second in range(110):
        bad = 0 if second < 100 else 20
        if is_alone:
            late.observe_alone(second, Counts(200, bad), 0.001, 1.0)
        else:
            late.observe(second, Counts(190, bad, 10, int(second == 105)), 1.0, 1.0)
    return late


def test_errors_that_rose_late_are_told_with_when_and_against_what() -> None:
    assert words.of_late(watched(is_alone=False), 0.001) == (
        "errors rose after the promotion: 200 of 1,900 requests failed on the candidate within "
        "10 s (10.5 %), 0 % earlier in the bake, 1 of 100 on stable at the same time (1 %)"
    )
    assert words.of_late(watched(is_alone=True), 0.001) == (
        "errors rose after the promotion: 200 of 2,000 requests failed on the candidate within "
        "10 s (10 %), 0 % earlier in the bake; nothing is held back on stable, which had 0.1 %"
    )


def test_latency_is_told_by_a_time_that_people_know() -> None:
    family = LatencyFamily.of(JudgeSettings(), timed_baseline("total"))
    assert words.of_latency(family) == "latency: nothing to compare yet"
    tail = TailCounts(
        metric="total", cut=3, candidate_n=50, candidate_over=[25, 24, 23],
        stable_n=1000, stable_over=50,
    )  # fmt: skip
    family.observe(1, (tail,), ())
    told = words.of_latency(family)
    assert told == (
        "latency: 50 % of the candidate's 50 requests took 1.05 s or more, 5 % of stable's 1,000"
    )


def test_where_units_stay_latency_says_that_each_counts_once() -> None:
    family = LatencyFamily.of(JudgeSettings(), timed_baseline("total"))
    tail = TailCounts(
        metric="total", cut=3, candidate_n=50, candidate_over=[25, 24, 23],
        stable_n=1000, stable_over=50,
    )  # fmt: skip
    family.observe(1, (tail,), ())
    told = words.of_latency(family, is_by_unit=True)
    assert told.startswith("latency, one request of each unit: 50 % of the candidate's 50 requests")


def test_without_a_baseline_latency_says_why() -> None:
    family = LatencyFamily.of(JudgeSettings(), Baseline())
    assert "before the release are not known" in words.of_latency(family)


def test_short_times_are_milliseconds() -> None:
    assert words.seconds(0.0423) == "42.3 ms"
    assert words.seconds(12.0) == "12 s"

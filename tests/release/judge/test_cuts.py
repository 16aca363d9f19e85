from __future__ import annotations

from random import Random

from gateway.release.judge.baseline import Baseline
from gateway.release.judge.cuts import Cut, Cutter, Timed, cuts_of, due
from gateway.release.judge.settings import JudgeSettings
from gateway.release.judge.strata import RankSums, TailCounts
from gateway.release.statistics.latency import Scores, edge_of
from tests.release.judge.parts import cell, timed_baseline, times

SETTINGS = JudgeSettings()


def timed(arrived: int, **histograms: dict[int, int]) -> Timed:
    finished = sum(histograms.get("total", {}).values())
    return Timed(arrived=arrived, finished=finished, **histograms)


def tail(cutter: Cutter, metric: str, place: int, candidate: Timed, stable: Timed) -> TailCounts:
    cut = next(cut for cut in cutter.cuts if (cut.metric, cut.place) == (metric, place))
    [counts] = cutter.take([cut], candidate, stable)
    assert isinstance(counts, TailCounts)
    return counts


def test_a_threshold_is_due_so_long_after_arrival_as_it_is_high() -> None:
    baseline = timed_baseline("total")
    cuts = cuts_of(SETTINGS, baseline)
    thresholds = baseline.scales["total"].thresholds
    assert [cut.wait for cut in cuts] == sorted(cut.wait for cut in cuts)
    for cut in cuts:
        if cut.place >= 0:
            highest = edge_of(thresholds[cut.place] + 2)  # as far as the proof of 10 % slides
            assert highest <= cut.wait < highest + 1
    assert sorted(cut.place for cut in cuts) == [-1, 0, 1, 2, 3, 4, 5]


def test_what_is_told_at_the_end_waits_until_nearly_all_have_ended() -> None:
    cuts = cuts_of(SETTINGS, timed_baseline("total", "first_byte", "gap"))
    others = {cut.wait for cut in cuts if cut.metric != "total"}
    totals = sorted(cut.wait for cut in cuts if cut.metric == "total")
    assert others == {totals[-2]}


def test_metrics_that_are_not_asked_for_have_no_cuts() -> None:
    settings = JudgeSettings(latency_margins={"gap": 0.05})
    baseline = timed_baseline("total", "gap")
    assert {cut.metric for cut in cuts_of(settings, baseline)} == {"gap"}
    assert cuts_of(settings, Baseline()) == ()


def test_whoever_has_not_ended_is_above_the_threshold() -> None:
    cutter = Cutter(SETTINGS, timed_baseline("total"))
    counts = tail(cutter, "total", 0, timed(5), timed(200, total={-50: 150}))
    assert (counts.candidate_n, counts.candidate_over) == (5, [5, 5, 5])
    assert (counts.stable_n, counts.stable_over) == (200, 50)


def test_the_candidate_is_counted_also_slid_down() -> None:
    baseline = timed_baseline("total")
    cutter = Cutter(SETTINGS, baseline)
    threshold = baseline.scales["total"].thresholds[1]
    histogram = {threshold - 1: 1, threshold: 2, threshold + 1: 4, threshold + 2: 8}
    counts = tail(cutter, "total", 1, timed(15, total=histogram), timed(15, total=histogram))
    assert counts.candidate_over == [14, 12, 8]
    assert counts.stable_over == 14


def test_requests_that_ended_without_a_time_are_not_judged_by_it() -> None:
    upgraded = Timed(arrived=10, finished=10, total={-50: 6}, first_byte={-60: 9}, gap={-80: 2})
    assert upgraded.judged("total") == 6
    assert upgraded.judged("first_byte") == 9
    assert upgraded.judged("gap") == 2


def test_times_of_arrivals_that_were_never_told_of_count_as_requests() -> None:
    orphaned = Timed(arrived=1, finished=4, total={-50: 4})
    assert orphaned.judged("total") == 4


def test_cuts_that_are_due_together_say_what_each_says_alone() -> None:
    cutter = Cutter(SETTINGS, timed_baseline("total", "gap"))
    dice = Random(3)
    candidate, stable = (
        Timed(count + 5, count, times(dice, count), {}, times(dice, count - 9))
        for count in (80, 300)
    )
    alone = [counts for cut in cutter.cuts for counts in cutter.take([cut], candidate, stable)]
    assert cutter.take(cutter.cuts, candidate, stable) == alone
    for counts in alone:
        if isinstance(counts, TailCounts):
            threshold = timed_baseline("total").scales["total"].thresholds[counts.cut]
            slower = {b: n for b, n in stable.of(counts.metric).items() if b >= threshold}
            unfinished = 5 if counts.metric == "total" else 0
            assert counts.stable_over == sum(slower.values()) + unfinished


def test_cells_of_one_second_add_up() -> None:
    second = Timed()
    second.add(cell("v2", 7, arrived=3, finished=1, total={4: 1}, gap={2: 1}))
    second.add(cell("v2", 7, finished=2, total={4: 1, 5: 1}, first_byte={1: 2}))
    assert second == Timed(3, 3, {4: 2, 5: 1}, {1: 2}, {2: 1})


def test_a_cell_is_not_changed_by_what_is_added_to_it() -> None:
    first, then, second = cell("v2", 7, total={4: 1}), cell("v2", 7, total={4: 1}), Timed()
    second.add(first)
    second.add(then)
    assert (first.total, second.total) == ({4: 1}, {4: 2})


def test_ranks_count_the_unfinished_as_the_slowest() -> None:
    baseline = timed_baseline("total")
    cutter, scores = Cutter(SETTINGS, baseline), Scores(baseline.scales["total"])
    cut = next(cut for cut in cutter.cuts if cut.place < 0)
    [counts] = cutter.take([cut], timed(3, total={-40: 1}), timed(2, total={-40: 2}))
    assert isinstance(counts, RankSums)
    assert counts.candidate[0] == scores.sums({-40: 1}, beyond=2)
    assert counts.candidate[1] == Scores(scores.scale, (1,)).sums({-40: 1}, beyond=2)
    assert counts.stable == scores.sums({-40: 2})


def test_cuts_are_taken_once_each_in_the_order_they_are_due() -> None:
    cuts = (Cut("total", 0, 1), Cut("total", 1, 2), Cut("total", 2, 2), Cut("total", 3, 9))
    assert due(cuts, 0, 0) == ()
    assert due(cuts, 0, 2) == cuts[:3]
    assert due(cuts, 2, 2) == (cuts[2],)
    assert due(cuts, 3, 100) == (cuts[3],)

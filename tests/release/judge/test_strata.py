from __future__ import annotations

from gateway.release.judge.strata import Answers, Arm, EventPair, RankSums, TailCounts


def test_answers_of_two_seconds_add_up() -> None:
    one = Answers(candidate=Arm(arrived=1, finished=2, bad=1, bad_seconds=1, bad_units=[7]))
    other = Answers(
        candidate=Arm(arrived=2, finished=3, client_errors=1, units=4, bad_units=[7, 8]),
        stable=Arm(finished=9),
        is_split_known=False,
    )
    one.add(other)
    assert one.candidate == Arm(
        arrived=3, finished=5, bad=1, bad_seconds=1, client_errors=1, units=4, bad_units=[7, 7, 8]
    )
    assert one.size == 14
    assert not one.is_split_known


def test_events_add_up() -> None:
    pair = EventPair(family="feedback", candidate_n=1, candidate_bad=1, bad_seconds=1)
    pair.add(EventPair(family="feedback", candidate_n=2, stable_n=5, stable_bad=1, bad_seconds=1))
    assert (pair.candidate_n, pair.candidate_bad, pair.stable_n, pair.stable_bad) == (3, 1, 5, 1)
    assert (pair.size, pair.bad_seconds) == (8, 2)


def test_tails_add_up_slide_by_slide() -> None:
    tail = TailCounts(metric="total", cut=1, candidate_n=4, candidate_over=[3, 2, 1], stable_n=9)
    tail.add(
        TailCounts(
            metric="total", cut=1, candidate_n=1, candidate_over=[1, 0, 0],
            stable_n=1, stable_over=1,
        )
    )  # fmt: skip
    assert tail.candidate_over == [4, 2, 1]
    assert (tail.size, tail.stable_over) == (15, 1)


def test_ranks_add_up_sum_by_sum() -> None:
    rank = RankSums(metric="gap", candidate_n=1, candidate=[[0.5, 1.0]], stable_n=2, stable=[1.0])
    rank.add(
        RankSums(metric="gap", candidate_n=2, candidate=[[0.25, 1.0]], stable_n=3, stable=[2.0])
    )
    assert rank.candidate == [[0.75, 2.0]]
    assert (rank.stable, rank.size) == ([3.0], 8)

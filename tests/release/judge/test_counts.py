from __future__ import annotations

import pytest

from gateway.release.judge.counts import Counts


def test_counts_add_up() -> None:
    counts = Counts(1, 1, 2, 0)
    counts.add(9, 0, 18, 2)
    assert counts == Counts(10, 1, 20, 2)
    assert (counts.candidate_rate, counts.stable_rate, counts.excess()) == (0.1, 0.1, 0.0)


def test_without_requests_there_is_no_excess() -> None:
    assert Counts().excess() == 0.0
    assert Counts(10, 1, 0, 0).excess() == pytest.approx(0.1)
    assert Counts(0, 0, 10, 1).excess() == 0.0

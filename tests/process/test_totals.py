"""The counts of all workers, living and gone."""

from __future__ import annotations

from gateway.process.channel import Totals
from gateway.process.totals import Ledger

KEY = ("chat", "v2", "weight")
CODE = ("chat", "v2", "200")


def counted(count: int) -> Totals:
    return Totals(decisions=((*KEY, count),), requests=((*CODE, count),))


def test_living_workers_are_added_up_and_a_later_word_replaces_an_earlier_one() -> None:
    ledger = Ledger()
    ledger.join(0, 10)
    ledger.join(1, 11)
    ledger.put(0, 10, counted(5))
    ledger.put(0, 10, counted(7))
    ledger.put(1, 11, counted(1))
    assert ledger.decisions() == {KEY: 8}
    assert ledger.requests() == {CODE: 8}


def test_what_a_dead_worker_had_counted_is_kept() -> None:
    ledger = Ledger()
    ledger.join(0, 10)
    ledger.put(0, 10, counted(5))
    ledger.leave(0, 10)
    assert ledger.decisions() == {KEY: 5}
    ledger.join(0, 20)
    ledger.put(0, 20, counted(2))
    assert ledger.decisions() == {KEY: 7}
    assert ledger.requests() == {CODE: 7}


def test_a_worker_that_comes_back_is_counted_once() -> None:
    ledger = Ledger()
    ledger.join(0, 10)
    ledger.put(0, 10, counted(5))
    ledger.leave(0, 10)
    ledger.join(0, 10)
    ledger.put(0, 10, counted(6))
    assert ledger.decisions() == {KEY: 6}


def test_a_worker_that_drains_beside_its_successor_counts_on_until_it_leaves() -> None:
    ledger = Ledger()
    ledger.join(0, 10)
    ledger.put(0, 10, counted(5))
    ledger.join(0, 20)
    ledger.put(0, 20, counted(1))
    ledger.put(0, 10, counted(9))
    assert ledger.decisions() == {KEY: 10}
    ledger.leave(0, 10)
    assert ledger.decisions() == {KEY: 10}


def test_a_worker_that_was_given_up_is_not_counted_twice_when_it_comes_back() -> None:
    ledger = Ledger()
    ledger.join(0, 10)
    ledger.put(0, 10, counted(5))
    ledger.leave(0, 10)
    ledger.join(0, 20)
    ledger.join(0, 10)
    ledger.put(0, 10, counted(6))
    assert ledger.decisions() == {KEY: 5}


def test_a_hundred_generations_of_dead_workers_leave_one_sum() -> None:
    ledger = Ledger()
    for born in range(100):
        ledger.join(0, born)
        ledger.put(0, born, counted(1))
        ledger.leave(0, born)
    assert ledger.decisions() == {KEY: 100}
    assert len(ledger._known) == 1

"""How many retries may run."""

from __future__ import annotations

import pytest

from gateway.upstream.budget import RetryBudget


@pytest.mark.parametrize(
    ("active", "most"), [(0, 3), (1, 3), (15, 3), (19, 3), (20, 4), (100, 20), (1000, 200)]
)
def test_L12_a_fifth_of_the_active_requests_may_be_retries_and_always_three(
    active: int, most: int
) -> None:
    budget = RetryBudget()
    assert [budget.try_take(active) for _ in range(most + 2)] == [True] * most + [False] * 2
    assert repr(budget) == f"<RetryBudget {most} running>"


def test_a_retry_that_ends_makes_room_for_another() -> None:
    budget = RetryBudget()
    while budget.try_take(0):
        pass
    budget.give_back()
    assert budget.try_take(0)
    assert not budget.try_take(0)

"""Weights that follow a measure of quality: an optional way to spend less traffic on the worse.

The guardrails run unchanged beside it, since they condition on the counts that really came.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

FLOOR = 0.05
CEILING = 0.95
GROWTH = 1.5
ROUNDS = 1000
LEADER_PART = 0.5

# A number between 0 and 1 from the Beta distribution with these two parameters.
BetaDraw = Callable[[float, float], float]


def best_chances(
    outcomes: Sequence[tuple[int, int]], draw: BetaDraw, rounds: int = ROUNDS
) -> tuple[float, ...]:
    """How probable it is of each version that it is the best, from its (good, bad) events."""
    wins = [0] * len(outcomes)
    for _ in range(rounds):
        draws = [draw(1.0 + good, 1.0 + bad) for good, bad in outcomes]
        wins[max(range(len(draws)), key=draws.__getitem__)] += 1
    return tuple(count / rounds for count in wins)


def top_two(chances: Sequence[float]) -> tuple[float, ...]:
    """The shares of top-two Thompson sampling: half to the likely best, half to its challenger.

    Of two versions each would get half, whatever was learnt: there the chances are the shares.
    """
    if len(chances) < 3:
        return tuple(chances)
    shares = []
    for place, chance in enumerate(chances):
        challenged = sum(
            other * chance / (1.0 - other)
            for rival, other in enumerate(chances)
            if rival != place and other < 1.0
        )
        shares.append(LEADER_PART * chance + (1.0 - LEADER_PART) * challenged)
    total = sum(shares)
    return tuple(share / total for share in shares)


def next_share(
    wanted: float,
    before: float,
    *,
    floor: float = FLOOR,
    ceiling: float = CEILING,
    growth: float = GROWTH,
    is_quarantined: bool = False,
) -> float:
    """The candidate's share for the next batch; it falls freely and grows by a factor at most."""
    if is_quarantined:
        return 0.0
    bounded = min(max(wanted, floor), ceiling)
    return max(min(bounded, before * growth), floor)

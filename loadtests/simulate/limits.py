"""What a scenario is, and what must not be exceeded by it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from random import Random

Outcome = dict[str, float]


@dataclass(frozen=True)
class Limit:
    """One number that must not be exceeded."""

    what: str
    of: Callable[[Sequence[Outcome]], float]
    at_most: float
    design: str = ""
    unit: str = "s"
    at_least: float = -inf


@dataclass(frozen=True)
class Scenario:
    """One line of the acceptance table, or several that the same runs show."""

    number: str
    name: str
    runs: int
    run: Callable[[Random], Outcome]
    limits: tuple[Limit, ...]


def quantile(key: str, part: float) -> Callable[[Sequence[Outcome]], float]:
    def of(outcomes: Sequence[Outcome]) -> float:
        values = sorted(outcome[key] for outcome in outcomes)
        return values[min(int(part * len(values)), len(values) - 1)]

    return of


def percent(key: str) -> Callable[[Sequence[Outcome]], float]:
    def of(outcomes: Sequence[Outcome]) -> float:
        return 100.0 * sum(outcome[key] for outcome in outcomes) / len(outcomes)

    return of


def median(key: str) -> Callable[[Sequence[Outcome]], float]:
    return quantile(key, 0.5)


def p95(key: str) -> Callable[[Sequence[Outcome]], float]:
    return quantile(key, 0.95)

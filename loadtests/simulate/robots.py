"""Few people, of whom some fail, and robots that ask every second and are always content."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from random import Random

from gateway.metrics.firsts import UNIT_MASK, Firsts
from gateway.metrics.strata import CellCounts, EventCounts
from gateway.release.judge.baseline import Baseline
from gateway.release.judge.gather import Accumulator
from gateway.release.judge.judge import Judge
from gateway.release.judge.settings import JudgeSettings
from gateway.state.strata import Batch

ROUTE, CANDIDATE, STABLE = "chat", "v2", "v1"
HOUR = 3600
PAUSE_SECONDS = 60  # of people, from one request to the next
BAD = 0.1  # of their requests, or of their ratings
ERRORS, FEEDBACK = "errors", "feedback"


class Guests:
    """People and robots that stay on their version."""

    def __init__(self, dice: Random, people: int, robots: int, share: float, worse: float) -> None:
        self._dice = dice
        self._people = people
        self._robots = range(people, people + robots)
        count = people + robots
        self._units = [dice.getrandbits(64) for _ in range(count)]
        self._is_candidate = [dice.random() < share for _ in range(count)]
        self._worse = worse
        self._firsts = Firsts()
        self._failed: set[int] = set()

    def second(self, second: int, family: str) -> tuple[Sequence[CellCounts], list[EventCounts]]:
        """What a worker tells of one second; what is bad are answers, or ratings of them."""
        dice = self._dice
        people = [who for who in range(self._people) if dice.random() < 1 / PAUSE_SECONDS]
        cells = {version: CellCounts(second, ROUTE, version) for version in (CANDIDATE, STABLE)}
        ratings: dict[str, list[tuple[int, bool]]] = {CANDIDATE: [], STABLE: []}
        for who in (*people, *self._robots):
            version = CANDIDATE if self._is_candidate[who] else STABLE
            rate = BAD * self._worse if self._is_candidate[who] else BAD
            is_bad = who < self._people and dice.random() < rate
            cell, unit = cells[version], self._units[who]
            cell.arrived += 1
            cell.finished += 1
            if self._firsts.is_first(unit & UNIT_MASK, second, float(second)):
                self._firsts.awaited.clear()
                cell.first_units.append(unit & UNIT_MASK)
            if family == FEEDBACK:
                ratings[version].append((unit & UNIT_MASK, is_bad))
            else:
                self._answer(cell, unit, is_bad=is_bad)
        self._firsts.tick(second)
        return list(cells.values()), [
            EventCounts(
                second, ROUTE, version, FEEDBACK, len(told), sum(bad for _, bad in told), told
            )
            for version, told in ratings.items()
            if told
        ]

    def _answer(self, cell: CellCounts, unit: int, *, is_bad: bool) -> None:
        cell.bad += is_bad
        if unit in self._failed:
            return
        cell.units += 1
        if is_bad:
            self._failed.add(unit)
            cell.bad_units.append(unit)


def robots_ask(
    dice: Random,
    settings: JudgeSettings,
    guests: tuple[int, int],
    share: float,
    worse: float = 1.0,
    family: str = ERRORS,
) -> dict[str, float]:
    """Whether errors or ratings roll back within an hour, and when; guests: people and robots."""
    crowd = Guests(dice, *guests, share, worse)
    baseline = Baseline(noise=1.0)
    judge = Judge(settings, baseline)
    gather = Accumulator(ROUTE, CANDIDATE, STABLE, settings, baseline)
    gather.split(0, share)
    for second in range(HOUR):
        cells, events = crowd.second(second, family)
        gather.add(Batch(f"{second}", "g", second, tuple(cells), tuple(events)))
        for stratum in gather.close(second + 1, ["g"]):
            judge.observe(stratum)
        if judge.alarms_of(family)[1]:
            return {"found": 1.0, "seconds": float(second)}
    return {"found": 0.0, "seconds": inf}

"""Visitors who come once, most of whom fail or are not content, on both versions alike."""

from __future__ import annotations

from math import inf
from random import Random

from gateway.metrics.strata import CellCounts, EventCounts
from gateway.release.judge.baseline import Baseline
from gateway.release.judge.gather import Accumulator
from gateway.release.judge.judge import Judge
from gateway.release.judge.settings import JudgeSettings
from gateway.state.strata import Batch
from loadtests.simulate.robots import CANDIDATE, FEEDBACK, HOUR, ROUTE, STABLE


def visitors_come(
    dice: Random, settings: JudgeSettings, bad: float, share: float, family: str
) -> dict[str, float]:
    """Whether errors or ratings of about one a second roll back within an hour, and when."""
    baseline = Baseline(noise=1.0)
    judge = Judge(settings, baseline)
    gather = Accumulator(ROUTE, CANDIDATE, STABLE, settings, baseline)
    gather.split(0, share)
    next_at = 0.0
    for second in range(HOUR):
        cells = {version: CellCounts(second, ROUTE, version) for version in (CANDIDATE, STABLE)}
        ratings: dict[str, list[tuple[int, bool]]] = {CANDIDATE: [], STABLE: []}
        while next_at < second + 1:
            next_at += dice.expovariate(1.0)
            unit, is_bad = dice.getrandbits(32), dice.random() < bad
            version = CANDIDATE if dice.random() < share else STABLE
            cell = cells[version]
            cell.arrived += 1
            cell.finished += 1
            cell.units += 1
            cell.first_units.append(unit)
            if family == FEEDBACK:
                ratings[version].append((unit, is_bad))
            elif is_bad:
                cell.bad += 1
                cell.bad_units.append(unit)
        events = tuple(
            EventCounts(
                second, ROUTE, version, FEEDBACK, len(told), sum(bad for _, bad in told), told
            )
            for version, told in ratings.items()
            if told
        )
        gather.add(Batch(f"{second}", "g", second, tuple(cells.values()), events))
        for stratum in gather.close(second + 1, ["g"]):
            judge.observe(stratum)
        if judge.alarms_of(family)[1]:
            return {"found": 1.0, "seconds": float(second)}
    return {"found": 0.0, "seconds": inf}

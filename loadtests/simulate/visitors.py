"""Visitors who come once, most of whom fail or are not content, on both versions alike.

Beside them there may be regulars who never are: whichever version has more of them must not look
better for it, however often the weight moves a little.
"""

from __future__ import annotations

from math import inf
from random import Random

from gateway.metrics.firsts import UNIT_MASK, Firsts
from gateway.metrics.strata import CellCounts, EventCounts
from gateway.release.judge.baseline import Baseline
from gateway.release.judge.gather import Accumulator
from gateway.release.judge.judge import Judge
from gateway.release.judge.settings import JudgeSettings
from gateway.state.strata import Batch
from loadtests.simulate.robots import CANDIDATE, FEEDBACK, HOUR, ROUTE, STABLE

PAUSE_SECONDS = 20  # of regulars, from one request to the next
MOVE_SECONDS = 36
SHARES = (0.05, 0.055, 0.06, 0.057)


def visitors_come(
    dice: Random, settings: JudgeSettings, bad: float, family: str, regulars: int = 0
) -> dict[str, float]:
    """Whether errors or ratings of about one a second roll back within an hour, and when.

    With regulars the weight moves; without it is the first one.
    """
    baseline = Baseline(noise=1.0)
    judge = Judge(settings, baseline)
    gather = Accumulator(ROUTE, CANDIDATE, STABLE, settings, baseline)
    firsts = Firsts()
    known = [(dice.getrandbits(32), dice.random()) for _ in range(regulars)]
    next_at = share = 0.0
    for second in range(HOUR):
        wanted = SHARES[second // MOVE_SECONDS % len(SHARES) if regulars else 0]
        if wanted != share:
            share = wanted
            gather.split(second, share)
            firsts.dealt()
        cells = {version: CellCounts(second, ROUTE, version) for version in (CANDIDATE, STABLE)}
        ratings: dict[str, list[tuple[int, bool]]] = {CANDIDATE: [], STABLE: []}
        here = [(*who, False) for who in known if dice.random() < 1 / PAUSE_SECONDS]
        while next_at < second + 1:
            next_at += dice.expovariate(1.0)
            here.append((dice.getrandbits(32), dice.random(), dice.random() < bad))
        for unit, place, is_bad in here:
            version = CANDIDATE if place < share else STABLE
            cell = cells[version]
            cell.arrived += 1
            cell.finished += 1
            cell.units += 1
            if firsts.is_first(unit & UNIT_MASK, second, float(second)):
                firsts.awaited.clear()
                cell.first_units.append(unit)
            if family == FEEDBACK:
                ratings[version].append((unit, is_bad))
            elif is_bad:
                cell.bad += 1
                cell.bad_units.append(unit)
        firsts.tick(second)
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

"""Users who fail again and again while weights move, and what was asked before the release began.

The workers are the product's own recorders, since it is they who forget who has failed.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from random import Random

from gateway.metrics.recorder import StrataRecorder
from gateway.metrics.strata import CellCounts, EventCounts
from gateway.proxy.view import stage_of
from gateway.release.judge.baseline import Baseline
from gateway.release.judge.gather import Accumulator
from gateway.release.judge.judge import Judge
from gateway.release.judge.settings import JudgeSettings
from gateway.routing.spec import RouteSpec, VersionSpec
from gateway.routing.table import Identity, compile_route
from gateway.state.strata import Batch
from loadtests.simulate.robots import CANDIDATE, FEEDBACK, HOUR, ROUTE, STABLE

PAUSE_SECONDS = 20  # of a user, from one request to the next
MOVE_SECONDS = 30
RARELY = 0.005  # of the requests of newcomers fail, of both versions alike
STEPS = (0.01, 0.05, 0.25, 0.5)
STEP_SECONDS = 180
OUTAGE = range(60, 120)  # of both
CRASH = 400
CONFIRMED = 20.0  # of the evidence that is fresh since the probe began
_SECONDS = 0.1  # that an answer takes

ShareAt = Callable[[int], float]


def wandering(dice: Random) -> ShareAt:
    """A bandit's weight, from 5 to 30 %, up by half at most."""
    shares = [0.05]

    def at(second: int) -> float:
        while len(shares) <= second // MOVE_SECONDS:
            wanted = 0.05 + 0.25 * dice.betavariate(1, 3)
            shares.append(round(min(wanted, 1.5 * shares[-1]), 4))
        return shares[second // MOVE_SECONDS]

    return at


def in_steps(second: int) -> float:
    return STEPS[min(second // STEP_SECONDS, len(STEPS) - 1)]


class Workers:
    """They share a route's requests, and each tells of those that it has seen."""

    def __init__(self, dice: Random, count: int) -> None:
        self._dice = dice
        self._recorders = [StrataRecorder() for _ in range(count)]
        self._tallies = [recorder.follow(ROUTE, {}, None) for recorder in self._recorders]

    def follow(self, share: float) -> None:
        version = VersionSpec(urls=("http://127.0.0.1:1",))
        spec = RouteSpec(
            name=ROUTE,
            stable=STABLE,
            versions=dict.fromkeys((STABLE, CANDIDATE), version),
            weights={CANDIDATE: 100 * share},
        )
        stage = stage_of(compile_route(spec, {}, Identity()))
        endpoints = {STABLE: ["a"], CANDIDATE: ["b"]}
        self._tallies = [one.follow(ROUTE, endpoints, stage, share) for one in self._recorders]

    def answer(self, second: int, version: str, unit: bytes, *, is_bad: bool) -> None:
        cell = self._dice.choice(self._tallies)[version].arrived(second, unit)
        cell.ended(is_bad, unit, None, _SECONDS, _SECONDS, 0.0, second)

    def told(self, second: int) -> tuple[CellCounts, ...]:
        cells: list[CellCounts] = []
        for recorder in self._recorders:
            recorder.digest()
            cells += recorder.take(second)[0]
        return tuple(cells)


def users_fail_again(
    dice: Random,
    settings: JudgeSettings,
    *,
    workers: int,
    users: int,
    share_at: ShareAt,
    fails: Callable[[int, bool], bool],
    newcomers: float = 0.0,
    since: int = 0,
) -> dict[str, float]:
    """Whether errors roll back within half an hour, and how long after `since`.

    `fails` says whether those who were there from the beginning do, in a second and on the
    candidate or not; of `newcomers`, so many a second, hardly any does.
    """
    baseline = Baseline(noise=1.0)
    judge = Judge(settings, baseline)
    gather = Accumulator(ROUTE, CANDIDATE, STABLE, settings, baseline)
    at_work = Workers(dice, workers)
    known = [(dice.randbytes(8), dice.random()) for _ in range(users)]
    share, next_at = 0.0, inf if not newcomers else 0.0
    for second in range(HOUR // 2):
        if share_at(second) != share:
            share = share_at(second)
            gather.split(second, share)
            at_work.follow(share)
        for unit, place in known:
            if dice.random() < 1 / PAUSE_SECONDS:
                version = CANDIDATE if place < share else STABLE
                is_bad = fails(second, place < share)
                at_work.answer(second, version, unit, is_bad=is_bad)
        while next_at < second + 1:
            next_at += dice.expovariate(newcomers)
            version = CANDIDATE if dice.random() < share else STABLE
            is_bad = dice.random() < RARELY
            at_work.answer(second, version, dice.randbytes(8), is_bad=is_bad)
        gather.add(Batch(f"{second}", "g", second, at_work.told(second), ()))
        for stratum in gather.close(second + 1, ["g"]):
            judge.observe(stratum)
        if judge.alarms_of("errors")[1]:
            return {"found": 1.0, "seconds": float(second - since)}
    return {"found": 0.0, "seconds": inf}


def crashes(second: int, is_candidate: bool) -> bool:
    return second in OUTAGE or (is_candidate and second >= CRASH)


def rated_before(dice: Random, settings: JudgeSettings) -> dict[str, float]:
    """Ratings of an aborted release at 50 % that come while the next one is at 5 %, both equal.

    Three in ten seconds, a fifth of them bad, told after twenty minutes; the first release ended
    ten minutes before the second began.
    """
    baseline = Baseline(noise=1.0)
    judge = Judge(settings, baseline)
    gather = Accumulator(ROUTE, CANDIDATE, STABLE, settings, baseline)
    start, ended = HOUR, HOUR - 600
    gather.split(start, 0.05)
    told: dict[int, list[EventCounts]] = {}
    at = 0.0
    while (at := at + dice.expovariate(0.3)) < 2 * HOUR:
        if ended <= at < start:
            continue
        on = CANDIDATE if dice.random() < (0.5 if at < ended else 0.05) else STABLE
        rated = [(dice.getrandbits(32), dice.random() < 0.2)]
        one = EventCounts(int(at), ROUTE, on, FEEDBACK, 1, int(rated[0][1]), rated)
        told.setdefault(int(at + dice.expovariate(1 / 1200)), []).append(one)
    for second in range(start, 2 * HOUR):
        gather.add(Batch(f"{second}", "g", second, (), tuple(told.get(second, ()))))
        for stratum in gather.close(second + 1, ["g"]):
            judge.observe(stratum)
        if judge.alarms_of(FEEDBACK)[1]:
            return {"found": 1.0, "seconds": float(second - start)}
    return {"found": 0.0, "seconds": inf}


def probe_finds(dice: Random, settings: JudgeSettings) -> dict[str, float]:
    """Whether a probe confirms that a version fails for all, when all have met that before.

    Sixty users ask every other second, a quarter of them the candidate. Two seconds after the
    alarm it has no weight for 20 s, and then its weight again for 15 s.
    """
    baseline = Baseline(noise=1.0)
    judge = Judge(settings, baseline)
    gather = Accumulator(ROUTE, CANDIDATE, STABLE, settings, baseline)
    at_work = Workers(dice, 1)
    known = [(dice.randbytes(8), dice.random()) for _ in range(60)]
    share, alarm = 0.0, HOUR
    for second in range(HOUR // 2):
        away, probe, ends = alarm + 2, alarm + 22, alarm + 37
        wanted = 0.0 if away <= second < probe else 0.25
        if wanted != share:
            share = wanted
            gather.split(second, share)
            at_work.follow(share)
        if second == probe:
            judge.mark()
            gather.mark()
        for unit, place in known:
            if dice.random() < 0.5:
                is_candidate = place < share
                version = CANDIDATE if is_candidate else STABLE
                is_bad = is_candidate and second >= OUTAGE.start
                at_work.answer(second, version, unit, is_bad=is_bad)
        gather.add(Batch(f"{second}", "g", second, at_work.told(second), ()))
        for stratum in gather.close(second + 1, ["g"]):
            judge.observe(stratum)
        if alarm == HOUR and judge.alarms_of("errors")[1]:
            alarm = second + 1
        if second >= probe:
            told = judge.evidence(float(second), 100 * share).families
            if any(one.name == "errors" and one.fresh_e >= CONFIRMED for one in told):
                return {"found": 1.0, "seconds": float(second - probe)}
        if second >= ends:
            break
    return {"found": 0.0, "seconds": inf}

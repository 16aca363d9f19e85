"""The scenarios that the judge has to pass: what one run does, and what must come of many.

A run is a function of its dice; it gives a dictionary of numbers. A scenario says how often it is
run, what it must show, and what the design's own simulation showed, so that both can be compared.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import inf, log
from random import Random
from typing import Literal

from msgspec.structs import replace

from gateway.release.judge.baseline import Baseline
from gateway.release.judge.gather import Accumulator
from gateway.release.judge.judge import Judge
from gateway.release.judge.settings import JudgeSettings
from gateway.release.statistics.latency import Slower
from gateway.release.statistics.planner import detect_seconds
from gateway.release.statistics.split import ln_mismatch
from loadtests.simulate import releases, times, unruly
from loadtests.simulate.limits import Limit, Outcome, Scenario, median, p95, percent
from loadtests.simulate.staying import staying
from loadtests.simulate.world import (
    HOURS_2,
    RATE,
    Errors,
    binomial,
    one_second,
    poisson,
    until_rollback,
)

NEVER = inf
QUIET = Baseline(noise=1.0)
ERRORS_ONLY = JudgeSettings(
    family_weights={"errors": 0.25, "shadow": 0.25, "feedback": 0.25}, latency_margins={}
)


# Errors.


def errors(share: float, stable: float, candidate: float) -> Callable[[Random], Outcome]:
    def run(dice: Random) -> Outcome:
        judge = Judge(ERRORS_ONLY, QUIET)
        strata = Errors(share, stable, candidate).strata(dice, 1, HOURS_2)
        held, rolled_back = until_rollback(judge, "errors", strata)
        found = rolled_back is not None
        return {
            "held": float(held),
            "found": float(found),
            "seconds": float(rolled_back) if rolled_back is not None else NEVER,
        }

    return run


def equal_errors(rate: float, share: float, design: tuple[str, str]) -> Scenario:
    name = f"equal, {rate:.1%} errors, {share:.0%} of the traffic"
    return Scenario(
        "2",
        name,
        2000,
        errors(share, rate, rate),
        (
            Limit("rolled back", percent("found"), 0.5, design[0], "%"),
            Limit("held", percent("held"), 2.0, design[1], "%"),
        ),
    )


def worse_errors(
    number: str,
    rates: tuple[float, float],
    share: float,
    limits: tuple[float, float],
    design: tuple[str, str],
    found: float = 0.0,
) -> Scenario:
    stable, candidate = rates
    wanted = [Limit("median", median("seconds"), limits[0], design[0])]
    if limits[1] < inf:
        wanted.append(Limit("95 %", p95("seconds"), limits[1], design[1]))
    if found:
        wanted.append(Limit("found in 2 h", percent("found"), inf, "100", "%", found))
    name = f"errors {stable:.1%} -> {candidate:.1%}, {share:.0%} of the traffic"
    return Scenario(number, name, 500, errors(share, stable, candidate), tuple(wanted))


def crash(dice: Random) -> Outcome:
    """All of the candidate's answers fail: batch by batch, with the accumulator in front."""
    judge = Judge(ERRORS_ONLY, QUIET)
    gather = Accumulator("chat", "v2", "v1", ERRORS_ONLY, QUIET)
    gather.split(0.0, 0.01)
    failed = 0
    for second in range(100, 400):
        candidate = poisson(dice, RATE * 0.01)
        stable = poisson(dice, RATE * 0.99)
        failed += candidate
        gather.add(
            one_second(second, (candidate, candidate), (stable, binomial(dice, stable, 0.001)))
        )
        for stratum in gather.close(second + 1, ("g1",)):
            judge.observe(stratum)
        if judge.alarms_of("errors")[1]:
            return {"seconds": float(second - 99), "failed": float(failed)}
    return {"seconds": NEVER, "failed": float(failed)}


# Latency.


@cache
def equal_seconds(share: float) -> times.EqualSeconds:
    """One pool of seconds for each process."""
    return times.EqualSeconds(Random(f"pool {share}"))


def equal_latency(share: float) -> Callable[[Random], Outcome]:
    hold, roll_back = log(ERRORS_ONLY.hold_at("errors")), log(ERRORS_ONLY.rollback_at("errors"))

    def run(dice: Random) -> Outcome:
        pool = equal_seconds(share).with_dice(dice)
        slower = Slower.over(pool.scale)
        most = 0.0
        for _ in range(HOURS_2):
            pool.observe(slower, share)
            most = max(most, slower.ln_e())
            if most >= roll_back:
                break
        return {"held": float(most >= hold), "found": float(most >= roll_back)}

    return run


def latency(
    share: float, kind: str, margin: float, seconds: int = HOURS_2
) -> Callable[[Random], Outcome]:
    settings = JudgeSettings(latency_margins={"total": margin})

    def run(dice: Random) -> Outcome:
        baseline = times.baseline_of(dice)
        judge = Judge(settings, baseline)
        strata = times.strata(dice, settings, baseline, share, kind, seconds)
        held, rolled_back = until_rollback(judge, "latency", strata)
        found = rolled_back is not None
        return {
            "held": float(held),
            "found": float(found),
            "seconds": float(rolled_back + 1) if rolled_back is not None else NEVER,
        }

    return run


# Split.


def wrong_split(nominal: float, real: float) -> Callable[[Random], Outcome]:
    limit = log(1.0 / ERRORS_ONLY.srm_alpha)

    def run(dice: Random) -> Outcome:
        candidate = stable = 0
        for second in range(1, HOURS_2 + 1):
            candidate += poisson(dice, RATE * real)
            stable += poisson(dice, RATE * (1.0 - real))
            if ln_mismatch(candidate, stable, nominal) >= limit:
                return {"found": 1.0, "seconds": float(second)}
        return {"found": 0.0, "seconds": NEVER}

    return run


# Planner.

# Stable's rate, the candidate's, the share; what the design planned and simulated.
PLANNED = (
    (0.001, 0.005, 0.01, 912, 863),
    (0.001, 0.02, 0.01, 92, 101),
    (0.01, 0.03, 0.01, 284, 282),
    (0.001, 0.005, 0.1, 108, 113),
    (0.001, 0.005, 0.5, 50, 45),
    (0.001, 0.002, 0.5, 426, 424),
)


def planned(stable: float, candidate: float, share: float, design: int) -> Scenario:
    promised = detect_seconds(RATE, share, stable, candidate)
    name = f"planner: {stable:.1%} -> {candidate:.1%}, {share:.0%}: {promised:.0f} s promised"
    return Scenario(
        "9",
        name,
        500,
        errors(share, stable, candidate),
        (
            Limit(
                "median", median("seconds"), 1.25 * promised, str(design), at_least=0.75 * promised
            ),
        ),
    )


def every_scenario() -> tuple[Scenario, ...]:
    return (
        equal_errors(0.001, 0.01, ("0.10", "0.80")),
        equal_errors(0.001, 0.5, ("0.00", "0.80")),
        equal_errors(0.01, 0.01, ("0.05", "0.50")),
        equal_errors(0.01, 0.5, ("0.05", "0.70")),
        *(
            Scenario(
                "3",
                f"equal latency, {share:.0%} of the traffic",
                2000,
                equal_latency(share),
                (
                    Limit("rolled back", percent("found"), 0.5, rolled_back, "%"),
                    Limit("held", percent("held"), 2.0, held, "%"),
                ),
            )
            for share, rolled_back, held in ((0.01, "0.10", "0.6"), (0.5, "0.00", "0.4"))
        ),
        Scenario(
            "4",
            "crash, 1 % of the traffic",
            2000,
            crash,
            (
                Limit("median", median("seconds"), 3, "2"),
                Limit("95 %", p95("seconds"), 6, "3"),
                Limit("failed requests, 95 %", p95("failed"), 8, "7", ""),
            ),
        ),
        worse_errors("5", (0.001, 0.02), 0.01, (120, 300), ("100", "239")),
        worse_errors("5", (0.01, 0.03), 0.01, (320, 800), ("271", "647")),
        worse_errors("6", (0.001, 0.005), 0.01, (1050, inf), ("921", "2243"), found=100.0),
        worse_errors("6", (0.001, 0.005), 0.1, (130, inf), ("106", "227")),
        worse_errors("6", (0.001, 0.005), 0.5, (60, inf), ("46", "90")),
        *latency_scenarios(),
        *(planned(*case[:3], case[4]) for case in PLANNED),
        Scenario(
            "10",
            "split 1.2 % instead of 1 %",
            500,
            wrong_split(0.01, 0.012),
            (Limit("median", median("seconds"), 300, "218"),),
        ),
        Scenario(
            "10",
            "split as the weights say, 1 %",
            2000,
            wrong_split(0.01, 0.01),
            (Limit("alarm", percent("found"), 0.3, "0.05", "%"),),
        ),
        *release_scenarios(),
        *unruly_scenarios(),
    )


def release(errors: float) -> Callable[[Random], Outcome]:
    return lambda dice: releases.outcome(dice, ERRORS_ONLY, errors)


def release_scenarios() -> tuple[Scenario, ...]:
    return (
        Scenario(
            "11",
            "release of an equal candidate, 0.1 % errors",
            1000,
            release(0.001),
            (
                Limit("at 100 % within 10 min", percent("in time"), inf, "99.9", "%", 99.0),
                Limit("median to 100 %", median("seconds"), inf, "480"),
            ),
        ),
        Scenario(
            "11",
            "release of a candidate with 0.5 % errors",
            1000,
            release(0.005),
            (
                Limit("promoted", percent("promoted"), 1.0, "0", "%"),
                Limit("rolled back", percent("rolled back"), inf, "100", "%"),
                Limit("median to the roll-back", median("seconds"), inf, "263"),
                Limit("extra failed requests, 95 %", p95("extra failed"), 25, "17", ""),
            ),
        ),
    )


def latency_scenarios() -> tuple[Scenario, ...]:
    return (
        Scenario(
            "7",
            "latency +10 %, 50 % of the traffic, no margin",
            200,
            latency(0.5, "10 %", 0.0),
            (Limit("median", median("seconds"), 75, "56"),),
        ),
        Scenario(
            "7",
            "latency x1.5, 1 % of the traffic, no margin",
            200,
            latency(0.01, "x1.5", 0.0),
            (Limit("median", median("seconds"), 65, "51"),),
        ),
        Scenario(
            "7",
            "slowest hundredth x2, 1 % of the traffic, no margin",
            200,
            latency(0.01, "tail", 0.0),
            (
                Limit("median", median("seconds"), 560, "460"),
                Limit("found in 2 h", percent("found"), inf, "100", "%", 100.0),
            ),
        ),
        *(
            Scenario(
                "7",
                f"latency +5 %, {share:.0%} of the traffic, margin 5 %",
                200,
                latency(share, "5 %", 0.05),
                (Limit("rolled back", percent("found"), 1.0, design, "%"),),
            )
            for share, design in ((0.01, "0"), (0.5, "0.5"))
        ),
    )


def unruly_scenarios() -> tuple[Scenario, ...]:
    """Not among those that must be passed: the traps, and that the remedies work."""
    by_unit = replace(ERRORS_ONLY, unit="unit")

    def noisy(cv: float, share: float) -> Callable[[Random], Outcome]:
        return lambda dice: {"found": unruly.noisy_endpoints(dice, ERRORS_ONLY, cv, share)}

    def sticky(share: float, settings: JudgeSettings) -> Callable[[Random], Outcome]:
        return lambda dice: {"found": unruly.few_users_fail(dice, settings, share)}

    def differing(
        *stages: tuple[float, int],
        unit: Literal["unit", "request"] = "unit",
        slower: float = 1.0,
        begins: int = 0,
    ) -> Callable[[Random], Outcome]:
        settings = JudgeSettings(unit=unit)
        return lambda dice: unruly.users_differ(dice, settings, stages, slower, begins)

    cases = [
        *(
            (f"equal, endpoints with bad minutes (cv {cv}), {share:.0%}", noisy(cv, share), design)
            for cv, share, design in ((0.3, 0.5, "0.2"), (0.3, 0.1, "0.1"), (0.6, 0.5, "0.0"))
        ),
        ("equal, few users fail, 1 %, by unit", sticky(0.01, by_unit), "0.1"),
        ("equal, few users fail, 50 %, by unit", sticky(0.5, by_unit), "0.3"),
    ]
    scenarios = [
        Scenario("12", name, 500, run, (Limit("rolled back", percent("found"), 1.0, design, "%"),))
        for name, run, design in cases
    ]
    name = "the trap: the same, 50 %, by request"
    trap = Limit("rolled back", percent("found"), inf, "45", "%")
    ramp = ((0.01, 240), (0.05, 240), (0.25, 240), (0.5, 240))
    fine = tuple((0.01 * 1.5**step, 120) for step in range(10))
    to_and_fro = ((0.2, 120), (0.3, 120)) * 5
    users = "users differ in latency (sigma 0.5), "
    alarm = Limit("rolled back", percent("found"), 1.0, "", "%")
    trapped = Limit("rolled back", percent("found"), inf, "", "%")
    found = Limit("rolled back", percent("found"), inf, "", "%", 99.0)
    at = Limit("median", median("seconds"), inf)
    crowds = [
        Scenario("12", f"{users}equal, 50 %, by unit", 200, differing((0.5, 1200)), (alarm,)),
        Scenario("12", f"{users}equal, 5 %, by unit", 200, differing((0.05, 1200)), (alarm,)),
        Scenario("12", f"{users}equal, 1-5-25-50, by unit", 200, differing(*ramp), (alarm,)),
        Scenario("12", f"{users}equal, steps of x1.5, by unit", 200, differing(*fine), (alarm,)),
        Scenario(
            "12", f"{users}equal, 20-30 to and fro, by unit", 200, differing(*to_and_fro), (alarm,)
        ),
        Scenario(
            "12",
            f"{users}x1.5, 1-5-25-50, by unit",
            100,
            differing(*ramp, slower=1.5),
            (found, at),
        ),
        Scenario(
            "12",
            f"{users}x2 from the 15th minute on, 25 %, by unit",
            100,
            differing((0.25, 2700), slower=2.0, begins=900),
            (found, at),
        ),
        Scenario(
            "12",
            f"the trap: {users}equal, 5 %, by request",
            100,
            differing((0.05, 1200), unit="request"),
            (trapped,),
        ),
    ]
    trap_of_users = Scenario("12", name, 500, sticky(0.5, ERRORS_ONLY), (trap,))
    return (*scenarios, trap_of_users, *crowds, *staying(alarm, at))

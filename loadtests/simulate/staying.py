"""Scenarios in which users stay on their version, fail, and come again or not."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from random import Random

from gateway.release.judge.settings import JudgeSettings
from loadtests.simulate import again, robots, visitors
from loadtests.simulate.limits import Limit, Outcome, Scenario, percent


def staying(alarm: Limit, at: Limit) -> tuple[Scenario, ...]:
    settings = JudgeSettings(unit="unit")

    def asked(
        guests: tuple[int, int], share: float, worse: float, family: str
    ) -> Callable[[Random], Outcome]:
        return lambda dice: robots.robots_ask(dice, settings, guests, share, worse, family)

    def visited(bad: float, family: str, regulars: int) -> Callable[[Random], Outcome]:
        return lambda dice: visitors.visitors_come(dice, settings, bad, family, regulars)

    most = Limit("rolled back", percent("found"), inf, "", "%", 90.0)
    cases = (
        ((60, 1), 0.5, 1.0, "equal", (alarm,)),
        ((300, 3), 0.1, 1.0, "equal", (alarm,)),
        # Many have failed before: a first time comes once.
        ((200, 3), 0.25, 3.0, "x3", (most, at)),
    )
    comers = (
        (0.5, 0, "visitors who come once, 50% bad, equal, 5%"),
        (0.95, 0, "visitors who come once, 95% bad, equal, 5%"),
        (0.8, 100, "visitors who come once, 80% bad, 100 regulars never, equal, 5-6% to and fro"),
    )
    once_come = tuple(
        Scenario("12", f"{name}, {family}", 200, visited(bad, family, regulars), (alarm,))
        for family in (robots.ERRORS, robots.FEEDBACK)
        for bad, regulars, name in comers
    )
    asking = tuple(
        Scenario(
            "12",
            f"{guests[0]} people, {guests[1]} robots never bad, {how}, {share:.0%}, {family}",
            200,
            asked(guests, share, worse, family),
            limits,
        )
        for family in (robots.ERRORS, robots.FEEDBACK)
        for guests, share, worse, how, limits in cases
    )
    return (*once_come, *_again_scenarios(settings, alarm, most, at), *asking)


def _again_scenarios(
    settings: JudgeSettings, alarm: Limit, most: Limit, at: Limit
) -> tuple[Scenario, ...]:
    def always(workers: int) -> Callable[[Random], Outcome]:
        return lambda dice: again.users_fail_again(
            dice,
            settings,
            workers=workers,
            users=20,
            share_at=again.wandering(dice),
            fails=lambda second, is_candidate: True,
            newcomers=2.0,
        )

    def crash(dice: Random) -> Outcome:
        return again.users_fail_again(
            dice,
            settings,
            workers=1,
            users=300,
            share_at=again.in_steps,
            fails=again.crashes,
            since=again.CRASH,
        )

    names = {
        workers: f"20 users always fail, equal, 5-30 %, {workers} workers" for workers in (1, 8)
    }
    every = (Scenario("12", name, 100, always(n), (alarm,)) for n, name in names.items())
    outage = "an outage of both at 1 %, then the candidate fails for all at 25 %, 1 worker"
    probe = "60 users, for whom the candidate fails at 25 %: a probe confirms it, 1 worker"
    before = "ratings of a release aborted at 50 % come while the next is at 5 %, equal"
    return (
        *every,
        Scenario("12", outage, 100, crash, (most, at)),
        Scenario("12", probe, 100, lambda dice: again.probe_finds(dice, settings), (most, at)),
        Scenario("12", before, 100, lambda dice: again.rated_before(dice, settings), (alarm,)),
    )

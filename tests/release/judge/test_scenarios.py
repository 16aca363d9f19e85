"""The scenarios of `make simulate`, a few runs of each: not how good the judge is, but that nothing
has made it blind, deaf or jumpy."""

from __future__ import annotations

from math import inf
from random import Random

import pytest

from loadtests.simulate.limits import Scenario
from loadtests.simulate.scenarios import equal_errors, every_scenario, latency, release
from loadtests.simulate.table import HEAD, Row, markdown, rows_of, runs_shown

# So few runs scatter: medians by about a quarter, ends by more.
SCATTER = 1.5
RUNS = {"2": 8, "4": 100, "5": 25, "6": 25, "9": 25, "10": 8, "12": 6}
# By name: the others are made shorter below.
LONG = ("equal latency", "margin", "release", "the trap")


def short(scenario: Scenario) -> bool:
    return not any(part in scenario.name for part in LONG)


@pytest.mark.parametrize(
    "scenario", [s for s in every_scenario() if short(s)], ids=lambda scenario: scenario.name
)
def test_the_judge_does_about_what_it_promises(scenario: Scenario) -> None:
    runs = RUNS[scenario.number]
    outcomes = [scenario.run(Random(f"smoke {run}")) for run in range(runs)]
    for row in rows_of(scenario, outcomes, 0.0):
        if row.limit.unit == "%":
            one = 100.0 / runs
            assert row.limit.at_least - one <= row.value <= row.limit.at_most + one, str(row)
        else:
            least, most = row.limit.at_least / SCATTER, row.limit.at_most * SCATTER
            assert least <= row.value <= most, str(row)


@pytest.mark.parametrize(
    ("share", "kind", "seconds"), [(0.5, "10 %", 180), (0.01, "x1.5", 180), (0.01, "tail", 1800)]
)
def test_a_slower_candidate_is_found_in_time(share: float, kind: str, seconds: int) -> None:
    run = latency(share, kind, 0.0, seconds)
    assert sum(run(Random(number))["found"] for number in range(3)) >= 2


@pytest.mark.parametrize(("share", "kind"), [(0.01, "same"), (0.5, "same"), (0.5, "5 %")])
def test_a_candidate_within_the_margin_is_left_alone(share: float, kind: str) -> None:
    run = latency(share, kind, 0.05, 400)
    assert sum(run(Random(number))["found"] for number in range(3)) == 0.0


def test_a_good_release_goes_through_and_a_bad_one_does_not() -> None:
    good = [release(0.001)(Random(number)) for number in range(3)]
    bad = [release(0.005)(Random(number)) for number in range(3)]
    assert all(outcome["in time"] for outcome in good)
    assert all(outcome["rolled back"] and not outcome["promoted"] for outcome in bad)
    assert all(outcome["extra failed"] < 40 for outcome in bad)


def test_the_trap_that_counting_units_avoids_is_real() -> None:
    trap = next(s for s in every_scenario() if "the trap" in s.name)
    assert sum(trap.run(Random(number))["found"] for number in range(8)) >= 2


def rows_with(found: float) -> list[Row]:
    return rows_of(equal_errors(0.001, 0.01, ("0", "0")), [{"found": found, "held": 0.0}], 1.0)


def test_what_is_not_met_is_said() -> None:
    good, bad = rows_with(0.0), rows_with(1.0)
    assert all(row.is_met for row in good)
    assert not bad[0].is_met
    assert "NOT MET" in str(bad[0])
    assert "**no**" in bad[0].cells()


def test_the_table_keeps_the_rows_of_other_scenarios() -> None:
    before = markdown(rows_with(1.0), "")
    assert before.startswith(HEAD)
    other = before.replace("equal, 0.1% errors", "something else")
    after = markdown(rows_with(0.0), before + other)
    assert after.count("**no**") == 1
    assert after.count("something else") == 2
    assert markdown(rows_with(0.0), after) == after


def test_the_table_keeps_rows_that_ask_for_nothing() -> None:
    robots = next(s for s in every_scenario() if "robots" in s.name and "x3" in s.name)
    before = markdown(rows_of(robots, [{"found": 1.0, "seconds": 82.0}], 0.0), "")
    assert "82 s" in before
    assert "82 s" in markdown(rows_with(0.0), before)


def test_fewer_runs_than_stated_are_said_to_be_fewer() -> None:
    assert "| 1 of 2,000 |" in rows_with(0.0)[0].cells()
    assert runs_shown(2000, 2000) == "2,000"


def test_a_time_that_never_comes_is_said_to_be_never() -> None:
    scenario = next(s for s in every_scenario() if s.number == "5")
    rows = rows_of(scenario, [{"held": 0.0, "found": 0.0, "seconds": inf}], 0.0)
    assert "never" in rows[0].cells()
    assert not rows[0].is_met

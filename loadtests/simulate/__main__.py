"""Runs scenarios and prints what was measured beside what is required.

Whatever is not met is said, and makes the exit status 1.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from random import Random

from loadtests.simulate.limits import Outcome, Scenario
from loadtests.simulate.scenarios import every_scenario
from loadtests.simulate.table import Row, markdown, rows_of

CHUNKS = 8  # for each process: some runs are longer than others


def main() -> int:
    options = _options()
    wanted = set(options.scenario.split(",")) if options.scenario else None
    chosen = [
        scenario
        for scenario in every_scenario()
        if (wanted is None or scenario.number in wanted) and options.only in scenario.name
    ]
    rows: list[Row] = []
    with ProcessPoolExecutor(options.processes) as pool:
        for scenario in chosen:
            begun = time.perf_counter()
            outcomes = _run(pool, scenario, options)
            taken = time.perf_counter() - begun
            made = rows_of(scenario, outcomes, taken)
            rows += made
            for row in made:
                print(row, flush=True)
            if options.write:
                file = options.write
                before = file.read_text(encoding="utf-8") if file.exists() else ""
                file.write_text(markdown(rows, before), encoding="utf-8")
    return 0 if all(row.is_met for row in rows) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtests.simulate", description=__doc__)
    parser.add_argument("--runs", type=int, help="of each scenario; default: as many as it states")
    parser.add_argument("--scenario", help="numbers, separated by commas; default: all")
    parser.add_argument("--only", default="", help="those whose name has this in it")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--write", type=Path, help="Markdown file; rows of other scenarios stay")
    return parser.parse_args()


def _run(
    pool: ProcessPoolExecutor, scenario: Scenario, options: argparse.Namespace
) -> list[Outcome]:
    runs = options.runs or scenario.runs
    size = max(runs // (options.processes * CHUNKS), 1)
    starts = range(0, runs, size)
    ends = [min(start + size, runs) for start in starts]
    names = [scenario.name] * len(ends)
    chunks = pool.map(_chunk, names, starts, ends)
    return [outcome for chunk in chunks for outcome in chunk]


def _chunk(name: str, first: int, end: int) -> list[Outcome]:
    """Some runs of one scenario; each has dice of its own, so it can be repeated alone."""
    scenario = next(s for s in every_scenario() if s.name == name)
    return [scenario.run(Random(f"{name} {number}")) for number in range(first, end)]


if __name__ == "__main__":
    sys.exit(main())

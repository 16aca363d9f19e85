"""What was measured beside what is required, and beside what the design's simulation gave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite

from loadtests.simulate.limits import Limit, Outcome, Scenario

HEAD = """\
# The judge in virtual time

Written by `make simulate`: so many independent releases each, 200 requests per second for up to
two hours, judged by the engine that judges real ones. *Design* is what the simulation gave that
the engine was designed with. Scenarios 1 and 8 are tests. Latencies (3, 7) are known at arrival: in
life each threshold adds its own time. In 4, 11 and with the users of 12 batches pass through the
accumulator, and in 11 the machine acts; 12 is beyond what must be passed: the traps, and that the
remedies work.

| | scenario | runs | measured | required | design | met |
|---|---|---|---|---|---|---|
"""

_CELLS = 7


@dataclass(frozen=True)
class Row:
    """One limit of one scenario."""

    number: str
    name: str
    runs: int
    asked: int  # runs that the scenario states
    limit: Limit
    value: float
    seconds: float  # that all runs took

    @property
    def is_met(self) -> bool:
        return self.limit.at_least <= self.value <= self.limit.at_most

    def __str__(self) -> str:
        met = "ok" if self.is_met else "NOT MET"
        return (
            f"{self.number:>3} {self.name}: {self.limit.what} {self._shown(self.value)} "
            f"(required {self._required()}, design {self.limit.design or '-'}) {met} "
            f"[{self.runs} runs, {self.seconds:.0f} s]"
        )

    def cells(self) -> str:
        return " | ".join(
            (
                self.number,
                f"{self.name}: {self.limit.what}",
                runs_shown(self.runs, self.asked),
                self._shown(self.value),
                self._required(),
                f"{self.limit.design} {self.limit.unit}".strip() if self.limit.design else "",
                "" if not self._required() else "yes" if self.is_met else "**no**",
            )
        )

    def _required(self) -> str:
        parts = []
        if self.limit.at_least > -inf:
            parts.append(f">= {self._shown(self.limit.at_least)}")
        if self.limit.at_most < inf:
            parts.append(f"<= {self._shown(self.limit.at_most)}")
        return ", ".join(parts)

    def _shown(self, value: float) -> str:
        if not isfinite(value):
            return "never"
        digits = f"{value:.2f}" if self.limit.unit == "%" else f"{value:.0f}"
        return f"{digits} {self.limit.unit}".strip()


def rows_of(scenario: Scenario, outcomes: Sequence[Outcome], seconds: float) -> list[Row]:
    return [
        Row(
            scenario.number,
            scenario.name,
            len(outcomes),
            scenario.runs,
            limit,
            limit.of(outcomes),
            seconds,
        )
        for limit in scenario.limits
    ]


def runs_shown(runs: int, asked: int) -> str:
    """Few runs prove little, so it is said when there were fewer than there should be."""
    return f"{runs:,}" if runs >= asked else f"{runs:,} of {asked:,}"


def markdown(rows: Sequence[Row], before: str) -> str:
    """The table with these rows; other rows of the table `before` stay."""
    lines: dict[str, str] = {}
    for line in before.splitlines():
        cells = _cells_of(line)
        if len(cells) == _CELLS and cells[0].isdigit():
            lines[cells[1]] = line
    for row in rows:
        cells = row.cells().split(" | ")
        lines[cells[1]] = f"| {row.cells()} |"
    # The sort keeps the order within one scenario.
    ordered = sorted(lines.values(), key=lambda line: int(_cells_of(line)[0]))
    return HEAD + "".join(f"{line}\n" for line in ordered)


def _cells_of(line: str) -> list[str]:
    """The last ones may be empty."""
    return line.removeprefix("| ").removesuffix(" |").split(" | ")

"""What was measured, as Markdown: figures, ratios within each round, and the machine."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from loadtests.cases import all_cases
from loadtests.clients import ATTACKS, HELD, Outcome
from loadtests.interpreter import is_optimised

OURS = "graygate"
COMPILED = "graygate-compiled"
NO_PROXY = "direct"
REFERENCE = "nginx"
TOLERATED = 0.001  # failures; they are shown all the same
_MEMORY_TITLES = {
    "idle": f"Memory of an idle connection ({HELD:,} held)",
    "streams": f"Memory of an open stream ({HELD:,} held)",
    "attacked": f"Memory after {ATTACKS:,} requests of ever new lines",
}


@dataclass(slots=True)
class Measured:
    """All outcomes by case, proxy and round."""

    versions: dict[str, str]
    rounds: int
    seconds: float
    busy: float  # programs that ran beside it, when it began
    outcomes: dict[str, dict[str, dict[int, Outcome]]] = field(default_factory=dict)

    def add(self, case: str, name: str, number: int, outcome: Outcome) -> None:
        self.outcomes.setdefault(case, {}).setdefault(name, {})[number] = outcome

    def figures(self, case: str, name: str) -> dict[int, float]:
        """By round, without rounds in which much failed."""
        of_rounds = self.outcomes.get(case, {}).get(name, {})
        whole = {n: one for n, one in of_rounds.items() if one.failed < one.done * TOLERATED}
        return {} if name == NO_PROXY else {n: figure(case, one) for n, one in whole.items()}

    def ratios(self, case: str, name: str, to: str, to_case: str = "") -> list[float]:
        """Of one proxy to another in the same round, or of one case to another."""
        ours, others = self.figures(case, name), self.figures(to_case or case, to)
        return [ours[n] / others[n] for n in ours if others.get(n)]

    def in_words(self, case: str, outcome: Outcome) -> str:
        words = f"{figure(case, outcome):.2f} {unit(case)}" if outcome.done else "nothing done"
        if outcome.failed:
            words += f", {outcome.failed} FAILED {outcome.complaint}"
        return words


def figure(case: str, outcome: Outcome) -> float:
    """Microseconds of the worker per request or chunk; of memory KiB each, or MiB in all."""
    if case in all_cases():
        return outcome.workers_cpu / outcome.done * 1e6
    if case == "attacked":
        return outcome.grown_bytes / 2**20
    return outcome.grown_bytes / outcome.done / 1024


def unit(case: str) -> str:
    if case in all_cases():
        return f"µs per {all_cases()[case].unit}"
    return "MiB more" if case == "attacked" else "KiB each"


def report(measured: Measured) -> str:
    parts = [_header(measured), _summary(measured)]
    parts += [_case(measured, case) for case in measured.outcomes]
    return "\n".join(parts)


def _header(measured: Measured) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in measured.versions.items())
    lines = [
        "# The gateway beside its peers",
        "",
        f"Machine: {machine()}; {measured.busy:.1f} other programs running. {versions}.",
        "",
        f"{measured.rounds} rounds in alternating order of GET, POST and event streams, at most 3 "
        "of the rest; each proxy alone on one core, load and backend on the other; keep-alive; the "
        "same number of requests for all, after a warm-up. Processor time is user and system time "
        "of the worker process; memory is what is the worker's alone, without the kernel's "
        "sockets. Ratios are made within a round; given are least / median / most. A round with "
        "more than one failure in a thousand gives no figure. `make bench` repeats all of it.",
    ]
    return "\n".join(lines) + "\n"


def machine() -> str:
    rows = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((row.partition(": ")[2] for row in rows if row.startswith("model name")), "?")
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    implementation = f"{platform.python_implementation()} {platform.python_version()}"
    if not is_optimised():
        implementation += " built without optimisation"
    cores = os.cpu_count()
    return (
        f"{model}, {cores} cores, {pages / 2**30:.0f} GiB, Linux {platform.release()}, "
        f"{implementation}"
    )


def _summary(measured: Measured) -> str:
    """How many times as much the gateway takes as each of the others."""
    others = [n for n in measured.versions if n != NO_PROXY and not n.startswith(OURS)]
    if OURS not in measured.versions or not others:
        return ""
    lines = ["## The gateway's use, as a multiple of theirs", ""]
    lines += table(["", *others], _multiples(measured, OURS, others))
    lines += _of_lines(measured)
    if COMPILED in measured.versions:
        lines += ["", "## The compiled gateway's use, as a multiple of theirs", ""]
        lines += table(["", OURS, *others], _multiples(measured, COMPILED, [OURS, *others]))
    return "\n".join(lines) + "\n"


def _multiples(measured: Measured, ours: str, others: Sequence[str]) -> list[list[str]]:
    return [
        [_title(case), *(spread(measured.ratios(case, ours, other)) for other in others)]
        for case in measured.outcomes
    ]


def _of_lines(measured: Measured) -> Iterator[str]:
    """What lines that never repeat cost, as multiples of the gateway's own figures."""
    for case, to in (("fresh", "post"), ("attack", "fresh"), ("mixed", "post")):
        ratios = measured.ratios(case, OURS, OURS, to)
        if ratios:
            yield f"\nThe gateway, `{case}` to `{to}`: {spread(ratios)}."


def _case(measured: Measured, case: str) -> str:
    heads = ["", unit(case), f"x {REFERENCE}"]
    if case in all_cases():
        heads += [f"{all_cases()[case].unit}s/s", "user", "around, µs"]
    if case in all_cases() and all_cases()[case].pause_ms:
        heads += ["first chunk ms, p50 / p99", "a chunk's way ms, p50 / p99"]
    rows = []
    for name, of_rounds in measured.outcomes[case].items():
        figures = list(measured.figures(case, name).values())
        failed = sum(one.failed for one in of_rounds.values())
        row = [name, spread(figures), spread(measured.ratios(case, name, REFERENCE))]
        if failed:
            row[1] += f" ({failed} failed)"
        if case in all_cases():
            row += _extras(case, [one for one in of_rounds.values() if one.done])
        rows.append(row)
    return "\n".join([f"## {_title(case)}", "", *table(heads, rows)]) + "\n"


def _extras(case: str, outcomes: Sequence[Outcome]) -> list[str]:
    if not outcomes:
        return []
    rate = median(one.done / one.seconds for one in outcomes)
    user = median(one.workers_user for one in outcomes)
    around = median(one.rest_cpu / one.done for one in outcomes) * 1e6
    shown = [f"{rate:,.0f}", f"{user:.0%}", f"{around:.1f}"]
    if all_cases()[case].pause_ms:
        for values in ("first_chunks", "ways"):
            ordered = sorted(value for one in outcomes for value in getattr(one, values))
            shown.append(f"{_at(ordered, 0.5)} / {_at(ordered, 0.99)}")
    return shown


def _at(ordered: Sequence[float], share: float) -> str:
    return f"{ordered[min(len(ordered) - 1, int(share * len(ordered)))]:.2f}" if ordered else "-"


def _title(case: str) -> str:
    if case in _MEMORY_TITLES:
        return f"{_MEMORY_TITLES[case]} (`{case}`)"
    return f"{all_cases()[case].title} (`{case}`)"


def spread(values: Sequence[float]) -> str:
    if not values:
        return "-"
    return " / ".join(f"{value:.2f}" for value in (min(values), median(values), max(values)))


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Every row as wide as the heads, and columns in line for those who read it as text."""
    whole = [heads, *([*row, *["-"] * (len(heads) - len(row))] for row in rows)]
    widths = [max(len(row[column]) for row in whole) for column in range(len(heads))]
    padded = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in whole
    ]
    return [padded[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *padded[1:]]

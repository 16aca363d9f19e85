"""What processes have used: processor time, and memory that is theirs alone."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

_CPUCLOCK_SCHED = (
    2  # of the kernel's clock ids; glibc's clock_getcpuclockid makes them the same way
)
_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """utime + stime of all threads, also of those that have ended.

    The same sum as in /proc/PID/stat, but in nanoseconds instead of hundredths of a second.
    """
    return time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED)


def user_and_system(pid: int) -> tuple[float, float]:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) / _TICKS, int(fields[12]) / _TICKS


def private_bytes(pid: int) -> int:
    rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return 1024 * sum(int(row.split()[1]) for row in rows if row.startswith("Private_"))


def children(pid: int) -> list[int]:
    """Its children and theirs."""
    found: list[int] = []
    for tasks in Path(f"/proc/{pid}/task").iterdir():
        for child in (tasks / "children").read_text().split():
            found += [int(child), *children(int(child))]
    return found


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def pin(pids: Iterable[int], core: int) -> None:
    """All their threads run on that core, and what they start does as well."""
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), {core})

"""How many processors this process may use: what it is bound to, and what its container gets."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")


def usable_processors() -> int:
    """At least 1; half a processor of a quota counts as one."""
    bound = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    quota = cpu_quota(_CGROUPS, _OWN_CGROUP)
    return bound if quota is None else max(1, min(bound, math.ceil(quota)))


def cpu_quota(cgroups: Path, own: Path) -> float | None:
    """The processors that the tightest control group around us may use; None = no limit."""
    try:
        lines = own.read_text().splitlines()
    except OSError:  # no Linux
        return None
    found = []
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:  # version 2
            found += [_quota_2(folder) for folder in _from_here_up(cgroups, path)]
        elif "cpu" in controllers.split(","):
            found += [_quota_1(folder) for folder in _from_here_up(cgroups / "cpu", path)]
    return min((quota for quota in found if quota is not None), default=None)


def _from_here_up(top: Path, path: str) -> Iterator[Path]:
    # In a container the path may be that of the host, of which only the end, at `top`, is there.
    inner = PurePosixPath(path.lstrip("/"))
    for part in (inner, *inner.parents):
        yield top / part


def _quota_2(folder: Path) -> float | None:
    with contextlib.suppress(OSError, ValueError):
        quota, period = (folder / "cpu.max").read_text().split()
        return _share(quota, period)
    return None


def _quota_1(folder: Path) -> float | None:
    with contextlib.suppress(OSError, ValueError):
        quota = (folder / "cpu.cfs_quota_us").read_text()
        return _share(quota, (folder / "cpu.cfs_period_us").read_text())
    return None


def _share(quota: str, period: str) -> float | None:
    if quota == "max" or int(quota) <= 0 or int(period) <= 0:
        return None
    return int(quota) / int(period)

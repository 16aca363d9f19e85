"""The rule files of `deploy/prometheus` as text: what is in them, and a copy that is in a hurry."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from gateway.metrics.names import ALL, Kind

DEPLOY = Path(__file__).parents[2] / "deploy"
FOLDER = DEPLOY / "prometheus"
RECORDING = FOLDER / "recording.rules.yml"
ALERTS = FOLDER / "alerts.rules.yml"


def promtool(*arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Runs Debian's promtool; skips the test where it is absent."""
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not on PATH")
    command = [found, *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60)


def blocks(text: str, kind: str) -> dict[str, str]:
    """The rules of a kind (`alert`, `record`) by their name, each as it is written."""
    found: dict[str, str] = {}
    for part in re.split(r"^ +- (?=(?:alert|record|name): )", text, flags=re.M)[1:]:
        head, _, body = part.partition("\n")
        if head.startswith(f"{kind}: "):
            assert head not in found
            found[head.removeprefix(f"{kind}: ")] = body
    return found


def alerts() -> dict[str, str]:
    return blocks(ALERTS.read_text(), "alert")


def records() -> dict[str, str]:
    return blocks(RECORDING.read_text(), "record")


def exposed_names() -> set[str]:
    """Every name that a gateway's `/metrics` may hold."""
    names = set()
    for series in ALL:
        if series.kind is Kind.HISTOGRAM:
            names |= {f"{series.full_name}_{part}" for part in ("bucket", "sum", "count")}
        else:
            names.add(series.full_name)
    return names


def used_names(expression: str) -> set[str]:
    """The names of ours, exposed or recorded, in a PromQL expression."""
    return set(re.findall(r"\b(?:job_[a-z_]+:)?graygate_[a-z0-9_]+(?::[a-z0-9_]+)?\b", expression))


def hurried(text: str) -> str:
    """The same rules with a second for every minute.

    Windows (`[10m]`), waits (`for: 5m`) and bounds on ages (`_age_seconds > 600`) shrink; bounds
    on shares, quantiles and counts stay what they are, and so do names such as `...:rate5m`.
    """
    text = re.sub(r"\[(\d+)m\]", r"[\1s]", text)
    text = re.sub(r"^( +(?:keep_firing_)?for: \d+)m\b", r"\1s", text, flags=re.M)
    text = re.sub(
        r"(_age_seconds > )(\d+)", lambda found: f"{found[1]}{int(found[2]) / 60:g}", text
    )
    assert not re.search(r"\[\d+[mhd]|for: \d+[mhd]", text), "a duration that is not in minutes"
    return text

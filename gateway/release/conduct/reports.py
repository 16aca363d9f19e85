"""The report of a release, running or over, in the form that is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from gateway.release.conduct.edits import percent_of
from gateway.release.conduct.testimony import Testimony
from gateway.release.machine.status import Status
from gateway.release.report import markdown, page
from gateway.release.report.model import build, to_json
from gateway.state.history import Entry, read_newest_entries
from gateway.state.store import Store

Kind = Literal["markdown", "json", "html"]
MOST_REVISIONS = 1000


class Kept(msgspec.Struct):
    """What is kept of a release that ended."""

    status: Status
    evidence: Testimony = Testimony()


async def report_of(
    store: Store, status: Status, testimony: Testimony, kind: Kind, now: float
) -> str:
    """With what the route's history knows of that time."""
    link = await store.link()
    entries = await read_newest_entries(link, store.keys, status.route, MOST_REVISIONS)
    until = (status.ended_at or now) + 1
    history = [_revision(entry) for entry in entries if entry.at_ms / 1000 <= until]
    report = build(status, now=now, history=history, evidence=testimony.stages)
    if kind == "json":
        return to_json(report).decode()
    return page.render(report) if kind == "html" else markdown.render(report)


def _revision(entry: Entry) -> Mapping[str, Any]:
    weights = {name: percent_of(text) or 0.0 for name, text in entry.state.weights.items()}
    return {
        "revision": entry.revision,
        "at_ms": entry.at_ms,
        "by": entry.by,
        "via": entry.via,
        "why": entry.why,
        "weights": weights,
        "stable": entry.state.route.get("stable", ""),
    }

"""A release that was lived through, as a report."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.release.judge.evidence import Evidence, MetricVerdict
from gateway.release.report.model import Report, build
from tests.release.machine.story import GOOD, START, Story, evidence, family

NASTY = """<script>alert("1")</script> | `x` [a](http://evil.example) & '<b>\x00\n\ud800"""

NUMBERS = evidence(
    family(
        estimate=0.8, low=0.4, high=1.6, candidate_n=1000, candidate_bad=8, stable_n=9000,
        stable_bad=90, why="8 of 1000 against 90 of 9000",
    ),
    family("latency"),
    metrics=(MetricVerdict(name="gpu", verdict="pass", value=0.5),),
    missing=("shadow: no mirror is set",),
)  # fmt: skip


def lived(says: Evidence = GOOD, **fields: Any) -> Story:
    """Two stages, then a person ends it."""
    story = Story(**fields)
    story.run(130, says)
    story.say("abort", says, why="enough seen")
    return story


def report(story: Story | None = None, **how: Any) -> Report:
    """The report of a short release, with everything that a report can have."""
    told = story or lived()
    revisions = [
        {"revision": 7, "at_ms": (START + 2) * 1000, "weights": {"v2": 1.0}, "stable": "v1"},
        {
            "revision": 8, "at_ms": (START + 122) * 1000, "weights": {"v2": 5}, "stable": "v1",
            "by": "graygate", "via": "controller", "why": "no harm is shown",
        },
        {"revision": 9, "at_ms": (START + 131) * 1000, "weights": {}, "stable": "v1"},
        {"revision": 6, "at_ms": (START - 900) * 1000, "weights": {"v2": 77}, "stable": "v1"},
    ]  # fmt: skip
    drills = [{"at": START - 86_400, "text": "rolled back and forth", "seconds": 0.8, "ok": True}]
    given = {
        "history": revisions,
        "drills": drills,
        "evidence": {0: NUMBERS, 1: msgspec.structs.replace(NUMBERS, at=START + 130)},
    }
    return build(told.status, now=told.now, **(given | how))

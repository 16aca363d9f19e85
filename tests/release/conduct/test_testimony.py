"""What the judge said, stored."""

from __future__ import annotations

from gateway.release.conduct.testimony import Testimony, encode, read_testimony
from gateway.release.judge.evidence import Evidence


def test_the_newest_and_the_last_of_each_stage_come_back() -> None:
    told = Testimony(warnings=("little is known",))
    for at, stage in enumerate((-1, 0, 0, 1)):
        told = told.with_evidence(stage, Evidence(at=float(at)))
    assert {stage: evidence.at for stage, evidence in told.stages.items()} == {0: 2, 1: 3}
    assert told.newest == Evidence(at=3.0)
    assert read_testimony(encode(told)) == told


def test_what_cannot_be_read_is_nothing() -> None:
    assert read_testimony(b"") == read_testimony(b"[1") == Testimony()

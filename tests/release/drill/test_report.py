"""What a drill leaves: what was wanted, what was measured, and the verdict in words."""

from __future__ import annotations

import msgspec
import pytest

from gateway.release.drill.report import Report, Times, Wanted, concluded, told

RUNNING = Report(
    id="d1", route="chat", kind="errors", outcome="running", target=8.0, gateway="gw1",
    by="alice", began=1000.0, step="the stand-in is broken", failed=5,
)  # fmt: skip
ALL = Times(detected=1.0, decided=1.5, seen=1.6, propagated=1.7, quiet=1.65)


@pytest.mark.parametrize(("kind", "seconds"), [("errors", 8.0), ("latency", 120.0)])
def test_each_kind_has_a_target_of_its_own_unless_one_is_named(kind: str, seconds: float) -> None:
    assert msgspec.convert({"kind": kind}, Wanted).target_seconds == seconds
    assert msgspec.convert({"kind": kind, "target": 3}, Wanted).target_seconds == 3


@pytest.mark.parametrize(
    "ask",
    [{"kind": "fire"}, {"rate": 10_000}, {"weight": 100}, {"method": "CONNECT"}, {"port": 1}],
    ids=str,
)
def test_what_no_drill_can_be_is_refused(ask: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(ask, Wanted)


def test_it_took_as_long_as_the_last_of_all_that_had_to_follow() -> None:
    assert ALL.total == 1.7
    assert msgspec.structs.replace(ALL, quiet=9.0).total == 9.0


@pytest.mark.parametrize("missing", ["seen", "propagated", "quiet"])
def test_what_never_happened_is_no_time(missing: str) -> None:
    assert msgspec.structs.replace(ALL, **{missing: None}).total is None


def test_a_drill_within_its_target_has_passed() -> None:
    report = concluded(RUNNING, ALL, 1010.0, "")
    assert (report.outcome, report.ended, report.is_over) == ("passed", 1010.0, True)
    assert "passed: 1.70 s" in told(report)


def test_a_drill_that_took_longer_was_late() -> None:
    report = concluded(msgspec.structs.replace(RUNNING, target=1.0), ALL, 1010.0, "")
    assert report.outcome == "late"
    assert "was late" in told(report)
    assert "wanted 1 s" in told(report)


@pytest.mark.parametrize(
    ("times", "why"),
    [
        (Times(detected=1.0), "nobody took the weight away"),
        (Times(detected=1.0, seen=2.0), "weight 0 is not held by gw2"),
    ],
)
def test_a_way_back_that_was_not_gone_to_its_end_has_failed(times: Times, why: str) -> None:
    report = concluded(RUNNING, times, 1010.0, "weight 0 is not held by gw2")
    assert (report.outcome, report.why) == ("failed", why)
    assert told(report) == f"drill d1 (errors) failed while the stand-in is broken: {why}"


def test_a_running_one_tells_what_it_does() -> None:
    assert told(RUNNING) == "drill d1 (errors) is running: the stand-in is broken"
    assert not RUNNING.is_over

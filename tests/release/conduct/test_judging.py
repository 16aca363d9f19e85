"""The judge of a plan: what it is told, and that it goes on after being stored."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.metrics.strata import CellCounts
from gateway.release.conduct.judging import ReleaseJudging, settings_of
from gateway.release.machine.status import Status, begin
from gateway.release.plan.read import read_plan
from gateway.state.strata import Batch

T0 = 1_000_000


def plan_of(**fields: Any) -> Any:
    return read_plan({"route": "chat", "candidate": "v2", "preset": "canary", **fields})


def status() -> Status:
    return begin(
        plan_of(), release_id="r1", stable="v1", weight_before=0, by="me", now=float(T0)
    )  # fmt: skip


def batch(second: int, bad: int = 0) -> Batch:
    cells = tuple(
        CellCounts(second, "chat", version, n, n, wrong, total={30: n - wrong})
        for version, n, wrong in (("v1", 90, 0), ("v2", 10, bad))
    )
    return Batch(f"{second}000-0", "gw", second, cells)


def test_the_plan_tells_the_judge_its_limits() -> None:
    plan = plan_of(
        guardrails={
            "alpha": 0.02,
            "errors": {"margin": 1.5, "weight": 0.4},
            "latency": {"margin": 0.2},
            "gap": {"enabled": False},
            "feedback": {"enabled": False},
        },
        harm_budget=0.01,
    )
    settings = settings_of(plan, is_sticky=True)
    assert (settings.alpha, settings.harm_budget, settings.unit) == (0.02, 0.01, "unit")
    assert settings.family_weights == {"errors": 0.4, "latency": 0.25, "shadow": 0.25}
    assert settings.rate_margins == {"errors": 1.5, "shadow": 1.0, "feedback": 1.0}
    assert settings.latency_margins == {"total": 0.2, "first_byte": 0.05}


def test_what_the_plan_leaves_open_is_found_by_the_judge() -> None:
    settings = settings_of(plan_of(), is_sticky=False)
    assert "errors" not in settings.rate_margins
    assert settings.unit == "request"
    assert settings_of(plan_of(), is_sticky=True).unit == "unit"
    assert settings_of(plan_of(unit="request"), is_sticky=True).unit == "request"
    off = plan_of(guardrails={"latency": {"enabled": False}})
    assert settings_of(off, is_sticky=False).latency_margins == {}


def test_without_units_that_stay_nobody_can_be_counted_but_requests() -> None:
    assert settings_of(plan_of(unit="unit"), is_sticky=False).unit == "request"
    assert settings_of(plan_of(unit="unit"), is_sticky=True).unit == "unit"


def test_the_first_stage_waits_while_little_is_known_but_not_for_long() -> None:
    judging = ReleaseJudging(status(), b"", is_sticky=False)
    assert "0 of 2000 requests" in judging.why_wait(0.0)
    assert judging.why_wait(119.0)
    assert judging.why_wait(120.0) == ""  # as long as the first stage holds
    judging.learn([batch(T0 + n) for n in range(601)])
    assert judging.why_wait(0.0) == ""


def test_it_only_learns_until_it_is_told_to_begin() -> None:
    judging = ReleaseJudging(status(), b"", is_sticky=False)
    judging.learn([batch(T0)])
    judging.split(T0, 5.0)
    judging.mark()
    assert not judging.is_judging
    assert judging.state() == b""
    assert judging.evidence(T0 + 5.0, 0.0) is None
    assert repr(judging) == "<ReleaseJudging of r1: <BaselineProbe 90 requests in 1 s>>"


@pytest.mark.parametrize("every", [1, 7])
def test_stored_and_read_again_it_says_the_same_as_if_it_had_never_been_away(every: int) -> None:
    def told(stores_every: int) -> Any:
        judging = ReleaseJudging(status(), b"", is_sticky=False)
        judging.learn([batch(T0 - 400 + n) for n in range(400)])
        judging.begin(float(T0), 10.0)
        for n in range(120):
            judging.take([batch(T0 + n, bad=int(n % 9 == 0))])
            evidence = judging.evidence(float(T0 + n + 1), 10.0, (), None)
            if n == 50:
                judging.mark()
            if stores_every and n % stores_every == 0:
                judging = ReleaseJudging(status(), judging.state(), is_sticky=True)
        return evidence

    wanted = told(0)
    assert wanted.families[0].candidate_bad > 5
    assert told(every) == wanted


@pytest.mark.parametrize("stores", [False, True])
def test_errors_that_begin_in_the_bake_are_told_as_such_whoever_leads(stores: bool) -> None:
    judging = ReleaseJudging(status(), b"", is_sticky=False)
    judging.learn([batch(T0 - 400 + n) for n in range(400)])
    judging.begin(float(T0), 10.0)
    for n in range(200):
        judging.take([batch(T0 + n, bad=4 if n > 180 else 0)])
        evidence = judging.evidence(float(T0 + n + 1), 10.0, (), None, is_baking=n > 100)
        if stores:
            judging = ReleaseJudging(status(), judging.state(), is_sticky=False)
    assert evidence is not None
    [errors] = [family for family in evidence.families if family.name == "errors"]
    assert errors.rose_late
    assert errors.why.startswith("errors rose after the promotion: 6")


def test_what_was_learnt_is_told_when_it_is_little() -> None:
    judging = ReleaseJudging(status(), b"", is_sticky=False)
    assert any("only 0 requests" in text for text in judging.begin(float(T0), 1.0))

from __future__ import annotations

from typing import Any

import pytest

from gateway.release.plan.forecast import Forecast, Traffic, explain, forecast
from gateway.release.plan.read import read_plan


def told(rate: float = 200.0, errors: float = 0.001, **fields: Any) -> Forecast:
    units = fields.pop("units_per_second", None)
    document = {"preset": "canary", "route": "chat", "candidate": "v2"} | fields
    traffic = Traffic(requests_per_second=rate, error_rate=errors, units_per_second=units)
    return forecast(read_plan(document), traffic)


def test_a_good_candidate_on_much_traffic_takes_the_holds_and_the_bake() -> None:
    found = told()
    assert [stage.expected_seconds for stage in found.stages] == [120, 120, 120, 120, 1800]
    assert found.total_seconds == 2280


def test_the_last_stage_says_that_it_is_the_bake_and_what_is_held_back() -> None:
    found = told()
    assert [stage.held_back for stage in found.stages] == [0, 0, 0, 0, 5]
    text = explain(found)
    assert "Stage 4, 50 %: about 2 min" in text
    assert "Stage 5, 95 % (the bake; 5 % stay on stable until its end): about 30 min" in text


def test_without_a_holdback_the_last_stage_is_told_plainly() -> None:
    assert "Stage 5, 100 %: about" in explain(told(bake={"holdback": 0}))


def test_little_traffic_takes_as_long_as_its_requests() -> None:
    stage = told(rate=2.0).stages[0]
    assert stage.expected_seconds == pytest.approx(200 / 0.02)


def test_proof_of_a_tight_budget_takes_requests() -> None:
    stage = told(harm_budget=0.0001).stages[0]
    assert stage.proof_requests is not None
    # rho = 1 + .0001 / (.001 * .05) = 3: 4,500 requests, STATISTICS 2.5
    assert stage.proof_requests == pytest.approx(4500, rel=0.02)
    assert stage.expected_seconds == pytest.approx(stage.proof_requests / 2)


def test_evidence_of_earlier_stages_counts() -> None:
    stages = [{"weight": 20, "hold": "1h"}, {"weight": 40, "hold": "1m"}, {"weight": 100}]
    found = told(stages=stages)
    assert found.stages[1].expected_seconds == 60


def test_no_traffic_means_that_nothing_moves() -> None:
    found = told(rate=0.0)
    assert (found.total_seconds, found.stages[0].expected_seconds) == (None, None)
    assert "nothing will move" in found.warnings[0]


def test_without_an_error_guardrail_there_is_nothing_to_find() -> None:
    stage = told(guardrails={"errors": {"enabled": False}}).stages[0]
    assert (stage.detectable_rate, stage.plain_harm_seconds) == (None, None)
    assert not any("percentage point" in warning for warning in stage.warnings)


@pytest.mark.parametrize(
    ("fields", "told_words"),
    [
        ({}, "stage 1 lasts 2 min, too short to see 1 percentage point more errors: that takes 3"),
        ({"rate": 0.0}, "that is never seen"),
        ({"units_per_second": 2.0}, "stage 1 meets about 2 users of the candidate; below 100"),
        ({"preset": "blue-green"}, "stage 1 draws no units at random"),
        ({"preset": "blue-green"}, "Nothing is held back in the bake"),
        ({"stages": [{"weight": 1, "hold": "10s"}, {"weight": 100}]}, "below 2 min slow answers"),
        (
            {"rate": 2.0, "stages": [{"weight": 1, "timebox": "5m"}, {"weight": 100}]},
            "longer than its timebox of 5 min: expect it to end inconclusive",
        ),
        ({"expires": "12m"}, "even a good candidate takes about 38 min"),
    ],
)
def test_what_cannot_work_is_said_plainly(fields: dict[str, Any], told_words: str) -> None:
    assert told_words in explain(told(**fields))


def test_the_forecast_in_words() -> None:
    text = explain(told(units_per_second=10_000.0))
    lines = text.splitlines()
    assert lines[0] == "At 200 requests/s, 0.1 % of which fail on stable:"
    assert lines[1].startswith(
        "Stage 1, 1 %: about 2 min; 89 requests prove the next stage harmless"
    )
    assert lines[-1] == "A candidate that is no worse takes about 38 min."

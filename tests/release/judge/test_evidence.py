from __future__ import annotations

import pytest

from gateway.release.judge.evidence import Evidence


@pytest.mark.parametrize(
    ("fields", "may"),
    [
        ({"verdict": "pass", "must_hold": False, "promotable_weight": 30.0}, True),
        ({"verdict": "pass", "must_hold": False, "promotable_weight": 20.0}, False),
        ({"verdict": "pass", "must_hold": True, "promotable_weight": 100.0}, False),
        ({"verdict": "inconclusive", "must_hold": False, "promotable_weight": 100.0}, False),
        ({"verdict": "no-data", "must_hold": False, "promotable_weight": 100.0}, False),
        ({}, False),
    ],
)
def test_only_a_pass_without_a_hold_promotes_and_only_as_far_as_shown(
    fields: dict[str, object], may: bool
) -> None:
    evidence = Evidence(at=1.0, **fields)  # type: ignore[arg-type]
    assert evidence.may_promote_to(25.0) == may

from __future__ import annotations

from typing import Any

import msgspec

from gateway.cli.release_shown import Release, headline


def release(**fields: Any) -> Release:
    """The gateway's answer, as much of it as is shown."""
    status = {
        "route": "chat", "candidate": "v2", "stable": "v1", "phase": "baking", "stage": 4,
        "weight_wanted": 95.0, "plan": {"stages": [{}] * 5, "bake": {"holdback": 5.0}}, **fields,
    }  # fmt: skip
    answer = msgspec.json.encode({"release": "r1", "running": True, "status": status})
    return msgspec.json.decode(answer, type=Release)


def test_a_bake_says_why_it_has_not_all_of_the_traffic() -> None:
    assert headline(release()) == (
        "chat: release r1, v1 to v2, baking, stage 5 of 5, 95 % (the bake; 5 % stay on v1)"
    )


def test_without_a_holdback_and_in_other_phases_there_is_nothing_to_explain() -> None:
    plan = {"stages": [{}], "bake": {"holdback": 0.0}}
    assert headline(release(plan=plan, weight_wanted=100.0)).endswith("100 %")
    assert headline(release(phase="ramp", weight_wanted=25.0)).endswith("25 %")
    assert headline(release(phase="hold")).endswith("95 %")


def test_a_gateway_that_tells_nothing_of_the_bake_is_understood() -> None:
    assert headline(release(plan={"stages": [{}]})).endswith("95 %")

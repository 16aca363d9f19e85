from __future__ import annotations

from math import inf

import msgspec
import pytest

from gateway.release.judge.settings import JudgeSettings


def test_by_default_a_family_holds_at_eighty_and_rolls_back_at_four_hundred() -> None:
    settings = JudgeSettings()
    for family in ("errors", "latency", "shadow", "feedback"):
        assert settings.hold_at(family) == pytest.approx(80.0)
        assert settings.rollback_at(family) == pytest.approx(400.0)
        assert settings.is_charged(family)


def test_a_family_without_a_share_of_the_false_alarms_can_only_hold() -> None:
    settings = JudgeSettings()
    assert settings.rollback_at("client-errors") == inf
    assert settings.hold_at("client-errors") == pytest.approx(80.0)
    assert not settings.is_charged("client-errors")


def test_a_larger_share_needs_less_evidence() -> None:
    settings = JudgeSettings(family_weights={"errors": 1.0}, alpha=0.05)
    assert settings.rollback_at("errors") == pytest.approx(20.0)


def test_it_can_be_stored_and_an_unknown_limit_is_refused() -> None:
    settings = JudgeSettings(unit="unit", rate_margins={"errors": 1.5})
    stored = msgspec.json.encode(settings)
    assert msgspec.json.decode(stored, type=JudgeSettings) == settings
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"alhpa": 0.5}', type=JudgeSettings)

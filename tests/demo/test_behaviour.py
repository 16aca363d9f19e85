from __future__ import annotations

import msgspec
import pytest

from gateway.demo.behaviour import Behaviour, Dice


def test_only_the_named_fields_change() -> None:
    before = Behaviour(latency_ms=10, chunk_ms=5)
    after = before.changed({"error_rate": 0.5})
    assert after == Behaviour(latency_ms=10, chunk_ms=5, error_rate=0.5)
    assert before == Behaviour(latency_ms=10, chunk_ms=5)


@pytest.mark.parametrize(
    "fields",
    [{"error_rate": 1.1}, {"cut_rate": -0.1}, {"latency_ms": 60_001.0}, {"speed": 1.0}],
)
def test_what_cannot_be_is_refused(fields: dict[str, float]) -> None:
    with pytest.raises(msgspec.ValidationError):
        Behaviour().changed(fields)


def test_a_seed_fixes_all_fates() -> None:
    behaviour = Behaviour(error_rate=0.2, cut_rate=0.2)
    first, second = Dice(1), Dice(1)
    assert [first.roll(behaviour) for _ in range(50)] == [second.roll(behaviour) for _ in range(50)]
    assert Dice(1).roll(behaviour) != Dice(2).roll(behaviour)


def test_a_change_midway_does_not_shift_what_later_requests_get() -> None:
    good, bad = Behaviour(), Behaviour(error_rate=1, cut_rate=1, latency_ms=0)
    steady, changed = Dice(1), Dice(1)
    for _ in range(10):
        steady.roll(good)
        changed.roll(bad)
    assert steady.roll(good) == changed.roll(good)


def test_latency_scatters_around_its_mean_and_shares_are_kept() -> None:
    dice, behaviour = Dice(3), Behaviour(latency_ms=100, error_rate=0.1, cut_rate=0.3)
    fates = [dice.roll(behaviour) for _ in range(2000)]
    delays = [fate.delay_seconds for fate in fates]
    assert 0.075 <= min(delays) < 0.08
    assert 0.12 < max(delays) <= 0.125
    assert sum(fate.fails for fate in fates) / 2000 == pytest.approx(0.1, abs=0.03)
    assert sum(fate.is_cut for fate in fates) / 2000 == pytest.approx(0.3, abs=0.05)

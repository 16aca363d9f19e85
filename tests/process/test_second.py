from __future__ import annotations

import pytest

from gateway.process.second import (
    CONTROL_SENDS_AFTER,
    WORKERS_SEND_AFTER,
    second_of_next_send,
    seconds_until,
)


@pytest.mark.parametrize(
    ("now", "seconds"), [(10.0, 0.05), (10.04, 0.01), (10.05, 1.0), (10.06, 0.99), (10.9, 0.15)]
)
def test_it_is_never_further_than_a_second(now: float, seconds: float) -> None:
    assert seconds_until(now, 0.05) == pytest.approx(seconds)


def test_control_waits_for_its_workers() -> None:
    assert 0 < WORKERS_SEND_AFTER < CONTROL_SENDS_AFTER < 1


@pytest.mark.parametrize(("now", "second"), [(10.0, 10), (10.29, 10), (10.31, 11), (10.99, 11)])
def test_what_control_finds_out_goes_with_what_is_sent_next(now: float, second: int) -> None:
    assert second_of_next_send(now) == second

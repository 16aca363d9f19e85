from __future__ import annotations

from math import exp, log

import pytest

from gateway.release.statistics.logs import MOST_LN, exp_capped, ln_mean_exp


def test_the_mean_is_taken_of_the_numbers_themselves() -> None:
    assert ln_mean_exp([log(1.0), log(3.0)]) == pytest.approx(log(2.0))
    assert ln_mean_exp([log(4.0), log(9.0)], 0.5) == pytest.approx(log(2.5))


def test_what_no_float_can_hold_is_no_trouble() -> None:
    assert ln_mean_exp([5000.0, -5000.0]) == pytest.approx(5000.0 - log(2.0))
    assert exp_capped(5000.0) == exp(MOST_LN)

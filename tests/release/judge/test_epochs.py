from __future__ import annotations

from math import exp, log

import pytest

from gateway.release.judge.epochs import Past


def test_evidence_of_epochs_is_a_mean_by_fixed_weights() -> None:
    past = Past()
    assert past.ln_with(1, 0.0) == pytest.approx(0.0)
    assert exp(past.ln_with(1, log(400))) == pytest.approx(400 / 2 + 1 / 2)
    past.put(1, log(3))
    assert exp(past.ln_with(2, log(600))) == pytest.approx(3 / 2 + 600 / 6 + 1 / 3)


def test_an_epoch_in_which_nothing_was_timed_knows_nothing() -> None:
    past = Past()
    past.put(1, log(3))
    assert exp(past.ln_with(3, log(600))) == pytest.approx(3 / 2 + 600 / 12 + (1 - 1 / 2 - 1 / 12))


def test_without_epochs_evidence_is_what_it_is() -> None:
    assert Past().ln_with(0, 5.5) == 5.5


def test_thousands_of_epochs_with_no_evidence_stay_below_one() -> None:
    past = Past()
    for epoch in range(1, 5001):
        past.put(epoch, -800.0)
    assert past.ln_with(5001, -800.0) == pytest.approx(log(1 / 5002), rel=1e-6)
    assert past.ln_with(5001, 900.0) == pytest.approx(900.0 - log(5001 * 5002))

from __future__ import annotations

from math import exp, inf, log

import pytest

from gateway.release.judge.epochs import Epochs


def test_each_epoch_may_claim_a_share_of_what_it_found() -> None:
    shares = []
    for number in range(1, 2001):
        epochs = Epochs(number=number)
        shares.append(exp(epochs.ln(log(400))) / 400)
    assert shares[:3] == pytest.approx([1 / 2, 1 / 6, 1 / 12])
    assert sum(shares) == pytest.approx(1.0, abs=1e-3)


def test_an_alarm_outlives_its_epoch_by_one() -> None:
    epochs = Epochs()
    epochs.enter(1, -inf)
    assert epochs.ln(log(3000)) == pytest.approx(log(1500))
    epochs.enter(2, log(3000))
    assert epochs.ln(0.0) == pytest.approx(log(1500))
    epochs.enter(3, 0.0)
    assert epochs.ln(0.0) < 0.0


def test_epochs_are_not_multiplied() -> None:
    epochs = Epochs()
    for number in range(1, 100):
        epochs.enter(number, log(30))
    assert epochs.ln(log(30)) < log(30)


def test_without_epochs_evidence_is_what_it_is() -> None:
    assert Epochs().ln(5.5) == 5.5

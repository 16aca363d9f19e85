"""Promotion is a test of its own: not "no alarm so far" but "too much harm is refuted".

At a higher weight w' the candidate may add at most `budget` bad requests per request of the whole
route. So what must be refuted is the excess rate budget / w'. The candidate's bad requests are held
against that limit as Poisson events, with stable's rate plugged in.
"""

from __future__ import annotations

from math import exp, inf, log

from gateway.release.statistics.logs import ln_mean_exp

# Alternatives: this part of the forbidden excess is absent.
FRACTIONS = (1.0, 0.5, 0.2)


def ln_harmless(bad: int, requests: int, expected_bad: float, excess: float) -> float:
    """ln of the evidence against "the candidate's rate exceeds stable's by `excess` or more".

    `expected_bad` is what stable's rate gives for the candidate's `requests`.
    """
    forbidden = expected_bad + requests * excess
    if forbidden <= 0.0:
        return 0.0
    logs = []
    for fraction in FRACTIONS:
        allowed = expected_bad + requests * excess * (1.0 - fraction)
        gain = forbidden - allowed
        if bad:
            gain += bad * log(allowed / forbidden) if allowed > 0.0 else -inf
        logs.append(gain)
    return ln_mean_exp(logs)


def harmless_weight(
    bad: int, requests: int, expected_bad: float, budget: float, alpha: float
) -> float:
    """The largest share for which harm beyond the budget is refuted; 0 if there is none.

    Evidence falls as the share grows: the more the candidate gets, the less excess is allowed.
    """
    wanted = log(1.0 / alpha)
    if ln_harmless(bad, requests, expected_bad, budget) >= wanted:
        return 1.0
    # In ln(excess), from the budget up to "every request more is bad".
    least, most = log(budget), 0.0
    if ln_harmless(bad, requests, expected_bad, 1.0) < wanted:
        return 0.0
    for _ in range(30):
        middle = (least + most) / 2
        if ln_harmless(bad, requests, expected_bad, exp(middle)) >= wanted:
            most = middle
        else:
            least = middle
    return budget / exp(most)

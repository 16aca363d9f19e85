"""How long it will take: told before the start, so that nobody expects proof from ten requests."""

from __future__ import annotations

from math import inf, log

from gateway.release.statistics.draws import RATE_EFFECTS

ROLLBACK_AT = 400.0
# The grid's nearest effect is no exact hit, but neighbours help: fitted to simulations.
GRID_NATS = log(len(RATE_EFFECTS)) - 0.7
PROOF_FRACTIONS = 3


def growth(rate: float, share: float, stable_rate: float, candidate_rate: float) -> float:
    """The nats of evidence per second, at `rate` requests per second on both versions."""
    candidate = rate * share * candidate_rate
    stable = rate * (1.0 - share) * stable_rate
    if candidate + stable <= 0.0:
        return 0.0
    part = candidate / (candidate + stable)
    if part <= share:
        return 0.0
    nats = part * log(part / share)
    if part < 1.0:
        nats += (1.0 - part) * log((1.0 - part) / (1.0 - share))
    return (candidate + stable) * nats


def detect_seconds(
    rate: float,
    share: float,
    stable_rate: float,
    candidate_rate: float,
    threshold: float = ROLLBACK_AT,
) -> float:
    """The median time until so much worse a candidate has reached the threshold."""
    nats = growth(rate, share, stable_rate, candidate_rate)
    return (log(threshold) + GRID_NATS) / nats if nats > 0.0 else inf


def detectable_rate(
    rate: float, share: float, stable_rate: float, seconds: float, threshold: float = ROLLBACK_AT
) -> float | None:
    """The least rate of the candidate that is found in that time; None if not even 100 % is."""
    if detect_seconds(rate, share, stable_rate, 1.0, threshold) > seconds:
        return None
    least, most = stable_rate, 1.0
    for _ in range(50):
        middle = (least + most) / 2
        if detect_seconds(rate, share, stable_rate, middle, threshold) <= seconds:
            most = middle
        else:
            least = middle
    return most


def proof_requests(stable_rate: float, ratio: float, alpha: float = 0.05) -> float:
    """The candidate's requests that an equal candidate needs to refute `ratio` times the rate."""
    if stable_rate <= 0.0 or ratio <= 1.0:
        return inf
    return (log(1.0 / alpha) + log(PROOF_FRACTIONS)) / (stable_rate * (ratio - 1.0 - log(ratio)))


def forbidden_ratio(stable_rate: float, weight: float, budget: float) -> float:
    """The ratio of rates that must be refuted before the candidate gets this share."""
    return 1.0 + budget / (stable_rate * weight) if stable_rate > 0.0 else inf


def harmless_requests(
    stable_rate: float, weight: float, budget: float, alpha: float = 0.05
) -> float:
    """The candidate's requests that an equal candidate needs before it may get this share."""
    wanted = log(1.0 / alpha) + log(PROOF_FRACTIONS)
    excess = budget / weight
    if stable_rate <= 0.0:
        return wanted / excess
    return proof_requests(stable_rate, forbidden_ratio(stable_rate, weight, budget), alpha)

"""Rules that others publish numbers of: what the judge was compared with, for the tests only."""

from __future__ import annotations

from math import exp, lgamma, log, sqrt


def quantile_radius(n: int, alpha: float) -> float:
    """Howard and Ramdas: how far an empirical distribution may be off, at any time."""
    return 0.85 * sqrt((log(log(exp(1.0) * n)) + 0.8 * log(1612.0 / alpha)) / n)


def ln_share_factor(candidate: int, total: int, share: float, k: float) -> float:
    """Lindon and Malek: the Bayes factor of events that fall on the candidate."""
    a, b = k * share, k * (1.0 - share)
    mine, others = candidate, total - candidate

    def ln_beta(x: float, y: float) -> float:
        return lgamma(x) + lgamma(y) - lgamma(x + y)

    null = mine * log(share) + others * log(1.0 - share)
    return ln_beta(a + mine, b + others) - ln_beta(a, b) - null

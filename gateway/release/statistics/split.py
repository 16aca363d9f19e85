"""Is the traffic split as the weights say? If not, no comparison of the versions can be trusted."""

from __future__ import annotations

from math import lgamma, log

# How sharply the alternative looks around the nominal share, in requests' worth.
SHARPNESS = 1000.0


def _ln_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def ln_mismatch(candidate: int, stable: int, share: float) -> float:
    """ln of the evidence against "each request went to the candidate with this probability"."""
    if not 0.0 < share < 1.0:
        return 0.0
    a, b = SHARPNESS * share, SHARPNESS * (1.0 - share)
    ratio = _ln_beta(a + candidate, b + stable) - _ln_beta(a, b)
    return ratio - candidate * log(share) - stable * log(1.0 - share)

"""How many times stable's rate the candidate's is: likelihood, estimate, confidence sequence.

For a ratio rho and strata with the candidate's share ws, bad requests fall on the candidate with
the odds ws*rho : (1-ws), so S(rho) = X ln rho - sum E ln(1 - ws + ws rho) is the log-likelihood but
for a constant. Everything that people are shown is read off this one curve; what acts uses `draws`.
"""

from __future__ import annotations

from itertools import accumulate
from math import exp, inf, log, log1p

import msgspec

from gateway.release.statistics.logs import ln_mean_exp

POINTS = 41
LEAST = 1 / 20
MOST = 100.0
_STEP = log(MOST / LEAST) / (POINTS - 1)
LN_RATIOS = tuple(log(LEAST) + _STEP * k for k in range(POINTS))
_EXCESSES = tuple(exp(ln) - 1.0 for ln in LN_RATIOS)

# 95 % for both sides together.
LN_EXCLUDED = log(40.0)


class Curve(msgspec.Struct):
    """The curve at 41 ratios from 1/20 to 100, even in their logarithms."""

    costs: list[float] = msgspec.field(default_factory=lambda: [0.0] * POINTS)
    bad: int = 0  # all of them; X and E of the text
    candidate_bad: int = 0

    def observe(self, candidate: int, total: int, bad: int, candidate_bad: int) -> None:
        """Adds one stratum; `total` and `bad` are of both versions together."""
        if not bad or not candidate or candidate == total:
            return
        share = candidate / total
        self.bad += bad
        self.candidate_bad += candidate_bad
        self.costs = [
            cost + bad * log1p(share * excess)
            for cost, excess in zip(self.costs, _EXCESSES, strict=True)
        ]

    def heights(self) -> list[float]:
        bad = self.candidate_bad
        return [bad * ln - cost for ln, cost in zip(LN_RATIOS, self.costs, strict=True)]

    def estimate(self) -> float | None:
        """The likeliest ratio, between the points by a parabola; None without a bad request."""
        if not self.bad:
            return None
        heights = self.heights()
        top = max(range(POINTS), key=heights.__getitem__)
        if top in (0, POINTS - 1):
            return exp(LN_RATIOS[top])
        left, here, right = heights[top - 1 : top + 2]
        bend = left - 2.0 * here + right
        shift = 0.5 * (left - right) / bend if bend < 0.0 else 0.0
        return exp(LN_RATIOS[top] + shift * _STEP)

    def ln_above(self, ratio: float) -> float:
        """ln of the evidence against "the ratio is at most this"."""
        heights, here = self.heights(), self._height(ratio)
        others = [h - here for h, ln in zip(heights, LN_RATIOS, strict=True) if ln > log(ratio)]
        return ln_mean_exp(others) if others else 0.0

    def ln_below(self, ratio: float) -> float:
        """ln of the evidence against "the ratio is at least this": for "no worse than"."""
        heights, here = self.heights(), self._height(ratio)
        others = [h - here for h, ln in zip(heights, LN_RATIOS, strict=True) if ln < log(ratio)]
        return ln_mean_exp(others) if others else 0.0

    def interval(self) -> tuple[float, float] | None:
        """The 95 % confidence sequence; None without a bad request.

        An end beyond the points is given as 0 or infinity.
        """
        if not self.bad:
            return None
        heights = self.heights()
        low = _first_kept(heights, 1)
        high = _first_kept(heights, -1)
        return (
            0.0 if low is None else exp(low),
            inf if high is None else exp(high),
        )

    def _height(self, ratio: float) -> float:
        """S at any ratio: between two points on the chord, which lies below the curve.

        1 is no point but the ratio that matters most: there S is 0 whatever was observed.
        """
        if ratio == 1.0:
            return 0.0
        place = (log(ratio) - LN_RATIOS[0]) / _STEP
        left = min(max(int(place), 0), POINTS - 2)
        heights = self.heights()
        return heights[left] + (place - left) * (heights[left + 1] - heights[left])


def _first_kept(heights: list[float], direction: int) -> float | None:
    """ln of the ratio where evidence falls to its limit, coming from one end of the points."""
    ordered = heights[::direction]
    ratios = LN_RATIOS[::direction]
    top = max(heights)
    # The sums over all points further on, for every point at once.
    beyond = list(accumulate(exp(height - top) for height in ordered[::-1]))[::-1]
    excess_before = 0.0
    for place in range(POINTS - 1):
        others, count = beyond[place + 1], POINTS - 1 - place
        evidence = top + log(others / count) - ordered[place] if others > 0.0 else -inf
        excess = evidence - LN_EXCLUDED
        if excess < 0.0:
            if place == 0:
                return None
            # Past the top all that is further on may be nothing at all to a float.
            part = excess_before / (excess_before - excess) if excess > -inf else 0.0
            return ratios[place - 1] + part * (ratios[place] - ratios[place - 1])
        excess_before = excess
    return ratios[-1]

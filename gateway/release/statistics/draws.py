"""The engine: does the candidate have more of the bad requests than a fair draw would give it?

Theory of operation. In one stratum N requests were answered, nc of them by the candidate; E were
bad, x of those the candidate's. If the version makes no difference, x is hypergeometric: E balls
drawn from N of which nc are marked. So whatever load, outage or weight the stratum had is
conditioned on, and cancels. For an effect psi > 1 the likelihood ratio psi^x / M(psi) has mean at
most 1 when M bounds the mean of psi^x; its product over strata is a test martingale, and its mean
over a grid of effects as well. By Ville's inequality it ever reaches 1/alpha with a probability of
at most alpha: one may look every second, for ever.

The bound. A hypergeometric count is a sum of n = min(nc, E) independent Bernoullis, for its
generating polynomial has real roots only. Of all such sums with the same mean and variance, the
mean of psi^x is largest when every probability is either 1 or one q. At E = 1 and at nc = 1 that is
exact; at even shares it grows half as fast as the binomial bound, which doubles the speed.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log, log1p

import msgspec

from gateway.release.statistics.logs import ln_mean_exp


class Effects(tuple[float, ...]):
    """A grid of effects, with what every stratum needs of each: (ln effect, effect - 1)."""

    terms: tuple[tuple[float, float], ...]

    def __new__(cls, *effects: float) -> Effects:
        made = super().__new__(cls, effects)
        made.terms = tuple((log(effect), effect - 1.0) for effect in effects)
        return made


# How many times as many bad requests: from "a bit worse" to "everything fails".
RATE_EFFECTS = Effects(1.15, 1.4, 2.0, 3.0, 6.0, 15.0, 100.0)
# The same for the share of requests above a threshold, which is rarely all or nothing.
TAIL_EFFECTS = Effects(1.1, 1.25, 1.6, 2.5, 5.0, 12.0)


def two_points(candidate: int, total: int, bad: int) -> tuple[int, float, float]:
    """(n, r, q): the bound's configuration, n*r Bernoullis of probability q, the others of 1."""
    n = min(candidate, bad)
    mean = candidate * bad / total
    m1 = mean / n
    if m1 >= 1.0:
        return n, 0.0, 0.0
    variance = mean * (1.0 - bad / total) * (total - candidate) / (total - 1)
    m2 = (mean - variance) / n
    q = (m1 - m2) / (1.0 - m1)
    return n, (1.0 - m1) / (1.0 - q), q


def ln_bound(candidate: int, total: int, bad: int, effect: float) -> float:
    """ln M: at least ln of the mean of effect ** x, x hypergeometric."""
    if not min(candidate, bad):
        return 0.0
    n, r, q = two_points(candidate, total, bad)
    return n * ((1.0 - r) * log(effect) + r * log1p(q * (effect - 1.0)))


class Draws(msgspec.Struct):
    """The evidence of all strata so far that the candidate's rate is higher, effect by effect."""

    logs: list[float]

    @classmethod
    def over(cls, effects: Sequence[float]) -> Draws:
        return cls([0.0] * len(effects))

    def observe(
        self, effects: Effects, candidate: int, total: int, bad: int, candidate_bad: int
    ) -> None:
        """Multiplies one stratum in. `total` and `bad` are of both versions together."""
        if not candidate or not bad or candidate == total:
            return  # whatever x is, it could not have been anything else
        n, r, q = two_points(candidate, total, bad)
        gain = candidate_bad - n * (1.0 - r)
        cost = n * r
        self.logs = [
            so_far + gain * ln - cost * log1p(q * excess)
            for so_far, (ln, excess) in zip(self.logs, effects.terms, strict=True)
        ]

    def observe_beyond(
        self,
        effects: Effects,
        margin: float,
        candidate: int,
        total: int,
        bad: int,
        candidate_bad: int,
    ) -> None:
        """The same against "at most `margin` times stable's rate"; effects count from there.

        Exact when bad requests come as Poisson events, as rare ones do; where they are frequent it
        errs towards equal.
        """
        if not candidate or not bad or candidate == total:
            return
        marked = candidate * margin
        share = marked / (marked + total - candidate)
        self.logs = [
            so_far + candidate_bad * ln - bad * log1p(share * excess)
            for so_far, (ln, excess) in zip(self.logs, effects.terms, strict=True)
        ]

    def ln_e(self, noise: float = 1.0) -> float:
        """ln of the evidence; `noise` is by how much counts vary more than a draw does."""
        return ln_mean_exp(self.logs, 1.0 / noise)

    def ln_e_since(self, mark: Sequence[float], noise: float = 1.0) -> float:
        """The same of what came after `logs` was `mark`."""
        since = [now - then for now, then in zip(self.logs, mark, strict=True)]
        return ln_mean_exp(since, 1.0 / noise)

"""Evidence that is gathered anew from time to time, put together without counting anybody twice.

What one epoch finds is an e-value whatever was found before; the mean of all of them, by weights
that were fixed beforehand, is one, too. The weights fall so slowly that the thousandth epoch, after
a week, must find a million times as much as the first one: that is about three times as many slow
requests.
"""

from __future__ import annotations

from math import exp, inf, log, log1p

import msgspec


class Past(msgspec.Struct):
    """The evidence of epochs that are over, each with its weight."""

    ln_sum: float = -inf
    spent: float = 0.0  # the sum of their weights

    def put(self, epoch: int, ln_e: float) -> None:
        self.ln_sum = _ln_sum(self.ln_sum, log(_weight(epoch)) + ln_e)
        self.spent += _weight(epoch)

    def ln_with(self, epoch: int, ln_e: float) -> float:
        """The mean with this one, and with those to come, that know nothing yet."""
        if not epoch:
            return ln_e
        weight = _weight(epoch)
        # Weights are 1 in all; what is left for epochs to come speaks neither way.
        unknown = log(max(1.0 - self.spent - weight, 1e-12))
        return _ln_sum(_ln_sum(self.ln_sum, log(weight) + ln_e), unknown)


def _weight(epoch: int) -> float:
    return 1.0 / (epoch * (epoch + 1))


def _ln_sum(one: float, other: float) -> float:
    """ln of the sum of two numbers given by their logarithms."""
    low, high = sorted((one, other))
    return high + log1p(exp(low - high)) if high > -inf else -inf

"""After promotion: has the new version just become worse? (Shiryaev-Roberts)

The judge of a release asks whether the candidate was ever worse; here something changes at an
unknown moment, so every past second is a possible start: M = (M + 1) * likelihood ratio. Without a
change M grows by 1 an update on average: an alarm at M >= n comes at most every n updates.
"""

from __future__ import annotations

from math import exp, log

import msgspec

from gateway.release.statistics.draws import RATE_EFFECTS, Draws

# One false alarm in 30 days of updates each second.
UPDATES_TO_FALSE_ALARM = 2_592_000.0
# Without the old version its rate is taken for so many times what it was.
MARGIN = 1.5
_MOST = 1e300
_HIGHEST_RATE = 0.99


class Detector(msgspec.Struct):
    """One M for every effect; an update is one second, with or without requests."""

    levels: list[float] = msgspec.field(default_factory=lambda: [0.0] * len(RATE_EFFECTS))

    def observe(
        self,
        new: int,
        total: int,
        bad: int,
        new_bad: int,
        margin: float = 1.0,
        noise: float = 1.0,
    ) -> list[float]:
        """One second with a part held back on the old version; counts are of both together.

        Returns what it adds to the logarithm of each effect.
        """
        draws = Draws.over(RATE_EFFECTS)
        if margin > 1.0:
            draws.observe_beyond(RATE_EFFECTS, margin, new, total, bad, new_bad)
        else:
            draws.observe(RATE_EFFECTS, new, total, bad, new_bad)
        return self._update(draws.logs, noise)

    def observe_alone(
        self, new: int, new_bad: int, old_rate: float, noise: float = 1.0
    ) -> list[float]:
        """One second without the old version, against `MARGIN` times the rate it had.

        A common outage looks the same here: page and hold, do not roll back by this alone.
        """
        gains = []
        reference = MARGIN * old_rate
        for effect in RATE_EFFECTS:
            rate = min(reference * effect, _HIGHEST_RATE)
            if 0.0 < reference < rate:
                good = (new - new_bad) * log((1.0 - rate) / (1.0 - reference))
                gains.append(new_bad * log(rate / reference) + good)
            else:
                gains.append(0.0)
        return self._update(gains, noise)

    def idle(self, seconds: int) -> None:
        """So many seconds in which nothing was bad on either side, or nothing was asked."""
        self.levels = [min(level + seconds, _MOST) for level in self.levels]

    def reopen(self) -> None:
        """What comes next belongs to a second that was told of before: it is no second more."""
        self.levels = [max(level - 1.0, 0.0) for level in self.levels]

    def mean(self) -> float:
        return sum(level / len(self.levels) for level in self.levels)

    def is_alarm(self, updates: float = UPDATES_TO_FALSE_ALARM) -> bool:
        return self.mean() >= updates

    def _update(self, gains: list[float], noise: float) -> list[float]:
        gains = [gain / noise for gain in gains]
        self.levels = [
            min((level + 1.0) * exp(min(gain, 600.0)), _MOST)
            for level, gain in zip(self.levels, gains, strict=True)
        ]
        return gains

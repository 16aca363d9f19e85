"""Durations as people write them ("90s", "5m", "1h30m", "7d") and as they read them."""

from __future__ import annotations

import re

MAX_SECONDS = 366 * 86_400

_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_TEXT = re.compile(r"(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?")


def seconds_of(value: object) -> float:
    """Text or a number of seconds; ValueError for everything else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    else:
        found = _TEXT.fullmatch(value.replace(" ", "").lower()) if isinstance(value, str) else None
        if found is None or not any(found.groups()):
            raise ValueError("no duration")
        counts = (int(count or 0) for count in found.groups())
        seconds = float(sum(n * size for n, size in zip(counts, _UNITS.values(), strict=True)))
    if not 0 <= seconds <= MAX_SECONDS:
        raise ValueError("out of range")
    return seconds


def said(seconds: float) -> str:
    """The same for people: "2 min", "1 h 30 min", "45 s"; two parts at most."""
    left = round(max(seconds, 0.0))
    if left < 1:
        return f"{seconds:.1f} s" if seconds > 0 else "0 s"
    parts = []
    for size, word in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {word}")
        elif parts:
            break
    return " ".join(parts[:2])


def written(seconds: float) -> str:
    """The same as it stands in a plan: "2m", "1h30m"; fractions stay a number."""
    if seconds != int(seconds) or seconds == 0:
        return f"{seconds:g}"
    left, text = int(seconds), ""
    for unit, size in _UNITS.items():
        count, left = divmod(left, size)
        text += f"{count}{unit}" if count else ""
    return text

"""Change windows and freezes: whether the weight may be raised now, and if not, why not.

Pure: `now` is unix time, and the offset from UTC of each named zone at that time is given by the
caller, for the rules of time zones are files. A zone whose offset is not given counts as closed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from gateway.release.plan.plan import Plan, Window

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_MINUTE = 60.0


def zones_of(plan: Plan) -> tuple[str, ...]:
    """The named zones whose offsets `closed_because` wants to know."""
    return tuple(dict.fromkeys(w.zone for w in plan.windows if is_named(w.zone)))


def is_named(zone: str) -> bool:
    """Whether the zone is a name of the tz database, and no UTC or fixed offset."""
    return zone != "UTC" and zone[0] not in "+-"


def closed_because(plan: Plan, now: float, offsets: Mapping[str, float]) -> str:
    """Why nothing may be raised now, as half a sentence; "" when it may.

    `offsets` are seconds east of UTC by zone.
    """
    frozen = frozen_because(plan, now)
    if frozen or not plan.windows:
        return frozen
    if any(_is_open(window, now, offsets) for window in plan.windows):
        return ""
    missing = [w.zone for w in plan.windows if _offset(w.zone, offsets) is None]
    if missing:
        return f"the time in {missing[0]} is not known here, so its change window counts as closed"
    return f"outside the change windows: {'; '.join(_said(window) for window in plan.windows)}"


def frozen_because(plan: Plan, now: float) -> str:
    """The same for freezes alone, which bind people too."""
    for freeze in plan.freezes:
        if freeze.begins.timestamp() <= now < freeze.ends.timestamp():
            ends = freeze.ends.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
            why = f" ({freeze.why})" if freeze.why else ""
            return f"frozen until {ends} UTC{why}"
    return ""


def _is_open(window: Window, now: float, offsets: Mapping[str, float]) -> bool:
    offset = _offset(window.zone, offsets)
    if offset is None:
        return False
    local = datetime.fromtimestamp(now + offset, UTC)
    minute = local.hour * 60 + local.minute
    today, yesterday = DAYS[local.weekday()], DAYS[local.weekday() - 1]
    opens, closes = _minutes(window.opens), _minutes(window.closes)
    if opens < closes:
        return today in window.days and opens <= minute < closes
    return (today in window.days and minute >= opens) or (
        yesterday in window.days and minute < closes
    )


def _offset(zone: str, offsets: Mapping[str, float]) -> float | None:
    if zone == "UTC":
        return 0.0
    if is_named(zone):
        return offsets.get(zone)
    minutes = _minutes(zone[1:]) * (-1 if zone[0] == "-" else 1)
    return minutes * _MINUTE


def _minutes(text: str) -> int:
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes)


def _said(window: Window) -> str:
    return f"{', '.join(window.days)} {window.opens}-{window.closes} {window.zone}"

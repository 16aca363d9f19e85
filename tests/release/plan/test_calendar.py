from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from gateway.release.plan.calendar import closed_because, frozen_because, zones_of
from gateway.release.plan.plan import Plan
from gateway.release.plan.read import read_plan


def plan(**fields: Any) -> Plan:
    return read_plan({"preset": "canary", "route": "chat", "candidate": "v2"} | fields)


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


OFFICE = {"days": ["mon", "fri"], "opens": "09:00", "closes": "17:00"}
NIGHT = {"days": ["fri"], "opens": "22:00", "closes": "06:00"}


@pytest.mark.parametrize(
    ("window", "moment", "is_open"),
    [
        (OFFICE, "2026-11-20T08:59:59+00:00", False),  # a Friday
        (OFFICE, "2026-11-20T09:00:00+00:00", True),
        (OFFICE, "2026-11-20T16:59:59+00:00", True),
        (OFFICE, "2026-11-20T17:00:00+00:00", False),
        (OFFICE, "2026-11-21T12:00:00+00:00", False),
        (NIGHT, "2026-11-20T21:59:00+00:00", False),
        (NIGHT, "2026-11-20T23:59:00+00:00", True),
        (NIGHT, "2026-11-21T05:59:00+00:00", True),
        (NIGHT, "2026-11-21T06:00:00+00:00", False),
        (NIGHT, "2026-11-20T05:00:00+00:00", False),
        ({}, "2026-11-20T23:59:59+00:00", True),
        ({}, "2026-11-21T00:00:00+00:00", False),
        (OFFICE | {"zone": "+02:00"}, "2026-11-20T07:30:00+00:00", True),
        (OFFICE | {"zone": "-05:30"}, "2026-11-20T14:00:00+00:00", False),
        (OFFICE | {"zone": "-05:30"}, "2026-11-20T14:30:00+00:00", True),
    ],
)
def test_a_window_opens_and_closes(window: dict[str, Any], moment: str, is_open: bool) -> None:
    assert (closed_because(plan(windows=[window]), at(moment), {}) == "") is is_open


def test_a_named_zone_is_as_far_from_utc_as_the_caller_says() -> None:
    berlin = plan(windows=[OFFICE | {"zone": "Europe/Berlin"}])
    moment = at("2026-11-20T08:30:00+00:00")
    assert zones_of(berlin) == ("Europe/Berlin",)
    assert closed_because(berlin, moment, {"Europe/Berlin": 3600.0}) == ""
    assert "outside" in closed_because(berlin, moment, {"Europe/Berlin": 0.0})
    assert "not known" in closed_because(berlin, moment, {})


def test_one_open_window_is_enough() -> None:
    both = plan(windows=[OFFICE, NIGHT | {"zone": "Mars/Olympus"}])
    assert closed_because(both, at("2026-11-20T10:00:00+00:00"), {}) == ""


def test_without_windows_it_is_always_open() -> None:
    assert closed_because(plan(), 0.0, {}) == ""


def test_a_freeze_goes_before_every_window() -> None:
    freeze = {"begins": "2026-11-20T00:00:00+01:00", "ends": "2026-11-21T00:00:00+01:00"}
    frozen = plan(windows=[OFFICE], freezes=[freeze])
    moment = at("2026-11-20T10:00:00+00:00")
    assert closed_because(frozen, moment, {}) == "frozen until 2026-11-20 23:00 UTC"
    assert frozen_because(frozen, at("2026-11-20T23:00:00+00:00")) == ""

"""What a decision says: the version, and how it came about."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Reason(StrEnum):
    """Why a request went to its version."""

    OVERRIDE = "override"
    BLACKLIST = "blacklist"
    WHITELIST = "whitelist"
    RULE = "rule"
    PINNED = "pinned"
    WEIGHT = "weight"
    STABLE = "stable"
    FAILOVER = "failover"


class Decision(msgspec.Struct, frozen=True, gc=False):
    """One request's version and how it came about."""

    route: str
    version: str
    reason: Reason
    unit: bytes | None  # None = nobody could be told apart: the place was drawn
    source: str = ""  # the unit source that had the unit
    rule: str | None = None  # the rule that held
    bucket: int | None = None  # the place on the circle, when one was needed

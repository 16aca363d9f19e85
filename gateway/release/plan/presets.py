"""Well-known ways to release, as the fields that they fill in.

`preset = "canary"` in a plan takes these and whatever the plan says itself goes before them. The
samples in config/plans spell them out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_STEPS = (1, 5, 25, 50, 100)
_ROLLING = (20, 40, 60, 80, 100)
TESTERS = "testers"  # the segment of people who look at a version before the public does


def canary() -> dict[str, Any]:
    """A small share first; each stage must prove that the next one is safe."""
    stages = [{"weight": weight, "hold": "2m", "minimum_requests": 200} for weight in _STEPS]
    return {"stages": stages, "bake": {"duration": "30m", "holdback": 5}}


def rolling() -> dict[str, Any]:
    """Even steps, for a version that is trusted and only has to be moved with care."""
    stages = [{"weight": weight, "hold": "2m", "minimum_requests": 200} for weight in _ROLLING]
    return {"stages": stages, "bake": {"duration": "10m", "holdback": 5}}


def blue_green() -> dict[str, Any]:
    """Prepare, check with a few people, switch at once, keep the old version warm.

    The check has no random traffic to judge, so a person makes the switch. After it nothing is held
    back: the judge compares with what stable did before.
    """
    check = {
        "segments": [TESTERS], "weight": 0, "hold": "10m", "minimum_requests": 0, "approval": True,
    }  # fmt: skip
    switch = {"weight": 100, "hold": "2m", "minimum_requests": 200}
    return {
        "stages": [check, switch],
        "bake": {"duration": "30m", "holdback": 0, "keep_warm": "1d"},
    }


def ab() -> dict[str, Any]:
    """A fixed split until the end of the test, then a winner is proposed to a person."""
    return {
        "finish": "propose",
        "stages": [{"weight": 50, "hold": "7d", "minimum_requests": 1000}],
        "expires": "14d",
        "experiment": {"metric": "feedback"},
    }


def filled(document: Mapping[Any, object]) -> dict[Any, object]:
    """The document, with what it leaves out taken from the preset that it names, if any."""
    name = document.get("preset")
    make = PRESETS.get(name) if isinstance(name, str) else None
    return _merged(make(), document) if make else dict(document)


def _merged(base: Mapping[Any, object], over: Mapping[Any, object]) -> dict[Any, object]:
    merged = {**base, **over}
    for name, value in base.items():
        ours = over.get(name)
        if isinstance(value, Mapping) and isinstance(ours, Mapping):
            merged[name] = _merged(value, ours)
    return merged


PRESETS = {"canary": canary, "rolling": rolling, "blue-green": blue_green, "ab": ab}

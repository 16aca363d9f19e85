"""How a demo backend behaves, and the dice that decide each request's fate."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Annotated

import msgspec
from msgspec import Meta

Share = Annotated[float, Meta(ge=0, le=1)]
Milliseconds = Annotated[float, Meta(ge=0, le=60_000)]

JITTER = 0.25  # latencies of real models scatter; without it the histograms look dead


class Behaviour(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator may change while the backend runs."""

    latency_ms: Milliseconds = 40.0  # before the first byte, on average
    error_rate: Share = 0.0  # of requests answered with 500
    cut_rate: Share = 0.0  # of requests whose connection breaks in the middle of the answer
    chunk_ms: Milliseconds = 20.0  # between the chunks of a stream

    def changed(self, fields: Mapping[str, float]) -> Behaviour:
        """This behaviour with other values for these fields; msgspec.ValidationError if wrong."""
        return msgspec.convert({**msgspec.structs.asdict(self), **fields}, Behaviour)


class Fate(msgspec.Struct, frozen=True):
    """What will happen to one request."""

    delay_seconds: float
    fails: bool
    is_cut: bool
    serial: int


class Dice:
    """Draws fates from a seed: the same seed and order of requests give the same fates.

    Every request takes the same number of draws, so that a change of behaviour midway does not
    shift what later requests get.
    """

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def roll(self, behaviour: Behaviour) -> Fate:
        draw = self._random.random
        spread = 1 + JITTER * (2 * draw() - 1)
        return Fate(
            delay_seconds=behaviour.latency_ms * spread / 1000,
            fails=draw() < behaviour.error_rate,
            is_cut=draw() < behaviour.cut_rate,
            serial=self._random.getrandbits(64),
        )

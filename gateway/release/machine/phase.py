"""The phases of a release, and what a person may say in which of them.

    preparing -> ramp -> ramp -> ... -> baking -> promoted
                  |
                  |-> awaiting-approval -> ramp   a person must agree first
                  |-> hold -> ramp                weight frozen until the evidence is calm again
                  |-> paused -> ramp              by a person, or as the weight was changed by hand
                  |-> quarantine -> rolled-back   weight 0; young evidence gets a short probe first
                  |-> aborted, expired            back to the weights of before

What is true of ramp is true of baking. The last four on the right never act again by themselves.
"""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """Where a release stands."""

    PREPARING = "preparing"
    RAMP = "ramp"
    HOLD = "hold"
    QUARANTINE = "quarantine"
    AWAITING = "awaiting-approval"
    PAUSED = "paused"
    BAKING = "baking"
    ROLLED_BACK = "rolled-back"
    PROMOTED = "promoted"
    ABORTED = "aborted"
    EXPIRED = "expired"


OVER = frozenset({Phase.ROLLED_BACK, Phase.PROMOTED, Phase.ABORTED, Phase.EXPIRED})
LIVE = frozenset(Phase) - OVER
# Where the candidate has traffic that the guardrails watch.
GUARDED = frozenset({Phase.RAMP, Phase.HOLD, Phase.AWAITING, Phase.PAUSED, Phase.BAKING})
# Where time counts towards the hold of a stage and the bake.
COUNTED = frozenset({Phase.RAMP, Phase.HOLD, Phase.AWAITING, Phase.BAKING})

# What each verb may be said in. `approve` needs a proposal besides, whatever the phase.
MAY_SAY: dict[str, frozenset[Phase]] = {
    "approve": LIVE,
    "pause": LIVE - {Phase.PAUSED, Phase.QUARANTINE},
    "resume": frozenset({Phase.PAUSED}),
    "promote": frozenset({Phase.PREPARING, Phase.RAMP, Phase.AWAITING, Phase.BAKING}),
    "abort": LIVE,
    "rollback": LIVE | {Phase.PROMOTED},
    "continue": frozenset({Phase.HOLD, Phase.QUARANTINE}),
    "release-latch": frozenset({Phase.ROLLED_BACK}),
}

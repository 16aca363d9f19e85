"""What a reading of a list means beside what the history tells of it. PURE.

Rules
- A reading that takes a while sees what changes meanwhile, or not. So all that the history told
  between its beginning and its end counts as the history tells it, whatever the reading saw.
- What is left of the difference to the list as it was, changed as the history tells, was done by
  hand: ids that no entry touches while they are read are read as they are.
- A hand that touches an id which the history touches in that very while is found by the next
  reading: the store names the list once more.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace

from gateway.routing.lists import PackedTable, digest
from gateway.state.history import Delta
from gateway.state.snapshot import MemberList


def overlaid(held: MemberList, told: Delta) -> MemberList:
    """The list as it is after what was told."""
    if not told:
        return held
    added, removed = set(held.added), set(held.removed)
    for unit in told.added:
        removed.discard(unit)
        if unit not in held.base:
            added.add(unit)
    for unit in told.removed:
        added.discard(unit)
        if unit in held.base:
            removed.add(unit)
    return replace(held, added=frozenset(added), removed=frozenset(removed))


def digest_of(members: MemberList) -> int:
    """Equal for equal lists, however they are kept."""
    base = members.base
    whole = base.digest if isinstance(base, PackedTable) else digest(base)
    return (whole + digest(members.added) - digest(members.removed)) % 2**64


def unexplained(changed: Delta, told: Delta, after: Container[bytes]) -> Delta:
    """What was done by hand, when a list `changed` like this to `after` and this was told of it."""
    undone = {unit for unit in told.added if unit not in after}
    redone = {unit for unit in told.removed if unit in after}
    return Delta(
        (changed.added - told.added) | redone,
        (changed.removed - told.removed) | undone,
        changed.is_unknown and not told.is_unknown,
    )

"""Notices that may not have been sent yet; stored with the release, so that a crash loses none."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from gateway.release.conduct.notify.notice import Notice
from gateway.release.machine.action import Notify, Step

MOST = 50  # of one release; the oldest go first


class Outgoing(msgspec.Struct, frozen=True):
    """A notice and the channels that the plan names for it; none = all there are."""

    notice: Notice
    channels: tuple[str, ...] = ()


Outbox = tuple[Outgoing, ...]


def read_outbox(text: bytes) -> Outbox:
    """What `encode` wrote; nothing when somebody wrote into it."""
    try:
        return msgspec.json.decode(text, type=Outbox) if text else ()
    except msgspec.MsgspecError:
        return ()


def encode(outbox: Outbox) -> bytes:
    return msgspec.json.encode(outbox)


def news_of(step: Step, number: int, now: float) -> Outbox:
    """What a step has to tell; `number` is that of its write, so ids are never used twice."""
    status = step.status
    return tuple(
        Outgoing(
            Notice(
                id=f"{status.release_id}-{number}-{place}",
                event=action.kind,
                route=status.route,
                release=status.release_id,
                candidate=status.candidate,
                stable=status.stable,
                text=action.text,
                at=now,
            ),
            action.channels,
        )
        for place, action in enumerate(step.actions)
        # A plan that names channels, but none for this, wants nobody to be told.
        if isinstance(action, Notify) and (action.channels or not status.plan.notifications)
    )


def without(outbox: Outbox, done: Collection[str]) -> Outbox:
    return tuple(one for one in outbox if one.notice.id not in done)[-MOST:]

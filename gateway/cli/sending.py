"""Ids on their way into a list or a segment, in as many calls as it takes."""

from __future__ import annotations

from gateway.cli.client import Gateway
from gateway.cli.ids import Progress, portions
from gateway.cli.picture import Written
from gateway.errors import GraygateError


def send_ids(
    gateway: Gateway,
    path: tuple[str, ...],
    act: str,
    ids: list[str],
    why: str,
    revision: int | None = None,
) -> Written:
    """Where the list stands then, and whether any call changed it.

    With `revision` the first call is done only if it still stands there, each further one only if
    nobody wrote since the one before.
    """
    progress = Progress(len(ids))
    is_changed, stands = False, 0
    for portion in portions(ids):
        content = {act: portion, "why": why}
        try:
            reply = gateway.call("POST", *path, content=content, revision=revision)
        except GraygateError as error:
            if not progress.done:
                raise
            # Told as what it is, with what a person needs to go on: a list may be half written.
            raise type(error)(
                f"{error} The first {progress.done} of {len(ids)} ids were done before; "
                "send the whole file again, what is done already does no harm."
            ) from None
        written = reply.read(Written)
        is_changed, stands = is_changed or written.changed, written.revision
        revision = None if revision is None else stands
        progress.add(len(portion))
    return Written(stands, is_changed)
